"""Dashboards as code: what a folder of YAML must say, read and validated.

    dashboards/<subject>/dashboard.yml        title, filters, rows of charts
    dashboards/<subject>/charts/<name>.yml    one chart
    dashboards/<subject>/datasets/<name>.yml  one relation of marts or reporting

A file's place is its identity: the UUID that it has in Superset is made from its path, so that
two files can never claim one, and nobody has to invent one.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

NAMESPACE = uuid5(NAMESPACE_URL, "cityloom/dashboards")
CODE_DIR = Path(__file__).resolve().parent

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Scalar = str | bool | int | float
#: What a chart may ask of a column: a value, one of several, or that it is known.
Condition = Scalar | tuple[Scalar, ...] | None


class DashboardCodeError(Exception):
    """YAML that does not say what it must; each problem names file, key and remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Strict(BaseModel):
    """A part of a file; a key that nobody reads is a mistake, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


class Part(Strict):
    """A file of its own, known in Superset by the UUID of its path."""

    name: str
    subject: str
    path: Path

    @property
    def place(self) -> str:
        """Path of the file from `dashboards/`, without suffix: the identity of the object."""
        kind = {"Chart": "charts", "Dataset": "datasets"}.get(type(self).__name__)
        return f"{self.subject}/{kind}/{self.name}" if kind else self.subject

    @property
    def uuid(self) -> str:
        """UUID that the object has in Superset."""
        return place_uuid(self.place)


class DatasetColumn(Strict):
    """How a column is called and shown; columns not named keep their own name."""

    label: str
    description: str | None = None
    filter: bool = True


class Metric(Strict):
    """An aggregate over a dataset's columns; figures themselves are made by dbt."""

    sql: str
    label: str
    format: str | None = None
    description: str | None = None


class Dataset(Part):
    """A relation that dbt documents, with the names and aggregates that charts use."""

    relation: Annotated[str, Field(pattern=r"^(marts|reporting)\.[a-z][a-z0-9_]*$")]
    time_column: str | None = None
    columns: dict[str, DatasetColumn] = Field(default_factory=dict)
    metrics: dict[Name, Metric] = Field(default_factory=dict)

    @property
    def schema_name(self) -> str:
        """Schema of the relation."""
        return self.relation.partition(".")[0]

    @property
    def table_name(self) -> str:
        """Name of the relation in its schema."""
        return self.relation.partition(".")[2]


class Chart(Part):
    """A chart: `type` is Superset's viz_type, `params` the form data of its kind.

    `where` names columns and what they must be: a value, a list of values, or null for "known".
    `empty` is said in place of Superset's "No results" where there is nothing to draw.
    """

    title: str
    description: str
    empty: str | None = None
    dataset: Name
    type: str
    where: dict[str, Condition] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)


class Filter(Strict):
    """A select filter over a column that every chart in its reach has in its dataset.

    `default` is the value that it starts with; `first` takes the first in order, as the data has
    it at the time of the push. `after` names the filters that narrow
    its choice. `not_on` names the charts that it leaves alone.
    """

    name: str
    column: str
    dataset: Name
    description: str = ""
    single: bool = True
    required: bool = False
    default: str | int | None = None
    first: bool = False
    descending: bool = False
    after: tuple[str, ...] = ()
    not_on: tuple[Name, ...] = ()


class Cell(Strict):
    """A place in a row: a chart or a text, and how many of the 12 columns it takes."""

    chart: Name | None = None
    text: str | None = None
    width: int = Field(ge=1, le=12)

    @field_validator("width")
    @classmethod
    def _one_of_two(cls, value: int, info: Any) -> int:
        if bool(info.data.get("chart")) == bool(info.data.get("text")):
            raise ValueError("a cell holds a chart or a text")
        return value


