"""A copy of the code, and a Superset without a server: what it exports after an import."""

import copy
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dashboards.bundle import Desired, compile_code
from dashboards.code import CODE_DIR, Code, load_code, place_uuid
from dashboards.relations import Relation, documented
from dashboards.state import Asset, State, placed
from dashboards.warehouse import Warehouse

URI = "postgresql+psycopg2://dashboards:secret@127.0.0.1:15432/warehouse"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for folder in ("city_overview", "datasets"):
        shutil.copytree(CODE_DIR / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture(scope="session")
def relations() -> dict[str, Relation]:
    """What dbt documents."""
    return documented()


@pytest.fixture
def compiled(relations) -> Callable[..., list[Desired]]:
    """Function that returns the objects which the code under a folder wants."""

    def compile_folder(folder: Path, state: State | None = None) -> list[Desired]:
        code = load_code(folder)
        return compile_code(code, relations, warehouse_of(code), URI, state or State())

    return compile_folder


@pytest.fixture
def imported() -> Callable[..., State]:
    """Function that returns what Superset exports after it took a bundle."""
    return state_after


def warehouse_of(code: Code) -> Warehouse:
    """What a warehouse has of the relations, which no dbt needs to build for this."""
    columns = {
        dataset.relation: dict.fromkeys(["city_id", *dataset.columns], "TEXT")
        for dataset in code.datasets.values()
    }
    return Warehouse("warehouse", columns, {"city_overview": {"City": "Loomfield (simulated)"}})


def state_after(desired: Sequence[Desired], *, locked: bool = True) -> State:
    """What Superset 6.1 exports after it took a bundle, as recorded: ids, and keys of its own."""
    state = State(listed={"chart": [], "dashboard": [], "dataset": [], "database": []})
    numbers = {item.uuid: number for number, item in enumerate(desired, 1001)}
    uuids = {
        dashboard.uuid: frozenset(
            item["meta"]["uuid"] for item in placed(dashboard.config["position"])
        )
        for dashboard in desired
        if dashboard.kind == "dashboard"
    }
    for item in desired:
        config = copy.deepcopy(item.config)
        row = {"id": numbers[item.uuid], "uuid": item.uuid, "is_managed_externally": locked}
        if item.kind == "database":
            state.database = Asset("database", item.uuid, row, config)
            continue
        if item.kind == "dataset":
            row |= {key: config[key] for key in ("schema", "table_name", "extra")}
            row |= {"sql": None, "database": {"uuid": place_uuid("warehouse")}}
            config["columns"].reverse()
            state.code_relations[item.uuid] = f"{config['schema']}.{config['table_name']}"
        else:
            row |= {key: config[key] for key in ("certified_by", "certification_details")}
        if item.kind == "chart":
            row |= {"slice_name": config["slice_name"], "dashboards": []}
            row["dashboards"] = [
                {"id": numbers[d]} for d, charts in uuids.items() if item.uuid in charts
            ]
            number = numbers[config["dataset_uuid"]]
            config["params"] = {"annotation_layers": [], **config["params"]}
            config["params"]["datasource"] = f"{number}__table"
        if item.kind == "dashboard":
            row |= {"slug": config["slug"], "dashboard_title": config["dashboard_title"]}
            ids = {}
            for chart in placed(config["position"]):
                ids[chart["meta"]["chartId"]] = numbers.get(chart["meta"]["uuid"], 1)
                chart["meta"]["chartId"] = ids[chart["meta"]["chartId"]]
            for entry in config["metadata"]["native_filter_configuration"]:
                entry["scope"]["excluded"] = [ids[pk] for pk in entry["scope"]["excluded"]]
                entry["chartsInScope"] = sorted(ids.values())
            config["metadata"] |= {"shared_label_colors": [], "map_label_colors": {}}
        members = uuids.get(item.uuid, frozenset())
        asset = Asset(item.kind, item.uuid, row, config, members)
        state.assets(item.kind)[item.uuid] = asset
        state.listed[item.kind].append(row)
    return state
