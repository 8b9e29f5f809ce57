"""What `cityloom kpi` shows: an indicator's values, and how one of them came about.

`explain` follows a value all the way: definition, months, the very events in their mart, their rows
in `staging`, the loads and files that brought these, and what is in quarantine beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from catalog.facts import load_facts
from catalog.fields import did_you_mean
from catalog.generate import DBT_PROJECT, declared
from catalog.indicators import MONTH_END, WHOLE_CITY, Indicator, load_indicators
from catalog.models import Source
from warehouse.tiers import stricter_tiers

Row = dict[str, Any]


class KpiError(Exception):
    """There is no such indicator, city, area or period; has what there is."""


def indicator(metric_id: str) -> Indicator:
    """Return a declared indicator; raise `KpiError` naming the nearest ids."""
    known = {one.id: one for one in load_indicators()}
    if metric_id not in known:
        raise KpiError(f"there is no indicator {metric_id!r}; {did_you_mean(metric_id, known)}")
    return known[metric_id]


def values(
    url: str,
    metric_id: str,
    city: str | None = None,
    district: str = WHOLE_CITY,
    period: date | None = None,
    limit: int = 12,
) -> list[Row]:
    """Return an indicator's newest months, newest first: of one city or of each, of one area.

    `period`: any day of a month, for that month alone. Columns: city_id, district_id, period_start,
    is_complete, n, numerator, denominator, value, null_reason, target, moving_target (history,
    where no target is set), score, definition_version, is_restated, is_break, as_of.
    """
    indicator(metric_id)
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(
            """
            select city_id, district_id, period_start, is_complete, n, numerator, denominator,
              value, null_reason, target, moving_target, score, definition_version, is_restated,
              is_break, as_of
            from (
              select *, row_number() over (partition by city_id order by period_start desc) as nth
              from marts.fct_kpi
              where metric_id = %(metric)s and district_id = %(district)s
                and (%(city)s::text is null or city_id = %(city)s)
                and (%(period)s::date is null
                  or period_start = date_trunc('month', %(period)s::date))
            ) as newest
            where nth <= %(limit)s
            order by city_id, period_start desc
            """,
            {
                "metric": metric_id,
                "district": district,
                "city": city,
                "period": period,
                "limit": limit,
            },
        ).fetchall()


def scores(
    url: str, city: str, district: str = WHOLE_CITY, period: date | None = None
) -> list[Row]:
    """Return the parts of a city's or district's score of a month, the heaviest first.

    Of the newest month that has a total if no period is given. Columns: month, metric_id,
    metric_name, n, value, null_reason, target, score, weight, points, weight_covered, total_score.

    Raises `KpiError` where there is none.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute(
            """
            select month, metric_id, metric_name, n, value, null_reason, target, score, weight,
              points, weight_covered, total_score
            from reporting.rpt_area_score
            where city_id = %(city)s and district_id = %(district)s and month = coalesce(
              date_trunc('month', %(period)s::date)::date,
              (select max(month) from reporting.rpt_area_score
               where city_id = %(city)s and district_id = %(district)s
                 and total_score is not null))
            order by weight desc, metric_id
            """,
            {"city": city, "district": district, "period": period},
        ).fetchall()
    if not rows:
        raise KpiError(
            f"{city} {district} has no score"
            + (f" of {period:%Y-%m}" if period else "")
            + f"; it needs cities/{city}/weights.csv, targets, and complete months"
        )
    return rows


def city_id(url: str, named: str) -> str:
    """Return the id of a city that is named by its id, or as pages name it.

    Raises `KpiError` with what is meant, or the cities that there are.
    """
    with psycopg.connect(url) as connection:
        known: dict[str, str] = dict(
            connection.execute("select city_id, city_name from marts.dim_city").fetchall()
        )
    for one, name in known.items():
        if named == one or named.casefold() == name.casefold():
            return one
    raise KpiError(f"there is no city {named!r}; {did_you_mean(named, known)}")


def district_id(url: str, city: str, named: str) -> str:
    """Return the id of a city's district that is named by its id, or as pages name it.

    Raises `KpiError` with what is meant, or the districts that there are.
    """
    if named == WHOLE_CITY:
        return named
    with psycopg.connect(url) as connection:
        known: dict[str, str | None] = dict(
            connection.execute(
                "select district_id, district_name from marts.dim_district where city_id = %s"
                " order by district_id",
                [city],
            ).fetchall()
        )
    for one, name in known.items():
        if named == one or named.casefold() == (name or "").casefold():
            return one
    hint = did_you_mean(named, [*known, *filter(None, known.values())])
    raise KpiError(f"{city} has no district {named!r}; {hint if known else 'it has none at all'}")


