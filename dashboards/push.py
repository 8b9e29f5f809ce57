"""The push: make Superset agree with the code.

The code is compiled into Superset's own assets bundle. What differs from what Superset has is
imported, in one transaction of Superset's; then what has left the code is removed, users before
what they use. Objects that a push made carry their place in the code as a certification; what a
person made is never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from dashboards.bundle import DATABASE, Desired, compile_code, zip_bundle
from dashboards.code import CODE_DIR, Code, Dashboard, load_code, parse_uuid
from dashboards.compare import differences
from dashboards.pull import pulled_changes
from dashboards.relations import DBT_DIR, documented
from dashboards.state import DATABASE_UUID, KINDS, Asset, State, read_state
from dashboards.superset import Superset, SupersetError
from dashboards.warehouse import read_warehouse

Action = Literal["created", "changed", "unchanged", "removed", "kept"]
ACTIONS: tuple[Action, ...] = ("created", "changed", "unchanged", "removed")


@dataclass(frozen=True)
class Change:
    """What was done with one object: its kind, its place in the code, and the action."""

    kind: str
    place: str
    action: Action
    detail: str = ""


@dataclass
class PushReport:
    """What a push did; `urls` maps each dashboard's title to its address."""

    changes: list[Change] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)

    def count(self, action: Action) -> int:
        """Return how many objects met that action."""
        return sum(change.action == action for change in self.changes)

    @property
    def summary(self) -> str:
        """One line: `2 created, 1 changed, 20 unchanged, 0 removed`, and `1 kept` where so."""
        actions = (*ACTIONS, "kept") if self.count("kept") else ACTIONS
        return ", ".join(f"{self.count(action)} {action}" for action in actions)


def push(
    superset_url: str,
    user: str,
    password: str,
    warehouse_url: str,
    folder: Path = CODE_DIR,
    *,
    dbt_dir: Path = DBT_DIR,
    discard_edits: bool = False,
    lock: bool = False,
) -> PushReport:
    """Make Superset agree with the dashboards under `folder`; return what was done.

    `warehouse_url` is what Superset itself uses to reach the warehouse, for the read-only role
    `dashboards`. Descriptions of datasets and columns come from dbt's YAML under `dbt_dir`.
    A dashboard that is unlocked for editing is left alone, unless `lock` is given and all edits
    are in the code, or `discard_edits`. Repeating a push changes nothing.

    Raises `DashboardCodeError` and `RelationMissing` before Superset is asked for anything, and
    `SupersetError` for the rest; a failed import leaves Superset as it was.
    """
    code = load_code(folder)
    warehouse = read_warehouse(warehouse_url, code)
    relations = documented(dbt_dir)
    uri = sqlalchemy_uri(warehouse_url)
    report = PushReport()
    with Superset(superset_url, user, password) as superset:
        state = read_state(superset, code)
        _refuse_conflicts(code, state)
        unlocked = {}
        if not discard_edits:
            pulled = partial(pulled_changes, code, state, relations, warehouse.first_values)
            unlocked = _unlocked(code, state, pulled, lock=lock)
        desired = [
            item
            for item in compile_code(code, relations, warehouse, uri, state)
            if item.place not in unlocked
        ]
        changes = _compare(superset, desired, state)
        wanted = [item for item in desired if changes[item.place].action != "unchanged"]
        if wanted:
            superset.import_assets(zip_bundle(wanted))
            state = read_state(superset, code)
            _verify(wanted, state)
        report.changes += [*changes.values(), *unlocked.values()]
        report.changes += _prune(superset, code, state)
        report.urls = {
            dashboard.title: f"{superset.url}/superset/dashboard/{dashboard.slug}/"
            for dashboard in code.dashboards
        }
    return report


def unlock(
    superset_url: str, user: str, password: str, slug: str, folder: Path = CODE_DIR
) -> tuple[str, int]:
    """Open a dashboard of the code and its charts for editing in Superset's pages.

    Returns its address and the number of charts. Pushes leave it alone until it is locked again.
    Raises `SupersetError` for a dashboard that the code or Superset does not have.
    """
    code = load_code(folder)
    dashboard = next((d for d in code.dashboards if d.slug == slug), None)
    if dashboard is None:
        known = ", ".join(d.slug for d in code.dashboards)
        raise SupersetError(f"no dashboard of the code has the slug {slug!r}; it has: {known}")
    with Superset(superset_url, user, password) as superset:
        state = read_state(superset, code)
        current = state.dashboard.get(dashboard.uuid)
        if current is None:
            raise SupersetError(f"Superset has no {slug!r} yet; `cityloom dashboards push` first")
        charts = [state.chart[c.uuid] for c in dashboard.charts.values() if c.uuid in state.chart]
        for asset in (current, *charts):
            superset.put(asset.kind, asset.pk, {"is_managed_externally": False})
        return f"{superset.url}/superset/dashboard/{slug}/", len(charts)


