"""All DAGs, tasks and assets as one text file, so that a change of the graph is read in review.

The DAGs of sources are one block, because their manifests say the rest: a new city or source
changes nothing here, except one of the demo city, whose schedule is listed.
`python -m pytest tests/unit/dags/test_graph.py --renew-snapshots` writes the file anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from extract.manifests import load_cities

GRAPH = Path(__file__).with_name("graph.txt")
HEAD = """\
The DAGs, their tasks and the assets between them, as Airflow parses dags/ and cities/.
Renew: .venv/bin/python -m pytest tests/unit/dags/test_graph.py --renew-snapshots
"""
LISTED_CITY = "demo"
SOURCES = {
    source.dag_id: (city, source) for city in load_cities().cities for source in city.sources
}
RAW = {f"cityloom://raw/{city.city_id}/{source.source}" for city, source in SOURCES.values()}
EVERY_RAW = "cityloom://raw/<city>/<source>"


def render_dag(dag_id: str, dag: dict[str, Any]) -> str:
    """Return one DAG as text: what starts it, its tags, its tasks and what these emit."""
    awaited = set(dag["waits_for"])
    if awaited >= RAW:
        awaited = (awaited - RAW) | {EVERY_RAW}
    assets = f"{dag['condition'].partition(' of ')[0]} of {', '.join(sorted(awaited))}"
    starts = f"cron {dag['cron']}, {dag['time_zone']}" if dag["cron"] else assets
    lines = [
        f"{dag_id}  (dags/{dag['file']})",
        f"  starts   {starts}",
        f"  tags     {' '.join(dag['tags'])}",
        f"  paused   {'until the first run' if dag['paused_at_first'] else 'never'}",
    ]
    if dag["params"]:
        lines.append(f"  params   {' '.join(dag['params'])}")
    for task_id, task in dag["tasks"].items():
        after = f" after {', '.join(task['after'])}" if task["after"] else ""
        lines.append(f"  task     {task_id}{after}")
        lines.append(f"           owner {task['owner']}; queue {task['queue']}")
        lines += [f"           emits {uri}" for uri in sorted(task["outlets"])]
    return "\n".join(lines) + "\n"


def render_source(dag_id: str, dag: dict[str, Any]) -> str:
    """Return the DAG of a source with the manifest's facts as placeholders."""
    city, source = SOURCES[dag_id]
    text = render_dag(dag_id, dag)
    for fact, placeholder in (
        (f"owner {source.owner};", "owner <owner>;"),
        (f"cron {source.cadence}, {city.time_zone}\n", "cron <cadence>, <time zone>\n"),
        (f"/{city.city_id}/{source.source}\n", "/<city>/<source>\n"),
        (f"{source.dag_id} ", "extract_<city>_<source> "),
        (f"city:{city.city_id} ", "city:<city> "),
        (f"tier:{source.tier}\n", "tier:<tier>\n"),
    ):
        text = text.replace(fact, placeholder)
    return text


def render(dags: dict[str, dict[str, Any]]) -> str:
    """Return the graph: DAGs, the listed city's schedule, and who emits and awaits each asset."""
    (source_block,) = {render_source(dag_id, dags[dag_id]) for dag_id in SOURCES}
    others = [render_dag(dag_id, dags[dag_id]) for dag_id in sorted(set(dags) - set(SOURCES))]
    schedule = [f"schedule of the city {LISTED_CITY}"]
    schedule += [
        f"  {source.cadence:<12} {dag_id}"
        for dag_id, (city, source) in sorted(SOURCES.items())
        if city.city_id == LISTED_CITY
    ]
    emits: dict[str, set[str]] = {}
    awaits: dict[str, set[str]] = {}
    for dag_id, dag in dags.items():
        name = "extract_<city>_<source>" if dag_id in SOURCES else dag_id
        for task_id, task in dag["tasks"].items():
            for uri in task["outlets"]:
                asset = EVERY_RAW if uri in RAW else uri
                emits.setdefault(asset, set()).add(f"{name}.{task_id}")
        for uri in dag["waits_for"]:
            awaits.setdefault(EVERY_RAW if uri in RAW else uri, set()).add(name)
    assets = ["assets"]
    for uri in sorted({*emits, *awaits}):
        emitted = ", ".join(sorted(emits.get(uri, ()))) or "(none)"
        awaited = ", ".join(sorted(awaits.get(uri, ()))) or "(none)"
        assets.append(f"  {uri}\n    {emitted} -> {awaited}")
    lists = ["\n".join(lines) + "\n" for lines in (schedule, assets)]
    return "\n".join([HEAD, source_block, *others, *lists])


def test_the_graph_is_as_reviewed(parsed, request):
    graph = render(parsed["dags"])
    if request.config.getoption("--renew-snapshots"):
        GRAPH.write_text(graph)
    assert graph == GRAPH.read_text(), "review the change and renew graph.txt; its head says how"


def test_every_awaited_asset_is_emitted(parsed):
    assert "(none) ->" not in render(parsed["dags"])


def test_another_city_changes_nothing_here(parsed):
    """The build awaits every source's asset, whichever cities there are."""
    assert set(parsed["dags"]["build_warehouse"]["waits_for"]) == RAW
