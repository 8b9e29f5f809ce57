"""What Superset has now: the exported YAML of databases, datasets, charts and dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dashboards.code import Code, parse_uuid, place_uuid
from dashboards.superset import Superset

CERTIFIED_BY = "Cityloom"
MARK = "Kept as code in dashboards/"
DATABASE_UUID = place_uuid("warehouse")
KINDS = ("dataset", "chart", "dashboard")


@dataclass(frozen=True)
class Asset:
    """An object in Superset: its row in the list of its kind, and its exported YAML.

    `members` are the UUIDs of a dashboard's charts.
    """

    kind: str
    uuid: str
    listed: dict[str, Any]
    config: dict[str, Any]
    members: frozenset[str] = frozenset()

    @property
    def pk(self) -> int:
        """Superset's id."""
        return int(self.listed["id"])

    @property
    def title(self) -> str:
        """What people call it."""
        names = ("dashboard_title", "slice_name", "table_name", "database_name")
        return next(str(self.listed[name]) for name in names if self.listed.get(name))

    @property
    def place(self) -> str | None:
        """Its place in the code when a push made it, else None.

        A person's copy keeps the certification but has a UUID of its own.
        """
        extra = self.listed.get("extra")
        if self.kind == "dataset":
            mark = certification_of(extra)
        else:
            mark = (self.listed.get("certified_by"), self.listed.get("certification_details"))
        if mark[0] != CERTIFIED_BY or not (mark[1] or "").startswith(MARK):
            return None
        place, _, start = str(mark[1]).removeprefix(MARK).partition(" ")
        is_original = start == f"({self.uuid[:8]})" if start else self.uuid == place_uuid(place)
        return place if is_original else None

    @property
    def is_locked(self) -> bool:
        """Whether Superset's pages refuse to change it."""
        return bool(self.listed.get("is_managed_externally"))


def certification_details(place: str, uuid: str) -> str:
    """Return what marks an object of the code: its place, and its UUID where it was pulled."""
    return f"{MARK}{place}" + ("" if uuid == place_uuid(place) else f" ({uuid[:8]})")


def certification_of(extra: Any) -> tuple[Any, Any]:
    """Return `certified_by` and `details` of a dataset's or metric's `extra`."""
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except json.JSONDecodeError:
            return None, None
    mark = (extra or {}).get("certification") if isinstance(extra, dict) else None
    return ((mark or {}).get("certified_by"), (mark or {}).get("details"))


@dataclass
class State:
    """Objects by UUID; `listed` has every object of each kind, also those not exported.

    `code_relations` maps the UUIDs of the code's datasets, which need not exist yet, to relations.
    """

    database: Asset | None = None
    dataset: dict[str, Asset] = field(default_factory=dict)
    chart: dict[str, Asset] = field(default_factory=dict)
    dashboard: dict[str, Asset] = field(default_factory=dict)
    listed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    code_relations: dict[str, str] = field(default_factory=dict)

    def assets(self, kind: str) -> dict[str, Asset]:
        """Return the exported objects of a kind."""
        found: dict[str, Asset] = getattr(self, kind)
        return found

    def relation(self, dataset_uuid: str | None) -> str | None:
        """Return `schema.table` of a dataset on our database, None for any other."""
        uuid = parse_uuid(dataset_uuid) if dataset_uuid else ""
        asset = self.dataset.get(uuid)
        if asset is None:
            return self.code_relations.get(uuid)
        if not is_relation(asset.listed):
            return None
        return f"{asset.listed['schema']}.{asset.listed['table_name']}"

    def dataset_on(self, relation: str) -> Asset | None:
        """Return the dataset on a relation of our database."""
        return next(
            (a for uuid, a in self.dataset.items() if self.relation(uuid) == relation), None
        )

    def title_of_chart(self, uuid: str) -> str:
        """Return a chart's title, exported or not."""
        found = (row for row in self.listed["chart"] if parse_uuid(row["uuid"]) == uuid)
        return next((str(row["slice_name"]) for row in found), uuid)


def is_relation(listed: dict[str, Any]) -> bool:
    """Whether a dataset is a relation of the warehouse, not a query or another database's."""
    database = listed.get("database") or {}
    return parse_uuid(database.get("uuid") or DATABASE_UUID) == DATABASE_UUID and not listed["sql"]


def read_state(superset: Superset, code: Code, *, everything: bool = False) -> State:
    """Return what Superset has of the code, and of all objects with `everything`.

    Objects of the code are those that a push made, those with the UUID of a file, and datasets on
    a relation of the code. Raises `SupersetError`.
    """
    state = State(
        listed={kind: list(superset.items(kind)) for kind in (*KINDS, "database")},
        code_relations={dataset.uuid: dataset.relation for dataset in code.datasets.values()},
    )
    uuids = {part.uuid for part in code.parts}
    relations = {dataset.relation for dataset in code.datasets.values()}

    def wanted(kind: str, row: dict[str, Any]) -> bool:
        if everything or parse_uuid(row["uuid"]) in uuids:
            return True
        if kind == "dataset":
            relation = f"{row['schema']}.{row['table_name']}"
            marked = certification_of(row.get("extra"))[0] == CERTIFIED_BY
            return marked or (relation in relations and is_relation(row))
        return bool(row.get("certified_by") == CERTIFIED_BY)

    for kind in KINDS:
        rows = {parse_uuid(row["uuid"]): row for row in state.listed[kind] if wanted(kind, row)}
        configs = superset.export(kind, [row["id"] for row in rows.values()])
        assets = state.assets(kind)
        for uuid, row in rows.items():
            config = configs[kind].get(uuid)
            if config is not None:
                assets[uuid] = Asset(kind, uuid, row, config, _members(kind, row, state))
    for row in state.listed["database"]:
        if parse_uuid(row["uuid"]) == DATABASE_UUID:
            config = superset.get(f"/api/v1/database/{row['id']}/connection")["result"]
            state.database = Asset("database", DATABASE_UUID, row, config)
    return state


def _members(kind: str, row: dict[str, Any], state: State) -> frozenset[str]:
    if kind != "dashboard":
        return frozenset()
    return frozenset(
        parse_uuid(chart["uuid"])
        for chart in state.listed["chart"]
        if row["id"] in {dashboard["id"] for dashboard in chart.get("dashboards") or []}
    )


def placed(position: dict[str, Any], kind: str = "CHART") -> Iterable[dict[str, Any]]:
    """Return a layout's items of a type, such as `CHART`."""
    return [
        item for item in position.values() if isinstance(item, dict) and item.get("type") == kind
    ]
