"""### Build the warehouse

From `raw` to marts with dbt, whenever a load was accepted: one build for many loads.

`wait_for_loads` waits for the loads under way, and ends the run when the marts already hold every
accepted load. `marts` is one dbt invocation of all that needs no scores: what every model did is
in the task's log and in `quality.dbt_results`. A retry goes on where dbt stopped.

Trigger it by hand to build in any case, such as after a change of a model.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetAny, dag, task

from dags.wiring import MARTS, conclude, defaults, log, raw_asset, tags, wait_for_runs
from extract.manifests import load_cities

SOURCES = load_cities().sources


@dag(
    "build_warehouse",
    description="Build staging and marts from raw with dbt",
    schedule=AssetAny(*(raw_asset(source) for source in SOURCES)),
    doc_md=__doc__,
    # While a build runs, further loads gather, and start one more run between them.
    max_active_runs=1,
    # A load that is ready to run goes first, and this build then serves it as well.
    default_args={**defaults("Data platform"), "weight_rule": "absolute", "priority_weight": 0},
    tags=tags("build", "internal"),
)
def build_warehouse() -> None:
    """Wire `wait_for_loads` and `marts`."""

    @task.short_circuit
    def wait_for_loads(ti: Any, triggering_asset_events: Any) -> dict[str, Any] | None:
        """Wait for the loads under way; return which loads a build would include now."""
        from infra.contract import load_deployment
        from warehouse import progress

        wait_for_runs([source.dag_id for source in SOURCES], ti)
        warehouse = load_deployment().database_url("warehouse")
        triggered_by_hand = not triggering_asset_events
        if triggered_by_hand or progress.is_behind(warehouse, "build"):
            watermark = progress.pending_watermark(warehouse, "build")
            fresh = progress.unbuilt_loads(warehouse)
            listed = ", ".join(f"{name} (load {load})" for name, load in sorted(fresh.items()))
            conclude(f"to build: {listed or 'no new load; triggered by hand'}")
            return {"watermark": watermark}
        conclude("nothing to build: the marts hold every accepted load")
        return None

    @task(outlets=[MARTS])
    def marts(loads: dict[str, Any], ti: Any, run_id: str, outlet_events: Any) -> None:
        """Run dbt: seeds, staging, facts and dimensions, with tests; not what needs scores."""
        from extract.load import ensure_raw_tables
        from extract.redact import redact_text
        from infra.contract import load_deployment
        from warehouse import dbt, progress

        deployment = load_deployment()
        warehouse = deployment.database_url("warehouse")
        for problem in ensure_raw_tables(warehouse, load_cities().cities):
            log(f"warning: {problem}")
        built = dbt.build(
            warehouse,
            exclude=[dbt.NEEDS_SCORES],
            target_dir=deployment.scratch_dir / "dbt",
            run_id=run_id,
            retry=ti.try_number > 1,
            redact=redact_text,
            echo=log,
        )
        progress.advance_watermark(warehouse, "build", loads["watermark"], run_id)
        outlet_events[MARTS].extra = {
            "rows": {
                node.name: node.rows_affected
                for node in built.nodes
                if node.resource_type == "model" and node.rows_affected is not None
            }
        }
        conclude(f"built: {built}, {built.rows:,} rows")

    marts(wait_for_loads())


build_warehouse()
