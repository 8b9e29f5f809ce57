"""The task that builds: what it does before dbt."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace


def test_raw_tables_follow_their_manifests_before_dbt_reads_them(monkeypatch):
    import dags.build as folder

    done, logged = [], []

    class Built(SimpleNamespace):
        def __str__(self) -> str:
            return "1 model"

    def ensure(url, cities):
        done.append(("raw tables", url, len(cities)))
        return ["columns.street: is narrowed"]

    def build(url, **_):
        done.append(("dbt", url))
        return Built(nodes=[], rows=0)

    deployment = SimpleNamespace(database_url=lambda _: "url", scratch_dir=Path("scratch"))
    # Airflow's first import replaces the handlers of logging, and with them pytest's.
    monkeypatch.setattr(folder, "log", logged.append)
    monkeypatch.setattr("infra.contract.load_deployment", lambda: deployment)
    monkeypatch.setattr("extract.load.ensure_raw_tables", ensure)
    monkeypatch.setattr("warehouse.dbt.build", build)
    monkeypatch.setattr("warehouse.progress.advance_watermark", lambda *_: None)
    marts = folder.build_warehouse().get_task("marts")
    events = {folder.MARTS: SimpleNamespace(extra=None)}
    given = {"ti": SimpleNamespace(try_number=1), "run_id": "r", "outlet_events": events}
    marts.python_callable({"watermark": {}}, **given)
    assert done == [("raw tables", "url", len(folder.load_cities().cities)), ("dbt", "url")]
    assert logged == ["warning: columns.street: is narrowed"]
