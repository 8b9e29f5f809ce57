"""`socrata`: a dataset of a Socrata portal (SODA 2.1), paged by key, by dlt's REST client."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response
from requests.exceptions import JSONDecodeError, RequestException

from catalog.models import Reader, Source, normalise
from extract.batches import SourceBatch, SourceFile, numbered
from extract.connectors import option
from extract.connectors.records import from_objects
from extract.errors import ExtractError

OPTIONS = ("domain", "dataset", "where", "page_size", "token_env", "base_url", "attempts",
           "time_zone")  # fmt: skip
#: Fields that a portal keeps of its own; a full replace renews them all, so they are no content.
SYSTEM = (":id", ":created_at", ":updated_at")
PAGE = 10_000
#: 202 means that the portal is still working on the answer.
RETRIED = (202, 429, 500, 502, 503, 504)


def read(
    reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield a dataset's rows, oldest change first; from the second load on those changed since.

    The position is the portal's `:updated_at`, with `:id` to tell rows of one moment apart, and
    never an offset, which shifts as rows change. Rows at the position itself are read again.

    Options: `domain`, `dataset` (its four-by-four), `where` (a SoQL filter), `page_size`
    (10000), `token_env` (name of the environment variable with an app token,
    SOCRATA_APP_TOKEN), `attempts` (5), `base_url` (for a portal behind another address).
    """

    def get(name: str, default: Any, kind: type | tuple[type, ...]) -> Any:
        return option(reader, name, default, kind, OPTIONS)

    domain, dataset = get("domain", None, str), get("dataset", None, str)
    if not domain or not dataset:
        raise ExtractError(
            f"{source.path}: read.options", "need domain and dataset", "add what is missing"
        )
    file = SourceFile(f"{domain}/{dataset}", sparse=True)
    token = os.environ.get(get("token_env", "SOCRATA_APP_TOKEN", str))
    session = Client(
        raise_for_status=False,
        status_codes=RETRIED,
        request_max_attempts=get("attempts", 5, int),
    ).session
    # dlt's retries wrap `send`; what comes out of them is final, and is looked at here.
    send = session.send
    session.send = lambda request, **given: _checked(file.path, send(request, **given))
    client = RESTClient(
        base_url=get("base_url", f"https://{domain}", str),
        headers={"X-App-Token": token} if token else None,
        session=session,
    )
    where, size = get("where", None, str), get("page_size", PAGE, int)
    paginator = KeysetPaginator(where, cursor)
    pages = client.paginate(
        f"resource/{dataset}.json",
        params={"$select": ":id,:updated_at,*", "$order": ":updated_at,:id", "$limit": size},
        paginator=paginator,
        data_selector="$",
        hooks={"response": []},
    )
    digest, first = hashlib.sha256(), 1
    try:
        for page in pages:
            digest.update(page.response.content)
            file.bytes += len(page.response.content)
            file.sha256 = digest.hexdigest()
            announced = _fields(page.response)
            if announced:
                file.sparse, file.columns = False, announced
            rows = [{k: v for k, v in row.items() if k not in SYSTEM} for row in page]
            yield SourceBatch(
                file,
                from_objects(rows, announced),
                numbered(first, len(rows)),
                cursor=paginator.position,
            )
            first += len(rows)
    except RequestException as error:
        raise ExtractError(
            f"{client.base_url}/resource/{dataset}.json",
            f"cannot be reached ({type(error).__name__})",
            "check the network and options.domain, or load a snapshot",
        ) from error


class KeysetPaginator(BasePaginator):
    """Asks for the rows after the last one seen, in the order of `:updated_at, :id`."""

    def __init__(self, where: str | None, start: str | None) -> None:
        super().__init__()
        self.where = where
        self.position = start
        self._id: str | None = None

    def init_request(self, request: Request) -> None:
        """Set the filter of the first page: from the position on, that moment included."""
        start = f":updated_at >= '{self.position}'" if self.position else None
        self._filter(request, start)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Note the last row. Only an empty page is the end: a portal may cap pages at less than
        was asked for.
        """
        if data:
            self.position, self._id = data[-1][":updated_at"], data[-1][":id"]
        self._has_next_page = bool(data)

    def update_request(self, request: Request) -> None:
        """Set the filter of the next page."""
        at, last = f"'{self.position}'", f"'{self._id}'"
        self._filter(request, f"(:updated_at > {at} OR (:updated_at = {at} AND :id > {last}))")

    def _filter(self, request: Request, after: str | None) -> None:
        parts = [f"({self.where})" if self.where else None, after]
        where = " AND ".join(part for part in parts if part)
        if where:
            request.params["$where"] = where


def _checked(place: str, response: Response) -> Response:
    """Return an answer that is rows, and the newest ones; raise `ExtractError` for any other."""
    if response.headers.get("X-SODA2-Data-Out-Of-Date", "").lower() == "true":
        raise ExtractError(
            place, "the portal answers from a copy that is out of date", "load it again later"
        )
    try:
        answer = response.json()
    except JSONDecodeError:
        answer = None
    if response.status_code == 200 and isinstance(answer, list):
        if all(isinstance(row, dict) and row.keys() >= {":id", ":updated_at"} for row in answer):
            return response
        raise ExtractError(
            place,
            "the portal answered with rows that lack :id and :updated_at",
            "see whether options.dataset is a table of a Socrata portal, or load a snapshot",
        )
    says = answer.get("message") if isinstance(answer, dict) else response.text[:120].strip()
    raise ExtractError(
        place,
        f"the portal answered {response.status_code} in place of rows: {says}",
        "check domain, dataset and where under `options:`, or load it again later",
    )


def _fields(response: Response) -> list[str]:
    """Return the columns that the portal announces; it leaves empty fields out of its rows."""
    try:
        fields = json.loads(response.headers.get("X-SODA2-Fields", "[]"))
    except ValueError:
        return []
    return [field for field in fields if field not in SYSTEM and normalise(field)]