class Row(Strict):
    """A heading, or cells side by side, `height` in steps of 8 pixels.

    Charts show their description under the title, unless the row is `plain`.
    """

    heading: str | None = None
    size: Literal["small", "medium", "large"] = "medium"
    cells: tuple[Cell, ...] = ()
    height: int = Field(default=40, ge=4, le=120)
    plain: bool = False

    @field_validator("cells")
    @classmethod
    def _fits(cls, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        if sum(cell.width for cell in cells) > 12:
            raise ValueError("the widths of a row's cells add up to more than 12")
        return cells


class Dashboard(Part):
    """A dashboard: `dashboard.yml` and the charts and datasets beside it."""

    title: str
    slug: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    description: str
    colours: dict[str, str] = Field(default_factory=dict)
    filters: tuple[Filter, ...] = ()
    rows: tuple[Row, ...]
    css: str = ""
    charts: dict[str, Chart]
    datasets: dict[str, Dataset]

    @property
    def placed(self) -> list[str]:
        """Names of the charts in the layout, in order."""
        return [cell.chart for row in self.rows for cell in row.cells if cell.chart]


def place_uuid(place: str) -> str:
    """Return the UUID that the object at a place (`city_overview/charts/...`) has."""
    return str(uuid5(NAMESPACE, place))


def load_dashboards(folder: Path = CODE_DIR) -> list[Dashboard]:
    """Read every dashboard under a folder.

    Raises `DashboardCodeError` with every problem of every file, also for a chart that asks for a
    dataset, or a layout for a chart, that is not there.
    """
    problems: list[str] = []
    dashboards = []
    for path in sorted(folder.glob("*/dashboard.yml")):
        found = _load_dashboard(path, problems)
        if found is not None:
            dashboards.append(found)
    if not dashboards and not problems:
        problems.append(f"{folder}: holds no <subject>/dashboard.yml")
    if problems:
        raise DashboardCodeError(problems)
    return dashboards


def _load_dashboard(path: Path, problems: list[str]) -> Dashboard | None:
    subject = path.parent.name
    before = len(problems)
    charts = _load_parts(Chart, path.parent / "charts", subject, problems)
    datasets = _load_parts(Dataset, path.parent / "datasets", subject, problems)
    given = {"name": subject, "subject": subject, "charts": charts, "datasets": datasets}
    dashboard = _parse(Dashboard, path, given, problems)
    if dashboard is None or len(problems) > before:
        return None
    problems.extend(_dangling(dashboard))
    return dashboard if len(problems) == before else None


def _dangling(dashboard: Dashboard) -> list[str]:
    """Return what a dashboard's files ask for and do not have."""
    problems = []
    for chart in dashboard.charts.values():
        if chart.dataset not in dashboard.datasets:
            problems.append(
                f"{chart.path}: dataset: {_unknown(chart.dataset, dashboard.datasets, 'datasets')}"
            )
    placed = dashboard.placed
    for name in placed:
        if name not in dashboard.charts:
            problems.append(f"{dashboard.path}: rows: {_unknown(name, dashboard.charts, 'charts')}")
    for name in sorted({name for name in placed if placed.count(name) > 1}):
        problems.append(f"{dashboard.path}: rows: {name!r} stands twice; Superset shows one")
    for name in sorted(set(dashboard.charts) - set(placed)):
        problems.append(
            f"{dashboard.charts[name].path}: no row of {dashboard.path.name} shows it; "
            "place it, or delete the file"
        )
    names = [item.name for item in dashboard.filters]
    for item in dashboard.filters:
        where = f"{dashboard.path}: filters.{item.name}"
        if item.dataset not in dashboard.datasets:
            problems.append(
                f"{where}.dataset: {_unknown(item.dataset, dashboard.datasets, 'datasets')}"
            )
        for name in item.not_on:
            if name not in dashboard.charts:
                problems.append(f"{where}.not_on: {_unknown(name, dashboard.charts, 'charts')}")
        for name in item.after:
            if name not in names:
                problems.append(f"{where}.after: no filter is called {name!r}")
    return problems


def _unknown(name: str, known: dict[str, Any], folder: str) -> str:
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"add {folder}/{name}.yml"
    return f"there is no {folder}/{name}.yml; {hint}"


def _load_parts(
    model: type[Chart] | type[Dataset], folder: Path, subject: str, problems: list[str]
) -> dict[str, Any]:
    parts = {}
    for path in sorted(folder.glob("*.yml")):
        part = _parse(model, path, {"name": path.stem, "subject": subject}, problems)
        if part is not None:
            parts[path.stem] = part
    return parts


def _parse(model: type[Part], path: Path, given: dict[str, Any], problems: list[str]) -> Any:
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        problems.append(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}); save it so")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}:" if mark else ""
        problems.append(f"{path}:{place} is not YAML: {getattr(error, 'problem', error)}")
        return None
    if not isinstance(said, dict):
        problems.append(f"{path}: holds no keys; see a file beside it for an example")
        return None
    given = {**given, "path": path}
    for key in sorted(set(said) & set(given)):
        problems.append(f"{path}: {key}: comes from the file's place; remove it here")
    try:
        return model.model_validate({**said, **given})
    except ValidationError as error:
        problems.extend(_problem(path, model, item) for item in error.errors())
        return None


def _problem(path: Path, model: type[Part], item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"]) or "(whole file)"
    if item["type"] == "missing":
        return f"{path}: {place}: is missing; add it"
    if item["type"] == "extra_forbidden":
        known = [key for key in model.model_fields if key not in Part.model_fields]
        close = get_close_matches(str(item["loc"][-1]), known, 1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it"
        return f"{path}: {place}: is not a known key; {hint}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{path}: {place}: {message} (found {item.get('input')!r})"


def parse_uuid(text: str) -> str:
    """Return a UUID in one spelling, whatever Superset wrote."""
    return str(UUID(str(text)))
