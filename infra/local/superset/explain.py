"""The page that explains a figure, `/explain/`: what `cityloom kpi explain` prints, for readers.

It asks the warehouse by the reader's own login, so that PostgreSQL decides which records there are.
Tables of measures link to it (`rpt_area_measure.explanation`). Runs in Superset's own environment.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from flask import Blueprint, Response, g, make_response, render_template, request
from psycopg import sql
from superset.views.utils import redirect_to_login

from catalog.indicators import WHOLE_CITY
from catalog.measure_text import (
    measure_text,
    null_reason_text,
    three_digits,
    year_measure_text,
)
from infra.local.settings import load_settings
from infra.local.superset.readers import signature, warehouse_login
from warehouse import kpi

blueprint = Blueprint(
    "explain", __name__, url_prefix="/explain", template_folder=str(Path(__file__).parent)
)
MOST_EVENTS = 100


@blueprint.get("/")
def page() -> Response:
    """Show how a figure came about; without one, or where there is none, what to choose from."""
    user = getattr(g, "user", None)
    if user is None or user.is_anonymous:
        return redirect_to_login()
    asked = {
        name: request.args.get(name, "").strip()
        for name in ("city", "indicator", "district", "period")
    }
    url = load_settings().database_url(warehouse_login(user))
    areas = kpi.areas(url)
    cities = {row["city_id"] for row in areas if row["district_id"] == asked["district"]}
    if not asked["district"] or (cities and asked["city"] not in cities):
        asked["district"] = WHOLE_CITY  # also where it is one of the city that the form had before
    shown: dict[str, Any] = {"asked": asked, **_choices(areas, asked["city"])}
    status = 200
    try:
        if asked["city"] and asked["indicator"]:
            shown |= _explained(url, asked, user.username)
    except (kpi.KpiError, ValueError, psycopg.DataError) as error:
        shown, status = shown | {"problem": str(error)}, 404
    except psycopg.errors.QueryCanceled:
        problem = "This takes longer than a page may ask; `cityloom kpi explain` may take its time."
        shown, status = shown | {"problem": problem}, 503
    except psycopg.errors.InsufficientPrivilege:
        one = kpi.indicator(asked["indicator"])
        definition = one.model_dump(mode="json") | {"formula": one.formula}
        shown |= {"is_refused": True, "definition": definition}
    answer = make_response(render_template("explain.html", **shown), status)
    answer.headers["Cache-Control"] = "no-store"  # a browser may be the next reader's
    return answer


def _choices(areas: list[dict[str, Any]], city: str) -> dict[str, Any]:
    """Return what the form offers: each a list of (id, name), of the city where one is chosen."""
    here = [row for row in areas if row["city_id"] == city]
    return {
        "cities": _unique(areas, "city_id", "city_name"),
        "indicators": sorted(
            _unique(here or areas, "metric_id", "metric_name"), key=lambda one: one[1]
        ),
        "districts": _unique(here, "district_id", "area") or [(WHOLE_CITY, "Whole city")],
    }


def _unique(rows: list[dict[str, Any]], key: str, name: str) -> list[tuple[str, str]]:
    return list({row[key]: row[name] for row in rows}.items())


def _explained(url: str, asked: dict[str, str], username: str) -> dict[str, Any]:
    """Return what the page shows of a figure. Raises as `kpi.explain`, or `ValueError`."""
    month = _month(asked["period"])
    found = kpi.explain(
        url,
        asked["indicator"],
        asked["city"],
        kpi.district_id(url, asked["city"], asked["district"]),
        month,
        max(1, min(request.args.get("rows", 10, type=int), MOST_EVENTS)),
        cursor=_signed_by(username),
    )
    unit, aggregate = found["definition"]["unit"], found["definition"]["aggregate"]

    def text(value: float | None) -> str:
        return measure_text(value, unit, aggregate)

    def year_text(value: float | None) -> str:
        return year_measure_text(value, unit, aggregate)

    def reason(row: dict[str, Any]) -> str:
        return null_reason_text(row["null_reason"], row["n"], found["definition"]["min_n"])

    asked["district"] = found["value"]["district_id"]  # it may have been named
    if all(event["file"] == "withheld" for event in found["events"]):
        for event in found["events"]:
            del event["source_id"], event["load_id"], event["file"], event["row"]
    texts = {"text": text, "year_text": year_text, "reason": reason, "cell": _cell}
    return {**found, **texts, "most_events": MOST_EVENTS}


def _month(text: str) -> date | None:
    """Return the first day of a month given as 2024-06 or 2024-06-30; none where nothing is."""
    if not text:
        return None
    try:
        return datetime.strptime(text[:7], "%Y-%m").date()
    except ValueError as error:
        raise ValueError(f"{text!r} is no month; write it as 2024-06") from error


def _cell(value: Any) -> str:
    """Return a value of an event as text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (
            f"{value:%Y-%m-%d %H:%M}" if value.time() != value.time().min else f"{value:%Y-%m-%d}"
        )
    if isinstance(value, float | Decimal):
        return f"{value:,.0f}" if value == int(value) else three_digits(float(value))
    return str(value)


def _signed_by(username: str) -> type[psycopg.Cursor[Any]]:
    """Return a cursor whose statements name the user, for the server's log."""
    signed = sql.SQL(signature(username))  # type: ignore[arg-type]

    # Values are put in by the client: the log then has the statement as it begins.
    class Signed(psycopg.ClientCursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            text = query if isinstance(query, sql.Composable) else sql.SQL(query)
            return super().execute(signed + text, *arguments, **options)

    return Signed
