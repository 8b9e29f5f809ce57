"""The gate between `stage` and `raw`: what a load must satisfy before its rows are accepted.

Thresholds on the load as a whole come first and are cheap; only a load that staged something
needs Great Expectations, whose import costs seconds and happens here, late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql

from catalog.models import Source
from expectations import docs, thresholds
from expectations.outcomes import GateReport, Outcome
from extract import load as loader
from extract.errors import SafeError
from extract.load import LoadError, LoadReport, ledger
from extract.redact import safe_errors, safe_path, safe_text
from warehouse.reasons import Reason

__all__ = ["GateError", "GateReport", "Outcome", "run"]

#: Reasons for quarantine that a report's summary names.
SHOWN = 5
#: Failing rows by the reasons of all the rules that they failed; dropped with the transaction.
_FAILED = sql.SQL(
    """create temporary table gate_failed on commit drop as
       select _source_file, _source_row, array_agg(reason order by rule) as reasons
       from ({}) hits group by 1, 2"""
)
_HITS = sql.SQL(
    "select _source_file, _source_row, {rule} as rule, {reason}::text as reason from ({query}) q"
)


_THRESHOLDS = {
    "gate.min_rows": Reason.TOO_FEW_ROWS,
    "gate.max_drop": Reason.VOLUME_DROP,
    "gate.max_quarantined": Reason.TOO_MANY_QUARANTINED,
}


class GateError(SafeError):
    """A load that cannot be checked; says which and why."""


def run(source: Source, load_id: int, warehouse_url: str, docs_dir: Path) -> GateReport:
    """Check a staged load by its source's expectations; commit it or block it.

    A `critical` failure, or one of the thresholds of the manifest's `gate`, blocks the load: raw,
    cursor and quarantine stay as they were and `message` says why. Rows that fail a `row`
    expectation go to `quality.quarantine` with all their reasons; the rest is committed. `info`
    is only recorded. A report in HTML goes to `docs_dir/<city>/<source>/<load_id>.html`, and
    every outcome to `quality.expectation_results`.

    For a load that is already unchanged only the thresholds are checked. One that is accepted or
    blocked is reported as it is, so a retry is safe. Raises `GateError` for any other state.
    """
    docs_dir = Path(docs_dir)
    with (
        safe_errors(source),
        psycopg.connect(warehouse_url, autocommit=True) as connection,
    ):
        load = ledger.report(connection, load_id)
        if (load.city_id, load.source_id) != (source.city_id, source.source):
            raise GateError(
                f"load {load_id} is of {load.city_id}/{load.source_id}, not of "
                f"{source.city_id}/{source.source}"
            )
        if load.state in ("staging", "failed"):
            raise GateError(
                f"load {load_id} of {load.city_id}/{load.source_id} is {load.state}, so there is "
                "nothing to check; run the source again"
            )
        outcomes: list[Outcome] = []
        if load.state in ("staged", "unchanged"):
            load, outcomes = _decide(connection, source, load, warehouse_url, docs_dir)
        docs.write_index(connection, docs_dir)
        reasons = ledger.quarantine_reasons(connection, load, SHOWN)
    return GateReport(load, tuple(outcomes), tuple(reasons))


def _decide(
    connection: psycopg.Connection,
    source: Source,
    load: LoadReport,
    warehouse_url: str,
    docs_dir: Path,
) -> tuple[LoadReport, list[Outcome]]:
    previous = ledger.last_kept(connection, source, load.mode, before=load.load_id)
    outcomes = thresholds.volume(source, load, previous)
    if thresholds.dropped(outcomes):
        outcomes = thresholds.volume(source, load, previous, _raw_keys(connection, source))
    outcomes.append(thresholds.quarantined(source, load, 0, _frequent_reasons(connection, load)))
    result = None
    if load.state == "staged" and not _failures(outcomes):
        from expectations.checks import check  # imports Great Expectations

        checked = check(source, warehouse_url)
        result = checked.result
        outcomes = [*checked.outcomes, *outcomes]
        if not _failures(outcomes):
            limit = _quarantine(connection, source, load, checked.failed("row"))
            outcomes[-1] = limit
    failures = _failures(outcomes)
    message = safe_text(_message(source, load, failures), source) if failures else None
    if load.state == "staged" or failures:
        page = docs.write_page(source, load, outcomes, message, result, docs_dir)
        connection.execute(
            "update quality.loads set data_docs = %s where load_id = %s", [str(page), load.load_id]
        )
    _record(connection, load, outcomes)
    if message is not None:
        loader.block(load.load_id, warehouse_url, message, _reason(failures))
    elif load.state == "staged":
        loader.commit(load.load_id, warehouse_url, source)
    return ledger.report(connection, load.load_id), outcomes


def _quarantine(
    connection: psycopg.Connection, source: Source, load: LoadReport, failed: Sequence[Outcome]
) -> Outcome:
    """Move the rows that failed to quarantine, unless they are too many; return that threshold.

    The rows never leave the server: the queries that found them are joined into one statement.
    """
    if not failed:
        return thresholds.quarantined(source, load, 0, _frequent_reasons(connection, load))
    hits = sql.SQL(" union all ").join(
        _HITS.format(
            rule=sql.Literal(number),
            reason=sql.Literal(outcome.reason),
            query=sql.SQL(cast(str, outcome.query)),  # what looks at rows has one
        )
        for number, outcome in enumerate(failed)
    )
    with ledger.source_lock(connection, source), connection.transaction():
        connection.execute("set local work_mem = '64MB'")  # a stage may have a million rows
        if ledger.report(connection, load.load_id).state != "staged":
            raise LoadError(f"load {load.load_id} was taken over by a later load of its source")
        connection.execute(_FAILED.format(hits))
        ((rows,),) = connection.execute("select count(*) from gate_failed").fetchall()
        worst = sorted(failed, key=lambda outcome: -(outcome.unexpected_rows or 0))
        limit = thresholds.quarantined(
            source,
            load,
            rows,
            [f"{outcome.reason} ({outcome.unexpected_rows})" for outcome in worst[:3]],
        )
        if limit.success:
            loader.quarantine_rows(
                connection,
                source,
                load.load_id,
                sql.SQL("select _source_file, _source_row, reasons from gate_failed"),
            )
    return limit


def _failures(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [o for o in outcomes if o.severity == "critical" and not o.success]


def _reason(failures: Sequence[Outcome]) -> Reason:
    """Return the code of the first threshold that failed, else that of a failed expectation."""
    codes = (_THRESHOLDS.get(outcome.expectation) for outcome in failures)
    return next(filter(None, codes), Reason.EXPECTATION_FAILED)


def _raw_keys(connection: psycopg.Connection, source: Source) -> thresholds.RawKeys:
    """Count the keys in `raw`, in all and by file."""
    rows = connection.execute(
        sql.SQL(
            """select _source_file, count(distinct ({})) from {}
               group by grouping sets ((), (_source_file))"""
        ).format(
            sql.SQL(", ").join(sql.Identifier(name) for name in source.primary_key),
            sql.Identifier("raw", source.raw_table),
        )
    ).fetchall()
    by_file: Counter[str] = Counter()
    total = 0
    for path, keys in rows:
        if path is None:
            total = keys
        else:
            by_file[safe_path(path, source)] += keys
    return thresholds.RawKeys(total, dict(by_file))


def _frequent_reasons(connection: psycopg.Connection, load: LoadReport) -> list[str]:
    """Return the most frequent reasons for which rows of this load are in quarantine so far."""
    found = ledger.quarantine_reasons(connection, load)
    return [f"{reason} ({count})" for reason, count in found]


def _message(source: Source, load: LoadReport, failures: Sequence[Outcome]) -> str:
    parts = [_explain(load, outcome) for outcome in failures]
    name = f"{source.city_id}/{source.source}"
    return (
        f"{name}: load {load.load_id} is blocked; raw and the marts stay as they were. "
        + " ".join(f"{part}." for part in parts)
    )


def _explain(load: LoadReport, outcome: Outcome) -> str:
    if outcome.expectation.startswith("gate."):
        return outcome.reason
    parts = [outcome.reason]
    if outcome.unexpected_rows is not None:
        parts.append(f"in {outcome.unexpected_rows} of {load.rows_staged} new or changed rows")
    if outcome.values:
        parts.append("such as " + ", ".join(repr(value) for value in outcome.values[:3]))
    if outcome.rows:
        places = ", ".join(f"{file} row {row}" for file, row in outcome.rows[:3])
        parts.append(f"at {places}")
    return (
        f"{' '.join(parts)} ({outcome.expectation}, severity critical). Have the department mend "
        f"the file and load it again; if the rule is wrong, change it in {outcome.place}"
    )


def _record(connection: psycopg.Connection, load: LoadReport, outcomes: Sequence[Outcome]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from quality.expectation_results where load_id = %s", [load.load_id])
        cursor.executemany(
            """insert into quality.expectation_results
               (load_id, expectation, column_name, severity, success, unexpected_rows, observed)
               values (%s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    load.load_id,
                    o.expectation,
                    o.column,
                    o.severity,
                    o.success,
                    o.unexpected_rows,
                    o.observed,
                )
                for o in outcomes
            ],
        )
