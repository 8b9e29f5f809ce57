"""What becomes of a staged load: its rows are committed to `raw`, or it is blocked."""

from __future__ import annotations

import psycopg
from psycopg import sql

from catalog.models import Source
from extract.load import ledger, tables
from extract.load.ledger import LoadError, LoadReport, source_lock
from warehouse.reasons import Reason

#: From this many rows on a load that is large beside its table is attached to it as a whole.
ATTACH_ROWS = 50_000


def commit(load_id: int, warehouse_url: str, source: Source) -> LoadReport:
    """Append a staged load to `raw`, with its counts and cursor, in one transaction.

    Committing an accepted or unchanged load again changes nothing. Raises `LoadError` for a load
    that is not staged, or whose row counts do not reconcile.
    """
    with (
        psycopg.connect(warehouse_url, autocommit=True) as connection,
        source_lock(connection, source),
    ):
        load = ledger.report(connection, load_id)
        load.check_source(source)
        if load.state in ledger.KEPT:
            return load
        if load.state != "staged":
            raise LoadError(f"load {load_id} is {load.state}, not staged; run the source again")
        load.check_counts()
        staged = load.rows_staged
        with connection.transaction():
            _promote(connection, source, load_id, staged)
            connection.execute(
                """update quality.loads set state = %s, rows_accepted = %s,
                   finished_at = clock_timestamp() where load_id = %s""",
                ["accepted" if staged else "unchanged", staged, load_id],
            )
        _analyze(connection, source)
        return ledger.report(connection, load_id)


def block(
    load_id: int, warehouse_url: str, message: str, reason: Reason = Reason.EXPECTATION_FAILED
) -> None:
    """Keep a load out of `raw`: drop what it staged, and record why, with the remedy.

    An unchanged load can be blocked too (its volume may have dropped). Raises `LoadError` for
    one that is accepted or failed.
    """
    with psycopg.connect(warehouse_url, autocommit=True) as connection, connection.transaction():
        load = ledger.report(connection, load_id)
        if load.state not in ("staged", "unchanged", "blocked"):
            raise LoadError(f"load {load_id} is {load.state}: it cannot be blocked any more")
        if load.state == "staged":
            name = f"{load.city_id}__{load.source_id}"
            connection.execute(
                sql.SQL("drop table if exists {}").format(sql.Identifier("stage", name))
            )
        # What it would have added counts as quarantined: read = accepted + unchanged + quarantined.
        connection.execute(
            """update quality.loads set state = 'blocked', message = %s, reason_code = %s,
                 rows_quarantined = rows_quarantined
                   + case when state = 'staged' then rows_new + rows_changed else 0 end,
                 finished_at = clock_timestamp() where load_id = %s""",
            [message, reason.value, load_id],
        )


def _promote(connection: psycopg.Connection, source: Source, load_id: int, staged: int) -> None:
    """Append the stage to raw, and drop it.

    A load that is large beside what raw holds (a first load, above all) is not copied a second
    time: its table becomes a child of raw's, in which PostgreSQL finds its rows as if they were
    raw's own. There are few such children, because each at least adds half to the table.
    """
    raw = sql.Identifier("raw", source.raw_table)
    stage_table = sql.Identifier("stage", source.raw_table)
    columns = tables.table_columns(connection, "stage", source.raw_table)
    present = tables.table_columns(connection, "raw", source.raw_table)
    extra = {name: kind for name, kind in columns.items() if name not in present}
    tables.add_columns(connection, "raw", source.raw_table, extra)
    late = {name: kind for name, kind in present.items() if name not in columns}
    tables.add_columns(connection, "stage", source.raw_table, late)
    ((accepted_before,),) = connection.execute(
        """select coalesce(sum(rows_accepted), 0) from quality.loads
           where city_id = %s and source_id = %s and state = 'accepted'""",
        [source.city_id, source.source],
    ).fetchall()
    if staged >= ATTACH_ROWS and staged >= accepted_before / 2:
        tables.attach_stage(connection, source, load_id)
        return
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    appended = connection.execute(
        sql.SQL("insert into {} ({names}) select {names} from {}").format(
            raw, stage_table, names=names
        )
    ).rowcount
    if appended != staged:
        raise LoadError(
            f"load {load_id} says it staged {staged} rows, but stage.{source.raw_table} has "
            f"{appended}; run the source again"
        )
    tables.drop_stage(connection, source)


def _analyze(connection: psycopg.Connection, source: Source) -> None:
    """Update the planner's statistics of what dbt sorts and joins by; autovacuum is too late."""
    keys = dict.fromkeys([*source.primary_key, "_load_id", "_source_row"])
    # A tenth of the usual sample distinguishes a key from a category well enough.
    connection.execute("set default_statistics_target = 10")
    connection.execute(
        sql.SQL("analyze {} ({})").format(
            sql.Identifier("raw", source.raw_table),
            sql.SQL(", ").join(sql.Identifier(name) for name in keys),
        )
    )