def built_weights(url: str, city: str) -> dict[str, float]:
    """Return the weights of a city's score in the last build, by metric."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select metric_id, weight from staging.score_weight where city_id = %s", [city]
        )
        return {metric_id: float(weight) for metric_id, weight in rows}


def areas(url: str) -> list[Row]:
    """Return what has figures, as pages name it: a row an area and indicator, in their order.

    Columns: city_id, city_name, district_id (* is the whole city), area, metric_id, metric_name.
    Every reader may read them.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(
            "select city_id, city_name, district_id, area, metric_id, metric_name "
            "from reporting.rpt_area_measure "
            "order by city_name, district_id <> '*', area, metric_name"
        ).fetchall()


def explain(
    url: str,
    metric_id: str,
    city: str,
    district: str = WHOLE_CITY,
    period: date | None = None,
    limit: int = 10,
    cursor: type[psycopg.Cursor[Any]] = psycopg.Cursor,
) -> Row:
    """Return how the value of a month came about; of the newest full month if no period is given.

    Keys:

    - definition; value (a row of `values`);
    - months, the 12 up to this one: n, value, and why one is left out of the trailing year;
    - year, the figure of these months, where the newest trailing year ends with them: n, value,
      null_reason, months, covered_from and covered_until; else null;
    - query, the SQL of the month's events; events, at most `limit` of them with their source, load,
      file and row;
    - withheld, null or the number of `rows` that the reader's tier does not show; null where that
      is small, and then no event is listed;
    - notes, what a reader should know of its sources (a sample, old): title and note;
    - sources, each with its loads and files; quarantine, reasons and counts of the sources' rows
      that were not accepted. These two are null for a role that may not read them.

    `cursor` makes the statements. Raises `KpiError` where there is no such value.
    """
    one = indicator(metric_id)
    feeds = [
        source
        for known in declared(DBT_PROJECT)
        if known.city_id == city
        for source in known.sources
        if source.feeds == one.fact
    ]
    with psycopg.connect(url, row_factory=dict_row, cursor_factory=cursor) as connection:
        value = _value(connection, one, city, district, period)
        query = _events_query(one, value)
        year = _year(connection, one, value)
        withheld = _withheld(connection, one, city, query, value["n"])
        # Of a few that are withheld, one would follow from the value and the others.
        listed = withheld is None or withheld["rows"] is not None
        return {
            "definition": one.model_dump(mode="json")
            | {"formula": one.formula, "adds_up": one.adds_up},
            "value": value,
            "months": _months(connection, one, value, year),
            "year": year,
            "query": query.as_string(connection),
            "events": _events(connection, one, query, feeds, limit) if listed else [],
            "withheld": withheld,
            "notes": _notes(connection, city, feeds),
            **_loads_and_quarantine(connection, city, feeds),
        }


def _value(
    connection: psycopg.Connection[Row],
    one: Indicator,
    city: str,
    district: str,
    period: date | None,
) -> Row:
    row = connection.execute(
        """
        select city_id, district_id, period_start, is_complete, n, numerator, denominator, value,
          null_reason, target, moving_target, score, definition_version, is_restated, is_break,
          as_of
        from marts.fct_kpi
        where metric_id = %(metric)s and city_id = %(city)s and district_id = %(district)s
          and case when %(period)s::date is null then is_complete
            else period_start = date_trunc('month', %(period)s::date) end
        order by period_start desc limit 1
        """,
        {"metric": one.id, "city": city, "district": district, "period": period},
    ).fetchone()
    if row is not None:
        return row
    known = connection.execute(
        """
        select count(*) filter (where district_id = %(district)s) as of_area,
          min(period_start) as first, max(period_start) as last
        from marts.fct_kpi where metric_id = %(metric)s and city_id = %(city)s
        """,
        {"metric": one.id, "city": city, "district": district},
    ).fetchone()
    if known is None or known["first"] is None:
        raise KpiError(
            f"{city} has no {one.id}: no source of it feeds {one.fact}, or none is loaded"
        )
    if not known["of_area"]:
        raise KpiError(f"{one.id} is not known by district, or not of {district}; leave it out")
    months = f"months from {known['first']:%Y-%m} to {known['last']:%Y-%m}"
    raise KpiError(
        f"{one.id} of {city} has no value of {period:%Y-%m}; it has {months}"
        if period
        else f"{one.id} of {city} has {months}, and none is complete; name one with --period"
    )


