"""The Socrata connector against a portal on loopback that pages as SODA 2.1 does."""

from __future__ import annotations

import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from catalog.models import Column, Reader, Source
from extract.connectors import connector
from extract.errors import ExtractError

RECORDINGS = Path(__file__).resolve().parents[4] / "shared/data/api_recordings/socrata"


class Portal:
    """A dataset behind `/resource/abcd-1234.json`; `answers` overrides what comes next."""

    def __init__(self, rows: list[dict], fields: list[str] | None = None, cap: int = 1000) -> None:
        self.cap = cap
        self.rows = sorted(rows, key=lambda row: (row[":updated_at"], row[":id"]))
        self.headers = {"X-SODA2-Fields": json.dumps(fields)} if fields else {}
        self.answers: list[tuple[int, bytes, dict]] = []
        self.requests: list[dict[str, str]] = []

    def answer(self, url: str) -> tuple[int, bytes, dict]:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        self.requests.append(asked)
        if self.answers:
            return self.answers.pop(0)
        assert asked["$order"] == ":updated_at,:id" and asked["$select"] == ":id,:updated_at,*"
        rows = self.rows
        where = asked.get("$where", "")
        if found := re.search(r"\(:updated_at > '(.+?)' OR .* AND :id > '(.+?)'\)\)", where):
            rows = [r for r in rows if (r[":updated_at"], r[":id"]) > found.groups()]
        elif found := re.search(r":updated_at >= '(.+?)'", where):
            rows = [r for r in rows if r[":updated_at"] >= found.group(1)]
        page = rows[: min(int(asked["$limit"]), self.cap)]
        return 200, json.dumps(page).encode(), self.headers


@pytest.fixture
def serve():
    servers = []

    def start(portal: Portal) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, body, headers = portal.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def read(url: str, cursor: str | None = None, **options):
    reader = Reader(
        connector="socrata",
        options={"domain": "data.city.example", "dataset": "abcd-1234", "base_url": url, **options},
    )
    source = Source(
        source="s", department="d", title="t", grain="g", owner="o", licence="l", tier="open",
        cadence="@daily", primary_key=("n",), read=reader, columns={"n": Column()},
    )  # fmt: skip
    batches = list(connector("socrata")(reader, source, Path(), cursor))
    rows = [row for batch in batches for row in batch.table.to_pylist()]
    return batches, rows


def dataset(count: int, same_moment: bool = False) -> list[dict]:
    return [
        {
            ":id": f"row-{n:04}",
            ":updated_at": "2024-05-01T00:00:00.000Z" if same_moment
            else f"2024-05-{n % 28 + 1:02}T00:00:00.000Z",
            "n": str(n),
        }
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("same_moment", [False, True])
def test_every_row_comes_once_even_where_all_share_a_moment(serve, same_moment):
    portal = Portal(dataset(57, same_moment))
    batches, rows = read(serve(portal), page_size=10)
    assert sorted(int(row["n"]) for row in rows) == list(range(57))
    assert len(portal.requests) == 7 and "$offset" not in str(portal.requests)
    assert batches[-1].cursor == portal.rows[-1][":updated_at"]
    assert [int(batch.rows[0]) for batch in batches[:-1]] == [1, 11, 21, 31, 41, 51]
    assert not len(batches[-1].rows)
    assert all(not name.startswith(":") for name in batches[0].table.schema.names)


def test_a_portal_that_caps_its_pages_is_read_to_the_end(serve):
    portal = Portal(dataset(57), cap=7)
    _, rows = read(serve(portal), page_size=1000)
    assert len(rows) == 57


def test_from_a_cursor_on_the_moment_itself_is_read_again(serve):
    portal = Portal(dataset(28))
    _, rows = read(serve(portal), cursor="2024-05-27T00:00:00.000Z", where="n > 3")
    assert [row["n"] for row in rows] == ["26", "27"]
    assert portal.requests[0]["$where"] == "(n > 3) AND :updated_at >= '2024-05-27T00:00:00.000Z'"


def test_nothing_new_is_no_error_and_keeps_the_position(serve):
    batches, rows = read(serve(Portal(dataset(5))), cursor="2025-01-01T00:00:00.000Z")
    assert rows == [] and batches[-1].cursor == "2025-01-01T00:00:00.000Z"


def test_columns_that_are_empty_everywhere_are_known_from_the_header(serve):
    batches, rows = read(serve(Portal(dataset(2), [":id", ":updated_at", "n", "landmark"])))
    assert batches[0].file.columns == ["n", "landmark"] and not batches[0].file.sparse
    assert rows[0] == {"n": "0", "landmark": None}


def test_a_portal_that_is_busy_is_asked_again(serve):
    portal = Portal(dataset(3))
    portal.answers = [
        (202, b'{"message":"processing"}', {"Retry-After": "1"}),
        (429, b"slow down", {"Retry-After": "1"}),
    ]
    _, rows = read(serve(portal))
    assert len(rows) == 3 and len(portal.requests) == 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, b'{"code":"not_found","error":true,"message":"Cannot find view"}', {}),
         "answered 404 in place of rows: Cannot find view"),
        ((200, b"<html>log in</html>", {}), "in place of rows: <html>"),
        ((200, b'[{"n": "1"}]', {}), "lack :id and :updated_at"),
        ((200, b"[1, 2]", {}), "lack :id and :updated_at"),
        ((200, b'[{"n": "1"}, {"n"', {}), "in place of rows"),
        ((200, b"[]", {"X-SODA2-Data-Out-Of-Date": "true"}), "out of date"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_data_is_reported(serve, answer, message):
    portal = Portal([])
    portal.answers = [answer]
    with pytest.raises(ExtractError, match=message):
        read(serve(portal))


def test_a_portal_that_cannot_be_reached_is_reported():
    with pytest.raises(ExtractError, match=r"cannot be reached.*load a snapshot"):
        read("http://127.0.0.1:9", attempts=1)


@pytest.mark.real_data
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no ../shared/data beside the checkout")
@pytest.mark.parametrize("name", ["nyc311_erm2-nwe9_page1000_2024.json", "y77d-th95.json.gz"])
def test_recorded_pages_are_read_whole(serve, name):
    data = (RECORDINGS / name).read_bytes()
    recorded = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)
    rows = [
        {":id": f"row-{n:05}", ":updated_at": "2024-05-27T03:00:00.000Z", **row}
        for n, row in enumerate(recorded)
    ]
    _, found = read(serve(Portal(rows)), page_size=300)
    assert len(found) == len(recorded)
    for row, original in zip(found, recorded, strict=True):
        assert {k for k, v in row.items() if v is not None} == {
            k for k, v in original.items() if v != ""
        }
    nested = next((k for k, v in recorded[0].items() if isinstance(v, dict)), None)
    assert nested is None or json.loads(found[0][nested]) == recorded[0][nested]
