"""One DAG a source, made from the manifests under `cities/`: stage what is new, then the gate.

A city's DAGs are paused until its first `cityloom run`, so that an installation calls only
portals that its owner asked for.

A source whose manifest (or city.yml) is wrong has a DAG too, tagged `broken`, that fails with what
to mend; the other sources are loaded as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, get_parsing_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from catalog.cities import BrokenManifest
from catalog.models import City, Source, normalise
from dags.wiring import conclude, defaults, raw_asset, schedule, table, tags
from extract.manifests import load_cities

SNAPSHOT = Param(
    None,
    type=["null", "string"],
    description="Folder with the source's files, read in place of the live source",
)


def extract_dag(city: City, source: Source) -> DAG:
    """Return the DAG that loads a source whenever its department publishes."""
    asset = raw_asset(source)

    @task.short_circuit
    def stage(params: dict[str, Any], run_id: str) -> int | None:
        """Read the source into `stage`. Where nothing is new, the gate needs no process."""
        from expectations import gate as gates
        from extract.load import stage as stage_source
        from infra.contract import load_deployment
        from warehouse import progress

        deployment = load_deployment()
        warehouse = deployment.database_url("warehouse")
        snapshot = params["snapshot"]
        load = stage_source(
            source,
            warehouse,
            Path(snapshot) if snapshot else deployment.drop_dir(city.city_id),
            mode="snapshot" if snapshot else "read",
            run_id=run_id,
            salt=deployment.salt_for(city.city_id),
        )
        conclude(load.summary)
        if load.state == "staged":
            return load.load_id
        report = gates.run(source, load.load_id, warehouse, deployment.reports_dir)
        if report.load.state == "blocked":
            raise AirflowFailException(report.summary)
        # A process killed between its commit and its event left a load that no build includes.
        return load.load_id if progress.has_unbuilt_load(warehouse, source) else None

    @task(outlets=[asset])
    def gate(load_id: int, outlet_events: Any) -> None:
        """Check the load by its expectations; commit what passes; emit the event of the asset."""
        from expectations import gate as gates
        from infra.contract import load_deployment
        from warehouse import progress

        deployment = load_deployment()
        warehouse = deployment.database_url("warehouse")
        report = gates.run(source, load_id, warehouse, deployment.reports_dir)
        if report.load.state == "blocked":
            raise AirflowFailException(report.summary)
        conclude(report.summary)
        if not progress.has_unbuilt_load(warehouse, source):
            raise AirflowSkipException("nothing was accepted, so nothing is built")
        outlet_events[asset].extra = {
            "load_id": load_id,
            "read": report.load.rows_read,
            "accepted": report.load.rows_accepted,
            "unchanged": report.load.rows_unchanged,
            "quarantined": report.load.rows_quarantined,
        }

    with DAG(
        source.dag_id,
        dag_display_name=f"{city.name}: {source.title}",
        description=f"Load {source.title} of {city.name} into raw.{source.raw_table}",
        doc_md=about(city, source),
        schedule=schedule(source.cadence, city.time_zone),
        is_paused_upon_creation=True,
        max_active_runs=1,
        params={"snapshot": SNAPSHOT},
        default_args=defaults(source.owner),
        tags=tags("extract", source.tier, city.city_id),
    ) as dag:
        gate(stage())
    return dag


def about(city: City, source: Source) -> str:
    """Return what a person who opens the DAG wants to know first."""
    facts = table(
        [
            ("City", city.name),
            ("Department", city.departments[source.department]),
            ("Owner", source.owner),
            ("Grain", source.grain),
            ("Key", ", ".join(source.primary_key)),
            ("Licence", source.licence),
            ("Access tier", source.tier),
            ("Read by", source.read.connector),
            ("Table", f"`raw.{source.raw_table}`"),
        ]
    )
    return f"""### {source.title}

{facts}

`stage` reads what is new or changed, `gate` checks it by its expectations and commits it.
A blocked load leaves `raw` and the marts as they were: `cityloom loads` shows the reason.
"""


def broken_dag(dag_id: str, manifest: BrokenManifest) -> DAG:
    """Return the DAG of a source that cannot be loaded: its one task fails with the reason."""
    problems = "\n".join(map(str, manifest.problems))
    city, source = normalise(manifest.city_id), normalise(manifest.source_id)

    @task
    def check_manifest() -> None:
        """Fail with what is wrong in the manifest."""
        raise AirflowFailException(f"the manifest is wrong, so nothing is loaded:\n{problems}")

    with DAG(
        dag_id,
        dag_display_name=f"{city}: {source} (broken manifest)",
        description=f"Not loaded: {len(manifest.problems)} problem(s) in its manifest",
        doc_md=f"""### {source} is not loaded

What must be mended, by file, line and key:

```text
{problems}
```

`cityloom sources check` looks at all manifests. Once they are right, this DAG is the source's
own again. Until then it fails once a day, so that it shows among what failed.
""",
        schedule=schedule("@daily", "UTC"),
        is_paused_upon_creation=True,
        max_active_runs=1,
        params={"snapshot": SNAPSHOT},
        default_args=defaults("Data platform"),
        tags=[*tags("extract", "internal", city[:40]), "broken"],
    ) as dag:
        check_manifest()
    return dag


def broken_dag_id(manifest: BrokenManifest, taken: set[str]) -> str:
    """Return an id that Airflow takes, whatever the file's name, and that no other DAG has."""
    numbered = (f"{manifest.dag_id}_{number}" for number in count(2))
    return next(name for name in chain([manifest.dag_id], numbered) if name not in taken)


def source_dags(only: str | None) -> Iterator[DAG]:
    """Yield the DAGs of all sources, or the `only` one."""
    cities = load_cities()
    ids = {source.dag_id for source in cities.sources}
    for city in cities.cities:
        for source in city.sources:
            if only in (None, source.dag_id):
                yield extract_dag(city, source)
    for manifest in cities.broken:
        dag_id = broken_dag_id(manifest, ids)
        ids.add(dag_id)
        if only in (None, dag_id):
            yield broken_dag(dag_id, manifest)


# A task's process needs its own DAG only.
for _dag in source_dags(get_parsing_context().dag_id):
    globals()[_dag.dag_id] = _dag