def _events_query(one: Indicator, value: Row) -> sql.Composed:
    """Return the rows of the mart that the value of a month counts, as a query.

    By the version of the definition that computed it.
    """
    city, district, month = value["city_id"], value["district_id"], value["period_start"]
    key = load_facts(DBT_PROJECT)[one.fact].key[0]
    by = next(c for c in one.computations if c.version == value["definition_version"])
    end = f"'{month.isoformat()}'::date + interval '1 month'"
    month_end = f"least({end}, '{value['as_of'].isoformat()}'::timestamp)"
    parts = {
        "numerator": by.numerator or ("1" if one.aggregate in ("count", "stock") else None),
        "denominator": by.denominator,
        "sample": by.sample and by.sample.replace(MONTH_END, month_end),
    }
    given = [(name, text) for name, text in parts.items() if text is not None]
    columns = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(sql.SQL(text), sql.Identifier(name)) for name, text in given
    )
    where = [
        sql.SQL("city_id = {}").format(sql.Literal(city)),
        sql.SQL("({})").format(sql.SQL(by.where)),
    ]
    first_day = sql.Literal(month.isoformat())
    if one.left_at is None:
        counted = "date_trunc('month', {at}) = {month}::date"
    else:  # what there was when the month ended
        counted = f"{{at}} < {end} and coalesce({{left}} >= {end}, true)"
    where.append(
        sql.SQL(counted).format(
            at=sql.SQL(one.event_at), left=sql.SQL(one.left_at or "null"), month=first_day
        )
    )
    if (sample := parts["sample"]) is not None:
        where.append(sql.SQL("({}) is not null").format(sql.SQL(sample)))
    if district != WHOLE_CITY:
        where.append(sql.SQL("district_id = {}").format(sql.Literal(district)))
    return sql.SQL("select {}, {} as event_at, {} from marts.{} where {}").format(
        sql.Identifier(key),
        sql.SQL(one.event_at),
        columns,
        sql.Identifier(one.mart),
        sql.SQL(" and ").join(where),
    )


def _withheld(
    connection: psycopg.Connection[Row], one: Indicator, city: str, query: sql.Composed, n: int
) -> Row | None:
    """Return how many rows of a value the reader's tier does not show, if any.

    A small number is null: it would say how many restricted records there are of few.
    """
    stricter = connection.execute(
        "select from access.source where city_id = %s and fact = %s and tier = any(%s) limit 1",
        [city, one.fact, stricter_tiers(connection.info.user)],
    ).fetchone()
    if stricter is None:
        return None
    counted = connection.execute(
        sql.SQL("select count(*) as n from ({}) as event").format(query)
    ).fetchone()
    rows = n - counted["n"] if counted else 0
    if rows <= 0:
        return None
    return {"rows": rows if rows >= max(one.min_n, 10) else None}


def _origins(
    connection: psycopg.Connection[Row], feeds: list[Source], key: str, keys: list[Any]
) -> Callable[[Any], Row]:
    """Return what tells the source, load, file and row of an event by its key.

    `withheld` in place of the file where the role may not see it.
    """
    found: dict[Any, Row] = {}
    unknown: Row = {"source_id": None, "load_id": None, "file": None, "row": None}
    for source in feeds:
        try:
            with connection.transaction():
                rows = connection.execute(
                    sql.SQL(
                        "select {key} as key, _load_id as load_id, _source_file as file, "
                        "_source_row as row from staging.{} where {key} = any(%s)"
                    ).format(sql.Identifier(source.staging_model), key=sql.Identifier(key)),
                    [keys],
                ).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            unknown["file"] = "withheld"
            continue
        for row in rows:
            found.setdefault(row.pop("key"), {"source_id": source.source, **row})
    return lambda value: found.get(value, unknown)