def sqlalchemy_uri(url: str) -> str:
    """Return the URL with the driver that Superset's environment has."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if scheme.startswith("postgres") else url


def _refuse_conflicts(code: Code, state: State) -> None:
    """Raise where an object that a person made stands in the way of one of the code."""
    for row in state.listed["database"]:
        if row["database_name"] == DATABASE and parse_uuid(row["uuid"]) != DATABASE_UUID:
            raise SupersetError(
                f"Superset has a database {DATABASE!r} that somebody made; rename that one "
                "(Settings, Database connections), and push again"
            )
    for dashboard in code.dashboards:
        for row in state.listed["dashboard"]:
            if row.get("slug") == dashboard.slug and parse_uuid(row["uuid"]) != dashboard.uuid:
                raise SupersetError(
                    f"{dashboard.path}: slug: {dashboard.slug!r} is the address of "
                    f"{row['dashboard_title']!r}, which somebody made in Superset; choose another, "
                    "or change that one"
                )
    for dataset in code.datasets.values():
        other = state.dataset_on(dataset.relation)
        if other and other.uuid != dataset.uuid and dataset.uuid in state.dataset:
            raise SupersetError(
                f"{dataset.path}: relation: {dataset.relation} has a dataset in Superset already; "
                "give the relation a file of its own instead of changing this one's"
            )


def _unlocked(
    code: Code, state: State, pulled: Callable[[Dashboard], list[Path]], *, lock: bool
) -> dict[str, Change]:
    """Return what is unlocked for editing and has to be left alone, by place.

    `pulled` returns the files that a pull of a dashboard would change.
    """
    kept = {}
    for dashboard in code.dashboards:
        assets = [state.dashboard.get(dashboard.uuid)]
        assets += [state.chart.get(chart.uuid) for chart in dashboard.charts.values()]
        if all(asset is None or asset.is_locked or not asset.place for asset in assets):
            continue
        edits = pulled(dashboard)
        if lock and not edits:
            continue
        detail = "unlocked for editing"
        if edits:
            files = ", ".join(path.name for path in edits)
            detail += f", edited in Superset ({files}): `cityloom dashboards pull`"
        kept[dashboard.place] = Change("dashboard", dashboard.place, "kept", detail)
        for chart in dashboard.charts.values():
            kept[chart.place] = Change("chart", chart.place, "kept", "unlocked for editing")
    return kept


def _compare(superset: Superset, desired: list[Desired], state: State) -> dict[str, Change]:
    """Return what the push does with each object that the code wants, by place."""
    changes = {}
    for item in desired:
        current = _current(item, state)
        if current is None:
            changes[item.place] = Change(item.kind, item.place, "created")
            continue
        different = differences(item, current, state)
        if item.kind == "database" and not different and not _can_read(superset, current):
            different = ["password"]
        action: Action = "changed" if different else "unchanged"
        detail = ", ".join(different)
        if item.kind == "dataset" and current.uuid != item.uuid and not current.place:
            detail = "somebody's dataset on this relation became the code's"
        changes[item.place] = Change(item.kind, item.place, action, detail)
    return changes


def _can_read(superset: Superset, database: Asset) -> bool:
    return superset.reads(f"/api/v1/database/{database.pk}/schemas/", q="(force:!t)")


def _current(item: Desired, state: State) -> Asset | None:
    if item.kind == "database":
        return state.database
    if item.kind == "dataset":
        relation = f"{item.config['schema']}.{item.config['table_name']}"
        return state.dataset_on(relation) or state.dataset.get(item.uuid)
    return state.assets(item.kind).get(item.uuid)


def _verify(imported: list[Desired], state: State) -> None:
    """Raise when Superset has not become what was imported (or another push ran beside)."""
    for item in imported:
        current = _current(item, state)
        left = differences(item, current, state) if current else ["(nothing)"]
        if left:
            raise SupersetError(
                f"{item.kind} {item.place}: Superset took the import but still has another "
                f"{', '.join(left)}; is another push under way? Superset's log may "
                "have the reason"
            )


def _prune(superset: Superset, code: Code, state: State) -> list[Change]:
    """Remove what an earlier push made and the code no longer has; keep what people still use."""
    alive = {part.uuid for part in code.parts}
    alive |= {a.uuid for d in code.datasets.values() if (a := state.dataset_on(d.relation))}
    changes = []
    for kind in reversed(KINDS):
        for asset in state.assets(kind).values():
            if asset.place is None or asset.uuid in alive:
                continue
            users = _users(superset, asset, state)
            if users:
                changes.append(Change(kind, asset.place, "kept", f"{users} still use it"))
                continue
            superset.delete(kind, asset.pk)
            changes.append(Change(kind, asset.place, "removed"))
    return changes


def _users(superset: Superset, asset: Asset, state: State) -> str:
    """Return how many objects of people use one that the code no longer has."""
    if asset.kind == "dataset":
        related = superset.get(f"/api/v1/dataset/{asset.pk}/related_objects")
        count = int(related["charts"]["count"])
        return f"{count} chart(s) that people made" if count else ""
    if asset.kind == "chart":
        ours = {dashboard.pk for dashboard in state.dashboard.values() if dashboard.place}
        others = [d for d in asset.listed.get("dashboards") or [] if d["id"] not in ours]
        return f"{len(others)} dashboard(s) that people made" if others else ""
    return ""
