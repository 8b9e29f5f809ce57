"""### Publish

`reports` is one dbt invocation of all that depends on scores: sentiment, KPIs, reports.
`dashboards` brings Superset to what `dashboards/` says.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from dags.wiring import PUBLISHED, SCORES, defaults, tags


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
        """dbt: what depends on scores."""
        from infra.settings import load_settings
        from warehouse import dbt, progress

        settings = load_settings()
        warehouse = settings.database_url("warehouse")
        watermark = progress.pending_watermark(warehouse, "publish")
        dbt.build(
            warehouse,
            select=["source:ml+"],
            target_dir=settings.home / "dbt",
            run_id=run_id,
            retry=ti.try_number > 1,
        )
        return watermark

    @task(outlets=[PUBLISHED])
    def dashboards(watermark: dict[str, int], run_id: str) -> None:
        """Superset: database, datasets, charts and dashboard as the code says."""
        from dashboards.push import push
        from infra.settings import load_settings
        from warehouse import progress

        settings = load_settings()
        pushed = push(
            settings.url("superset"),
            settings.admin_user,
            settings.admin_password,
            settings.database_url("dashboards"),
        )
        print(pushed.summary)
        progress.advance_watermark(settings.database_url("warehouse"), "publish", watermark, run_id)

    dashboards(reports())


publish()
