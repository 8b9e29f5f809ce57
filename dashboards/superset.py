"""A small client of Superset's REST API: login, CSRF, paging, and errors with their remedy."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import httpx

from dashboards.code import parse_yaml

PAGE = 100
#: Folders of an export's files, by kind of object.
FOLDERS = {
    "databases": "database",
    "datasets": "dataset",
    "charts": "chart",
    "dashboards": "dashboard",
}


class SupersetError(Exception):
    """Superset cannot be reached, refuses the login, or refuses a request; has the remedy."""


class Superset:
    """A logged-in session on one Superset server; use it as a context manager."""

    def __init__(self, url: str, user: str, password: str, *, timeout: float = 120) -> None:
        self.url = url.rstrip("/")
        # A proxy of the environment is for the world outside, not for our own server.
        self._http = httpx.Client(
            base_url=self.url, timeout=timeout, trust_env=False, headers={"Referer": self.url}
        )
        self._user = user
        self._password = password

    def __enter__(self) -> Superset:
        answer = self._ask(
            "POST",
            "/api/v1/security/login",
            json={"username": self._user, "password": self._password, "provider": "db"},
        )
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise SupersetError(
                f"Superset at {self.url} refuses the login of {self._user!r}: it has another "
                "password than the deployment describes; `cityloom up` sets that one"
            )
        token = self._read(answer, "log in")["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        csrf = self.get("/api/v1/security/csrf_token/")["result"]
        self._http.headers["X-CSRFToken"] = csrf
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return the JSON that a path answers; raise `SupersetError`."""
        return self._read(self._ask("GET", path, params=parameters), f"read {path}")

    def reads(self, path: str, **parameters: str) -> bool:
        """Return whether a path can be read: not when the warehouse behind it refuses Superset."""
        return self._ask("GET", path, params=parameters).is_success

    def items(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield every object of a kind (`chart`, `dataset`, `dashboard`, `database`)."""
        page = 0
        while True:
            query = f"(page:{page},page_size:{PAGE})"
            found = self.get(f"/api/v1/{kind}/", q=query)["result"]
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def post(self, kind: str, body: dict[str, Any]) -> int:
        """Make an object; return its id."""
        answer = self._ask("POST", f"/api/v1/{kind}/", json=body)
        return int(self._read(answer, f"make the {kind} {_name(body)}")["id"])

    def export(self, kind: str, ids: Sequence[int]) -> dict[str, dict[str, dict[str, Any]]]:
        """Return objects of a kind, and what they use, as exported YAML: by kind, then UUID."""
        configs: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in FOLDERS.values()}
        if not ids:
            return configs
        query = f"!({','.join(map(str, ids))})"
        answer = self._ask("GET", f"/api/v1/{kind}/export/", params={"q": query})
        if not answer.is_success:
            self._read(answer, f"export {len(ids)} objects of kind {kind}")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
            for name in bundle.namelist():
                folder = name.split("/")[1]
                if folder in FOLDERS:
                    config = parse_yaml(bundle.read(name))
                    configs[FOLDERS[folder]][str(config["uuid"])] = config
        return configs

    def import_assets(self, bundle: bytes) -> None:
        """Import an assets bundle, in one transaction of Superset's.

        What the bundle names and does not have, is looked up among what Superset has (`sparse`).
        The form's other fields land in Superset's log of actions, so that passwords must not be
        among them: they are in the file, which does not.
        """
        answer = self._ask(
            "POST",
            "/api/v1/assets/import/",
            files={"bundle": ("cityloom.zip", bundle, "application/zip")},
            data={"sparse": "true"},
        )
        self._read(answer, "import the dashboards (nothing was changed)")

    def put(self, kind: str, pk: int, body: dict[str, Any]) -> None:
        """Change an object."""
        answer = self._ask("PUT", f"/api/v1/{kind}/{pk}", json=body)
        self._read(answer, f"change the {kind} {_name(body) or pk}")

    def delete(self, kind: str, pk: int) -> None:
        """Remove an object, if it still exists."""
        answer = self._ask("DELETE", f"/api/v1/{kind}/{pk}")
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._read(answer, f"remove the {kind} {pk}")

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise SupersetError(
                f"Superset at {self.url} did not answer {method} {path} in time; "
                "`cityloom status` shows whether it is up, and where its log is"
            ) from error
        except httpx.TransportError as error:
            raise SupersetError(
                f"no server answers at {self.url} ({error}); start the stack with `cityloom up`"
            ) from error

    def _read(self, answer: httpx.Response, doing: str) -> dict[str, Any]:
        if answer.is_success:
            return answer.json()
        raise SupersetError(
            f"Superset at {self.url} would not {doing}: {answer.status_code} {_reason(answer)}"
        )


def _name(body: dict[str, Any]) -> str:
    for key in ("slice_name", "dashboard_title", "table_name", "database_name"):
        if body.get(key):
            return repr(body[key])
    return ""


def _reason(answer: httpx.Response) -> str:
    """Return an error answer's message, without the page that a proxy or a crash would send."""
    try:
        content = answer.json()
    except json.JSONDecodeError:
        return f"{answer.reason_phrase}; Superset's log has more"
    if not isinstance(content, dict):
        return str(content)[:500]
    errors = content.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return "; ".join(map(_error, errors))[:1000]
    return str(content.get("message", content))[:500]


def _error(error: dict[str, Any]) -> str:
    # An import names each file's problems beside codes of no use to a reader.
    extra = error.get("extra") or {}
    files = {key: value for key, value in extra.items() if key != "issue_codes"}
    return f"{error.get('message')}: {json.dumps(files)}" if files else str(error.get("message"))
