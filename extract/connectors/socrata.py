"""`socrata`: a dataset of a Socrata portal (SODA 2.1), paged by key, by dlt's REST client."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from catalog.models import Reader, Source, normalise
from extract.batches import SourceBatch, SourceFile, numbered
from extract.connectors.declare import Connector, Options
from extract.connectors.records import from_objects
from extract.errors import ExtractError
from warehouse.reasons import Reason

if TYPE_CHECKING:
    from requests import Response

#: Fields that a portal keeps of its own; a full replace renews them all, so they are no content.
SYSTEM = (":id", ":created_at", ":updated_at")
#: 202 means that the portal is still working on the answer.
RETRIED = (202, 429, 500, 502, 503, 504)


def _host(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", value):
        raise ValueError(f"{value!r} is not the name of a portal; write one such as data.city.gov")
    return value


def _dataset(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{4}-[a-z0-9]{4}", value):
        raise ValueError(f"{value!r} is not a dataset's id; write it as in its URL: abcd-1234")
    return value


class SocrataOptions(Options):
    """Options of `socrata`."""

    domain: Annotated[str, AfterValidator(_host)] = Field(
        description="Name of the portal, such as data.cityofnewyork.us"
    )
    dataset: Annotated[str, AfterValidator(_dataset)] = Field(
        description="Id of the dataset, as in its URL: h9gi-nx95"
    )
    where: str | None = Field(
        None, min_length=1, description="Filter in SoQL, such as created_date > '2024'"
    )
    page_size: int = Field(10_000, ge=1, le=50_000, description="Rows asked for at a time")
    token_env: str = Field(
        "SOCRATA_APP_TOKEN",
        min_length=1,
        description="Name of the environment variable with an app token",
    )
    attempts: int = Field(5, ge=1, description="How often a page is asked for before giving up")
    base_url: str | None = Field(
        None, pattern="^https?://", description="URL of a portal behind another address"
    )


def read(
    options: SocrataOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield a dataset's rows, oldest change first; from the second load on those changed since.

    The position is the portal's `:updated_at`, with `:id` to tell rows of one moment apart, and
    never an offset, which shifts as rows change. Rows at the position itself are read again.
    """
    from dlt.sources.helpers.requests import Client
    from dlt.sources.helpers.rest_client import RESTClient
    from requests.exceptions import RequestException

    from extract.connectors.keyset import KeysetPaginator

    file = SourceFile(f"{options.domain}/{options.dataset}", sparse=True)
    token = os.environ.get(options.token_env)
    session = Client(
        raise_for_status=False,
        status_codes=RETRIED,
        request_max_attempts=options.attempts,
    ).session
    # dlt's retries wrap `send`; what comes out of them is final, and is looked at here.
    send = session.send
    session.send = lambda request, **given: _checked(  # type: ignore[method-assign]
        file.path, send(request, **given)
    )
    client = RESTClient(
        base_url=options.base_url or f"https://{options.domain}",
        headers={"X-App-Token": token} if token else None,
        session=session,
    )
    paginator = KeysetPaginator(options.where, cursor)
    pages = client.paginate(
        f"resource/{options.dataset}.json",
        params={
            "$select": ":id,:updated_at,*",
            "$order": ":updated_at,:id",
            "$limit": options.page_size,
        },
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
            f"{client.base_url}/resource/{options.dataset}.json",
            f"cannot be reached ({type(error).__name__})",
            "check the network and options.domain, or load a snapshot",
            reason=Reason.SOURCE_UNREACHABLE,
        ) from error


SOCRATA = Connector(
    "A dataset of a Socrata portal, paged by key", SocrataOptions, read, reads_files=False
)


def _checked(place: str, response: Response) -> Response:
    """Return an answer that is rows, and the newest ones; raise `ExtractError` for any other."""
    if response.headers.get("X-SODA2-Data-Out-Of-Date", "").lower() == "true":
        raise ExtractError(
            place,
            "the portal answers from a copy that is out of date",
            "load it again later",
            reason=Reason.SOURCE_UNREACHABLE,
        )
    from requests.exceptions import JSONDecodeError

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
            reason=Reason.SOURCE_UNREACHABLE,
        )
    message = answer.get("message") if isinstance(answer, dict) else response.text[:120].strip()
    raise ExtractError(
        place,
        f"the portal answered {response.status_code} in place of rows",
        "check domain, dataset and where under `options:`, or load it again later",
        quoted=str(message or ""),
        reason=Reason.SOURCE_UNREACHABLE,
    )


def _fields(response: Response) -> list[str]:
    """Return the columns that the portal announces; it leaves empty fields out of its rows."""
    try:
        fields = json.loads(response.headers.get("X-SODA2-Fields", "[]"))
    except ValueError:
        return []
    return [field for field in fields if field not in SYSTEM and normalise(field)]
