"""`cityloom kpi`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.measure_text import (
    measure_text,
    null_reason_text,
    three_digits,
    year_measure_text,
)
from cli.display import Json, echo, print_json, print_table, styled
from infra import contract

if TYPE_CHECKING:
    from catalog.models import City

app = typer.Typer(
    help="Indicators: what they mean, their values, and how a value came about. "
    "Example: `cityloom kpi list`"
)

Metric = Annotated[str, typer.Argument(help="Id of the indicator; `cityloom kpi list` has them.")]
District = Annotated[str, typer.Option(help="District, by its id or name; * is the whole city.")]
Period = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m", "%Y-%m-%d"], help="Month, as 2024-06.")
]


@app.command("list")
def list_(
    field: Annotated[str | None, typer.Argument(help="Only this field of work.")] = None,
    json: Json = False,
) -> None:
    """List the indicators that are declared. Example: cityloom kpi list waste."""
    from catalog.indicators import load_indicators

    found = [
        one
        for one in load_indicators()
        if field is None or one.field.lower().startswith(field.lower())
    ]
    if not found:
        fields = ", ".join(sorted({one.field for one in load_indicators()}))
        raise typer.BadParameter(f"no indicator is of the field {field!r}; use one of: {fields}")
    if json:
        print_json(
            [
                one.model_dump(mode="json") | {"formula": one.formula, "adds_up": one.adds_up}
                for one in found
            ]
        )
        return
    columns = ["indicator", "name", "unit", "better", "least n", "version", "field"]
    print_table(
        columns,
        [
            [one.id, one.name, one.unit, one.direction, one.min_n, one.version, one.field]
            for one in found
        ],
    )


@app.command()
def show(
    indicator: Metric,
    city: Annotated[str | None, typer.Option(help="Only this city, by its id or name.")] = None,
    district: District = "*",
    period: Period = None,
    json: Json = False,
) -> None:
    """Show an indicator's values, newest months first.

    Example: cityloom kpi show closed_on_time_pct --city demo --district D01
    """
    from warehouse import kpi

    url = contract.load_deployment().database_url("analyst")
    one = kpi.indicator(indicator)
    if city is not None:
        city = kpi.city_id(url, city)
        district = kpi.district_id(url, city, district)
    rows = kpi.values(url, indicator, city, district, period.date() if period else None)
    if json:
        print_json({"definition": one.model_dump(mode="json"), "values": rows})
        return
    echo(f"{one.name}, {one.unit}: {one.meaning}")
    if not rows:
        of = "" if district == "*" else f" of a district {district!r}"
        of += f" in {period:%Y-%m}" if period else ""
        echo(f"no values{of}: no city's source has such records, or none is loaded")
        return
    columns = ["city_id", "district_id", "period_start", "n", "value", "null_reason", "target"]
    shown = [_by_unit(row, one.unit, one.aggregate) for row in rows]
    print_table([*columns, "moving_target", "score", "is_complete"], shown)


@app.command()
def score(
    city: Annotated[str, typer.Argument(help="City, by its id or name.")],
    district: District = "*",
    period: Period = None,
    json: Json = False,
) -> None:
    """Show the score of a city or district, and the indicators that it is made of.

    Example: cityloom kpi score demo --district D05 --period 2025-06
    """
    from catalog.indicators import load_indicators
    from extract.manifests import load_cities
    from warehouse import kpi

    url = contract.load_deployment().database_url("analyst")
    city = kpi.city_id(url, city)
    district = kpi.district_id(url, city, district)
    rows = kpi.scores(url, city, district, period.date() if period else None)
    declared = {one.id: one for one in load_indicators()}
    for known in load_cities().cities:
        if known.city_id == city and _weights_of(known) != kpi.built_weights(url, city):
            echo(
                f"warning: cities/{city}/weights.csv is not what the last build read; "
                f"`cityloom run {city}` builds with it",
                err=True,
            )
    total, covered = rows[0]["total_score"], rows[0]["weight_covered"]
    if json:
        print_json({"score": total, "weight_covered": covered, "parts": rows})
        return
    shown = "none: less than half of the weight has a score" if total is None else f"{total:.3f}"
    echo(f"{city} {district} {rows[0]['month']:%Y-%m}: {shown} (0 to 2, 1 is targets met)")
    echo(f"  made of {covered:.0%} of the weight in cities/{city}/weights.csv")
    columns = ["metric_id", "n", "value", "null_reason", "target", "score", "weight", "points"]
    parts = [(row, declared[row["metric_id"]]) for row in rows]
    print_table(columns, [_by_unit(row, one.unit, one.aggregate) for row, one in parts])


@app.command()
def explain(
    indicator: Metric,
    city: Annotated[str, typer.Option(help="City, by its id or name.")],
    district: District = "*",
    period: Period = None,
    limit: Annotated[int, typer.Option(help="How many events are listed.")] = 10,
    json: Json = False,
) -> None:
    """Explain a month's value: definition, parts, events, files, what was left out.

    Example: cityloom kpi explain closed_on_time_pct --city demo --district Eastgate
    """
    from warehouse import kpi

    url = contract.load_deployment().database_url("analyst")
    city = kpi.city_id(url, city)
    district = kpi.district_id(url, city, district)
    found = kpi.explain(url, indicator, city, district, period.date() if period else None, limit)
    if json:
        print_json(found)
        return
    _print_explained(found)


def _weights_of(city: City) -> dict[str, float] | None:
    """Return the weights in a city's file, by metric; None where it cannot be read."""
    from catalog.city_files import WEIGHTS, read_rows
    from catalog.problems import ManifestError

    try:
        return {metric_id: weight for _, metric_id, weight in read_rows(city, WEIGHTS, ())}
    except ManifestError:
        return None


