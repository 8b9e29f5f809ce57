"""`sql`: a table or query of a department's database, by SQLAlchemy."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from catalog.models import Column, Reader, Source, normalise
from catalog.problems import refuse
from extract.batches import SourceBatch, SourceFile, no_rows, numbered
from extract.connectors.declare import Connector, Options
from extract.connectors.files import check_inside
from extract.connectors.records import ROWS, from_rows
from extract.errors import ExtractError
from warehouse.reasons import Reason

if TYPE_CHECKING:
    import sqlalchemy as sa


def _url(value: str) -> str:
    if not re.match(r"[a-z][a-z0-9_]*(\+[a-z0-9_]+)?://", value):
        raise ValueError(
            "is not a URL of a database; write one as SQLAlchemy does, such as "
            "postgresql+psycopg://reader:${LINE_PASSWORD}@host/name or sqlite:///parks/line.db"
        )
    parts = urlsplit(value)
    options = unquote(parts.query)
    passwords = [parts.password, *re.findall(r"(?i)(?:password|passwd|pwd)=([^&;]*)", options)]
    if any(password and not re.fullmatch(r"(\$\{\w+\})+", password) for password in passwords):
        raise ValueError("holds a password; write ${NAME} and set NAME in the environment")
    path = PurePosixPath(parts.path.removeprefix("/"))
    if value.startswith("sqlite") and (path.is_absolute() or ".." in path.parts):
        raise ValueError(
            "leaves the city's drop folder; put the database there, and write its place in it, "
            "such as sqlite:///parks/line.db"
        )
    return value


class SqlOptions(Options):
    """Options of `sql`."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="URL of the database as SQLAlchemy writes it; ${NAME} is taken from the "
        "environment, and a SQLite path is relative to the city's drop folder"
    )
    table: str | None = Field(
        None, min_length=1, description="Table to read, with its schema if need be"
    )
    query: str | None = Field(None, min_length=1, description="Query to read in place of a table")

    @model_validator(mode="after")
    def _table_or_query(self) -> SqlOptions:
        if self.table is None and self.query is None:
            refuse([("table", "is missing; add it, or query")])
        if self.table is not None and self.query is not None:
            refuse([("query", "cannot be combined with table; remove one of them")])
        return self