def _events(
    connection: psycopg.Connection[Row],
    one: Indicator,
    query: sql.Composed,
    feeds: list[Source],
    limit: int,
) -> list[Row]:
    """Return the first events of a value, each with its source, load, file and row."""
    key = load_facts(DBT_PROJECT)[one.fact].key[0]
    events = connection.execute(
        sql.SQL("{} order by event_at, {} limit {}").format(
            query, sql.Identifier(key), sql.Literal(limit)
        )
    ).fetchall()
    origin = _origins(connection, feeds, key, [event[key] for event in events])
    return [event | origin(event[key]) for event in events]


def _year(connection: psycopg.Connection[Row], one: Indicator, value: Row) -> Row | None:
    """Return the newest trailing year of a value's area, if it ends with the value's month."""
    return connection.execute(
        """
        select year_n as n, year_value as value, year_null_reason as null_reason,
          year_months as months, year_covered_from as covered_from,
          year_covered_until as covered_until
        from reporting.rpt_kpi_scorecard
        where metric_id = %s and city_id = %s and district_id = %s and year_months is not null
          and year_end = (%s::date + interval '1 month')::date
        """,
        [one.id, value["city_id"], value["district_id"], value["period_start"]],
    ).fetchone()


def _notes(connection: psycopg.Connection[Row], city: str, feeds: list[Source]) -> list[Row]:
    """Return what a reader should know of the sources: that one is a sample, or old."""
    return connection.execute(
        """
        select title, note from reporting.rpt_service_status
        where city_id = %s and source_id = any(%s) and note <> ''
        order by title
        """,
        [city, [source.source for source in feeds]],
    ).fetchall()


def _months(
    connection: psycopg.Connection[Row], one: Indicator, value: Row, year: Row | None
) -> list[Row]:
    """Return the 12 months up to a value's: n, and why one is left out of the trailing `year`."""
    months = connection.execute(
        """
        select month::date as month, coalesce(kpi.n, 0) as n, kpi.is_complete, kpi.value,
          kpi.null_reason,
          case
            when kpi.n is null then 'no records'
            when not kpi.is_complete
              and kpi.as_of::date + 1 >= (month + interval '1 month')::date
              and kpi.as_of::date + 1 < (month + interval '1 month')::date + %(settle_days)s
              then 'too new: its value still changes with time'
            when not kpi.is_complete then 'the source does not cover the whole month'
          end as left_out
        from generate_series(
          %(month)s::date - interval '11 months', %(month)s::date, interval '1 month') as month
        left join marts.fct_kpi as kpi
          on kpi.period_start = month::date and kpi.metric_id = %(metric)s
          and kpi.city_id = %(city)s and kpi.district_id = %(district)s
        order by month
        """,
        {
            "month": value["period_start"],
            "metric": one.id,
            "city": value["city_id"],
            "district": value["district_id"],
            "settle_days": one.settle_days,
        },
    ).fetchall()
    kept = [row for row in months if not row["left_out"]]
    if year and year["months"] < len(kept):
        for row in kept:
            if row["null_reason"] in ("too_few", "derivable"):
                row["left_out"] = "withheld: it would follow from the year and the other months"
    return months


def _loads_and_quarantine(
    connection: psycopg.Connection[Row], city: str, feeds: list[Source]
) -> dict[str, list[Row] | None]:
    try:
        with connection.transaction():
            quarantine = connection.execute(
                """
                select source_id, reason, count(*) as rows
                from quality.quarantine, unnest(reasons) as reason
                where city_id = %s and source_id = any(%s)
                group by 1, 2 order by 3 desc, 1, 2
                """,
                [city, [source.source for source in feeds]],
            ).fetchall()
            sources = [_source(connection, city, one.source, one.staging_model) for one in feeds]
    except psycopg.errors.InsufficientPrivilege:
        return {"sources": None, "quarantine": None}
    return {"sources": sources, "quarantine": quarantine}


def _source(
    connection: psycopg.Connection[Row], city: str, source_id: str, staging_model: str
) -> Row:
    """Return a source with its accepted loads and their files."""
    loads = connection.execute(
        """
        select load_id, finished_at, rows_accepted,
          (select json_agg(json_build_object('path', f ->> 'path', 'sha256', f ->> 'sha256'))
           from jsonb_array_elements(files) as f) as files
        from quality.loads
        where city_id = %s and source_id = %s and state = 'accepted' order by load_id desc
        """,
        [city, source_id],
    ).fetchall()
    return {"source_id": source_id, "model": f"staging.{staging_model}", "loads": loads}
