"""The pull: what people changed or made in Superset, written into the YAML of the code.

Only what the YAML can express and what differs from defaults is written, without ids and
timestamps. A person's object that comes in keeps its UUID, so that the next push makes no second.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dashboards.check import CheckFailed, check
from dashboards.code import (
    CODE_DIR,
    Code,
    Dashboard,
    DashboardCodeError,
    load_code,
)
from dashboards.puller import FileChange, Offer, Puller, PullRefused, find_dashboard
from dashboards.relations import DBT_DIR, Relation, documented
from dashboards.state import State, read_state
from dashboards.superset import Superset
from dashboards.warehouse import read_warehouse


@dataclass
class PullReport:
    """Files that differ, and what people made that is not in the code yet."""

    folder: Path
    files: list[FileChange] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def diff(self) -> str:
        """All changes as one unified diff."""
        return "".join(change.diff(self.folder) for change in self.files)


def pull(
    superset_url: str,
    user: str,
    password: str,
    warehouse_url: str,
    folder: Path = CODE_DIR,
    *,
    dbt_dir: Path = DBT_DIR,
    dashboard: str | None = None,
    chart: str | None = None,
    add: Sequence[str] = (),
    write: bool = True,
) -> PullReport:
    """Write what people changed or made in Superset into the YAML under `folder`.

    Without `dashboard` (a slug), `chart` (a title, a file's name or an id) and `add`, that is:
    edits of what is unlocked, charts that people added to dashboards of the code, and labels and
    metrics changed on its datasets. `dashboard` and `chart` take just these, locked or not. `add`
    brings in what is not in the code: a dashboard by slug or title; a chart by title or id, onto
    `dashboard`; a metric by name. Nothing is written with `write=False`.

    Raises `PullRefused` for what the YAML cannot express or dbt does not have, and then writes
    nothing; `DashboardCodeError`, `RelationMissing`, `SupersetError` as the push.
    """
    code = load_code(folder)
    relations = documented(dbt_dir)
    first_values = read_warehouse(warehouse_url, code).first_values
    with Superset(superset_url, user, password) as superset:
        state = read_state(superset, code, everything=True)
    puller = Puller(code, state, relations, first_values)
    if add:
        for name in add:
            puller.add(name, dashboard)
    elif chart:
        puller.pull_named_chart(chart)
    elif dashboard:
        puller.pull_dashboard(find_dashboard(code, dashboard), force=True)
    else:
        for item in code.dashboards:
            puller.pull_dashboard(item)
        for dataset in code.datasets.values():
            puller.pull_dataset(dataset)
    if puller.unsupported.problems:
        raise PullRefused(dict.fromkeys(puller.unsupported.problems))
    report = PullReport(folder, puller.changes(), puller.offers(), puller.unsupported.notes)
    _check(report, dbt_dir)
    if write:
        _apply(report.files, folder, folder)
    return report


def _apply(changes: Sequence[FileChange], folder: Path, target: Path) -> None:
    """Make the changes of files under `folder` under `target`."""
    for change in changes:
        path = target / change.path.relative_to(folder)
        if change.after is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(change.after, encoding="utf-8")


def pulled_changes(
    code: Code,
    state: State,
    relations: dict[str, Relation],
    first_values: dict[str, dict[str, str | int]],
    dashboard: Dashboard,
) -> list[Path]:
    """Return the files of a dashboard that a pull would change, also if it could not write them."""
    puller = Puller(code, state, relations, first_values)
    puller.pull_dashboard(dashboard, force=True)
    changed = [change.path for change in puller.changes()]
    current = state.dashboard.get(dashboard.uuid)
    added = current.members - {chart.uuid for chart in code.charts} if current else set()
    return changed or ([dashboard.path] if puller.unsupported.problems or added else [])


def _check(report: PullReport, dbt_dir: Path) -> None:
    """Raise `PullRefused` when the code would not hold together with these files."""
    if not report.files:
        return
    with tempfile.TemporaryDirectory(prefix="cityloom-pull-") as temporary:
        copy = Path(temporary)
        for path in report.folder.rglob("*.yml"):
            target = copy / path.relative_to(report.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        _apply(report.files, report.folder, copy)
        try:
            check(copy, dbt_dir=dbt_dir)
        except (CheckFailed, DashboardCodeError) as error:
            problems = [text.replace(f"{copy}/", "") for text in error.problems]
            raise PullRefused(
                [f"{text}\nchange it in Superset, or in dbt, and pull again" for text in problems]
            ) from error