def read(
    options: SqlOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the rows of a table or query; from the second load on those from the cursor on.

    Rows at the cursor itself are read again, since others may share its value. SQLite files are
    opened read-only.
    """
    import sqlalchemy as sa

    table, query = options.table, options.query
    engine, file = _engine(options.url, base_dir)
    file.path = f"{file.path}:{table or 'query'}"
    try:
        with engine.connect() as connection:
            statement = _statement(connection, source, table, query, cursor)
            result = connection.execution_options(stream_results=True).execute(statement)
            file.columns = list(result.keys())
            yield SourceBatch(file, no_rows(file.columns), numbered(1, 0))
            first = 1
            while rows := result.fetchmany(ROWS):
                yield SourceBatch(file, from_rows(rows, file.columns), numbered(first, len(rows)))
                first += len(rows)
    except sa.exc.SQLAlchemyError as error:
        raise ExtractError(
            file.path,
            "cannot be read",
            "check table and query under `options:`, or fetch the file again"
            if file.sha256
            else "check url, table and query under `options:`, and whether the server is up",
            quoted=str(getattr(error, "orig", None) or error).splitlines()[0],
            reason=Reason.MALFORMED_FILE if file.sha256 else Reason.SOURCE_UNREACHABLE,
        ) from error
    finally:
        engine.dispose()


SQL = Connector("A table or query of a database", SqlOptions, read, reads_files=False)


def _engine(url: str, base_dir: Path) -> tuple[sa.Engine, SourceFile]:
    import sqlalchemy as sa

    unset = sorted(name for name in re.findall(r"\$\{(\w+)\}", url) if name not in os.environ)
    if unset:
        raise ExtractError(
            "options.url",
            f"names {', '.join(unset)}, which is not set",
            "set it in the environment",
            reason=Reason.WRONG_MANIFEST,
        )
    try:
        parsed = sa.make_url(_expanded(url))
        parsed.get_dialect()
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
        driver = url.partition(":")[0]
        raise ExtractError(
            "options.url",
            f"cannot be used: no driver {driver!r}, or no URL",
            "correct it",
            reason=Reason.WRONG_MANIFEST,
        ) from error
    if parsed.get_backend_name() != "sqlite":
        port = f":{parsed.port}" if parsed.port else ""
        place = f"{parsed.host or 'localhost'}{port}/{parsed.database or ''}"
        return sa.create_engine(parsed), SourceFile(place)
    path = Path(os.path.normpath(base_dir / (parsed.database or "")))
    check_inside(path, base_dir)
    if not path.is_file():
        raise ExtractError(
            str(path),
            "no such database",
            "put it there, or correct options.url",
            reason=Reason.FILE_MISSING,
        )
    with path.open("rb") as opened:
        _check_whole(path, opened.read(100))
        opened.seek(0)
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True),
        poolclass=sa.NullPool,
    )
    return engine, SourceFile(str(parsed.database), sha256, path.stat().st_size)


def _expanded(url: str) -> str:
    """Return a URL with each ${NAME} replaced by its value in the environment.

    An @ in a password would end it too early, and the rest be taken, and shown, for the host.
    """
    login, at, rest = url.rpartition("@")
    login = re.sub(r"\$\{(\w+)\}", lambda name: os.environ[name[1]].replace("@", "%40"), login)
    return login + at + os.path.expandvars(rest)


def _check_whole(path: Path, header: bytes) -> None:
    """Raise unless the file is as long as its header says; SQLite reads missing bytes as zeros."""
    if not header:
        raise ExtractError(str(path), "the file is empty", "fetch it from the source again")
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
        raise ExtractError(
            str(path),
            "is no SQLite database",
            "the source may have answered with a page or an error; fetch the file again",
        )
    size, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    counted = header[24:28] == header[92:96]  # old writers leave the count of pages stale
    expected = (65_536 if size == 1 else size) * pages
    if counted and path.stat().st_size < expected:
        raise ExtractError(
            str(path),
            f"has {path.stat().st_size} of {expected} bytes: the database is truncated",
            "fetch it again",
        )


def _statement(
    connection: sa.Connection,
    source: Source,
    table: str | None,
    query: str | None,
    cursor: str | None,
) -> sa.Select:
    import sqlalchemy as sa

    origin: sa.FromClause
    if table:
        schema, _, bare = table.rpartition(".")
        origin = sa.table(sa.quoted_name(bare, True), schema=schema or None)
    else:
        origin = sa.text((query or "").rstrip().rstrip(";")).columns().subquery("source_query")
    statement = sa.select(sa.text("*")).select_from(origin)
    if cursor is None or source.cursor is None:
        return statement
    column = source.columns[source.cursor]
    names = connection.execute(statement.limit(0)).keys()
    wanted = {normalise(alias) for alias in (source.cursor, *column.aliases)}
    name = next((name for name in names if normalise(name) in wanted), None)
    if name is None:  # the loader reports the missing column
        return statement
    return statement.where(sa.column(name) >= _bound(connection, cursor, column)).order_by(
        sa.column(name)
    )


def _bound(connection: sa.Connection, cursor: str, column: Column) -> object:
    if connection.dialect.name == "sqlite" and column.type in ("timestamp", "date"):
        # SQLite compares times as text. Written with a space, a cursor is never above a time
        # of its own that is written with a T or with fractions.
        return cursor.replace("T", " ")
    if column.type in ("timestamp", "date"):
        moment = datetime.fromisoformat(cursor)
        return moment if column.type == "timestamp" else moment.date()
    return int(cursor) if column.type == "integer" else cursor