def _by_unit(row: dict[str, Any], unit: str, aggregate: str) -> dict[str, Any]:
    """Return a row for people: values in the indicator's unit, other fractions in three digits."""
    in_unit = {
        name: styled(measure_text(row[name], unit, aggregate), right=True)
        for name in ("value", "target", "moving_target", "sample")
        if isinstance(row.get(name), int | float | Decimal)
    }
    others = {
        name: styled(three_digits(float(value)), right=True)
        for name, value in row.items()
        if name not in in_unit and isinstance(value, float | Decimal)
    }
    return {**row, **in_unit, **others}


def _part(value: float | None) -> str:
    """Return a numerator or denominator as text, exact where it is whole."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def _print_explained(found: dict[str, Any]) -> None:
    definition, value = found["definition"], found["value"]
    echo(f"{definition['name']}, {definition['unit']}: {definition['meaning']}")
    echo(f"  {definition['formula']}")
    echo(
        f"  version {definition['version']}, since {definition['valid_from']}; "
        f"{definition['source']}; no value below n = {definition['min_n']}"
    )
    how = definition["unit"], definition["aggregate"]
    least = definition["min_n"]
    why = null_reason_text(value["null_reason"], value["n"], least)
    shown = measure_text(value["value"], *how) or f"none: {why}"
    echo(f"\n{value['city_id']} {value['district_id']} {value['period_start']:%Y-%m}: {shown}")
    # A median or percentile has no parts.
    parts = [_part(value[name]) for name in ("numerator", "denominator")]
    divided = "" if parts == ["-", "-"] else f", {' / '.join(parts)}"
    echo(f"  n {value['n']:,}{divided}, as of {value['as_of']}")
    echo(f"  computed by version {value['definition_version']} of the definition")
    if value["is_restated"]:
        echo("  restated: by a definition that is newer than the month")
    if value["is_break"]:
        echo("  a break: another version computes the months before, do not compare with them")
    echo("\nMonths of the trailing year")
    months = [_by_unit(month, *how) for month in found["months"]]
    print_table(["month", "n", "value", "null_reason", "left_out"], months)
    if year := found["year"]:
        why = null_reason_text(year["null_reason"], year["n"], least)
        shown = year_measure_text(year["value"], *how) or f"none: {why}"
        echo(f"All together: {shown}, n {year['n']:,}, of {year['months']} of these 12 months")
    for note in found["notes"]:
        echo(f"\nNote: {note['title']}: {note['note']}")
    if found["events"]:
        echo(f"\nEvents: {len(found['events'])} of {value['n']:,}")
        events = [_by_unit(event, *how) for event in found["events"]]
        print_table(list(found["events"][0]), events)
    if found["withheld"]:
        rows = found["withheld"]["rows"]
        echo(
            "\na few rows are of a higher tier than yours, and the value counts them; none is "
            "listed, for theirs would follow from the others"
            if rows is None
            else f"\n{rows:,} rows of a higher tier are not shown to you; the value counts them"
        )
    echo(f"\nAll of them: {found['query']}")
    for source in found["sources"] or ():
        echo(f"\n{source['source_id']} ({source['model']})")
        rows = [
            [load["load_id"], load["finished_at"], load["rows_accepted"], file["path"]]
            for load in source["loads"]
            for file in load["files"] or [{"path": ""}]
        ]
        print_table(["load", "finished", "accepted", "file"], rows)
    if found["quarantine"]:
        echo("\nIn quarantine, of these sources")
        print_table(["source_id", "reason", "rows"], found["quarantine"])
