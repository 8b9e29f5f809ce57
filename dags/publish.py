"""### Publish

`reports` is one dbt invocation of all that depends on scores: sentiment, KPIs, reports. Then it
looks for what of the work moves with what residents say.
`dashboards` makes Superset agree with `dashboards/`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from dags.wiring import PUBLISHED, SCORES, conclude, defaults, log, tags


@dag(
    "publish",
    description="Build KPIs and reports from scores and facts, then push the dashboards",
    schedule=[SCORES],
    doc_md=__doc__,
    max_active_runs=1,
    default_args=defaults("Data platform"),
    tags=tags("publish", "internal"),
)
def publish() -> None:
    """Wire `reports` and `dashboards`."""

    @task
    def reports(ti: Any, run_id: str) -> dict[str, int]:
        """Run dbt: what depends on scores; then relate work and voice, which read its values."""
        from extract.redact import redact_text
        from infra.contract import load_deployment
        from ml.relations import relate
        from warehouse import dbt, progress

        deployment = load_deployment()
        warehouse = deployment.database_url("warehouse")
        watermark = progress.pending_watermark(warehouse, "publish")
        built = dbt.build(
            warehouse,
            select=[dbt.NEEDS_SCORES],
            target_dir=deployment.scratch_dir / "dbt",
            run_id=run_id,
            retry=ti.try_number > 1,
            redact=redact_text,
            echo=log,
        )
        related = relate(warehouse)
        conclude(f"built: {built}, {built.rows:,} rows; {related}")
        return watermark

    @task(outlets=[PUBLISHED])
    def dashboards(watermark: dict[str, int], run_id: str) -> None:
        """Push database, datasets, charts and dashboards of the code to Superset."""
        from dashboards.push import push
        from infra.contract import load_deployment
        from warehouse import progress

        deployment = load_deployment()
        pushed = push(
            deployment.url("superset"),
            *deployment.login("superset"),
            deployment.database_url("dashboards"),
        )
        progress.advance_watermark(
            deployment.database_url("warehouse"), "publish", watermark, run_id
        )
        conclude(f"Superset: {pushed.summary}")

    dashboards(reports())


publish()
