"""Collects the YAML files that differ from what Superset has, and what people made there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from dashboards.bundle import is_persons_metric
from dashboards.code import (
    DATASETS,
    Code,
    Dashboard,
    Dataset,
    DatasetColumn,
    Filter,
    Row,
    parse_uuid,
    read_yaml,
)
from dashboards.compare import as_json, chart_uuids, one_line
from dashboards.decompile import (
    TYPES,
    Unsupported,
    chart_content,
    charts_in,
    filter_content,
    layout_rows,
    layout_tabs,
    merged_rows,
    metric_content,
    metric_names,
    own_layers,
    portable_layers,
    settings,
    slug_of,
    unique,
    without_none,
)
from dashboards.relations import SCHEMAS, Relation
from dashboards.state import Asset, State, placed
from dashboards.yamlfile import render


class PullRefused(Exception):
    """What cannot become code; each problem names the object and the remedy."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class FileChange:
    """A file that a pull writes or removes: its text before and after, None where there is none."""

    path: Path
    before: str | None
    after: str | None

    @property
    def action(self) -> str:
        """`created`, `changed` or `removed`."""
        if self.after is None:
            return "removed"
        return "created" if self.before is None else "changed"

    def diff(self, folder: Path) -> str:
        """Return the change as a unified diff, with paths from the code's folder."""
        name = self.path.relative_to(folder)
        old = "/dev/null" if self.before is None else f"a/{name}"
        new = "/dev/null" if self.after is None else f"b/{name}"
        lines = unified_diff(
            (self.before or "").splitlines(keepends=True),
            (self.after or "").splitlines(keepends=True),
            old,
            new,
        )
        return "".join(lines)


@dataclass(frozen=True)
class Offer:
    """What people made in Superset and the code does not have; `add` names it to `--add`."""

    kind: str
    title: str
    add: str


def find_dashboard(code: Code, slug: str) -> Dashboard:
    """Return a dashboard of the code by slug, folder or title; raise `PullRefused`."""
    for dashboard in code.dashboards:
        if slug in (dashboard.slug, dashboard.name, dashboard.title):
            return dashboard
    known = ", ".join(d.slug for d in code.dashboards)
    raise PullRefused(
        [f"no dashboard of the code is called {slug!r} (it has: {known}); bring it in with --add"]
    )


class Puller:
    """Collects the content of the files that differ from what Superset has.

    `first_values` has what `first` filters start with, by dashboard's and filter's name.
    """

    def __init__(
        self,
        code: Code,
        state: State,
        relations: dict[str, Relation],
        first_values: dict[str, dict[str, str | int]],
    ) -> None:
        self.code = code
        self.state = state
        self.relations = relations
        self.first_values = first_values
        self.files: dict[Path, dict[str, Any]] = {}
        self.removed: set[Path] = set()
        self.unsupported = Unsupported()
        self._names = {chart.uuid: chart for chart in code.charts}
        self._new_charts: dict[str, str] = {}

    def changes(self) -> list[FileChange]:
        """Return the files whose content differs, in order of their paths."""
        found = [FileChange(path, path.read_text(), None) for path in sorted(self.removed)]
        for path, content in sorted(self.files.items()):
            before = path.read_text(encoding="utf-8") if path.is_file() else None
            if path in self.removed:
                continue
            if before is not None and as_json(read_yaml(path)) == as_json(content):
                continue
            found.append(FileChange(path, before, render(content, before)))
        return found

    def offers(self) -> list[Offer]:
        """Return what people made and neither the code nor this pull has."""
        ours = {part.uuid for part in self.code.parts} | set(self._new_charts)
        written = {content.get("uuid") for content in self.files.values()}
        offers = []
        for uuid, asset in self.state.dashboard.items():
            if uuid not in ours | written and asset.place is None:
                name = asset.listed.get("slug") or asset.title
                offers.append(Offer("dashboard", asset.title, str(name)))
        for uuid, asset in self.state.chart.items():
            if uuid not in ours | written and asset.place is None:
                offers.append(Offer("chart", asset.title, str(asset.pk)))
        for dataset in self.code.datasets.values():
            content = self._content(dataset.path)
            for metric in self._persons_metrics(dataset):
                name = metric["metric_name"]
                if name not in content.get("metrics", {}):
                    offers.append(Offer("metric", name, f"{dataset.name}.{name}"))
        return offers

    # Selection --------------------------------------------------------------------------------

    def add(self, name: str, dashboard: str | None) -> None:
        """Bring in one object of people by what `offers` calls it, or its title."""
        found = [offer for offer in self.offers() if name in (offer.add, offer.title)]
        if not found:
            offered = ", ".join(sorted(repr(offer.add) for offer in self.offers())) or "nothing"
            self.unsupported.problems.append(
                f"nothing that people made in Superset is called {name!r}; there is: {offered}"
            )
        elif len(found) > 1:
            several = ", ".join(f"{offer.kind} {offer.add!r}" for offer in found)
            self.unsupported.problems.append(
                f"several things are called {name!r}: {several}; name one of them"
            )
        elif found[0].kind == "dashboard":
            self._add_dashboard(found[0])
        elif found[0].kind == "chart":
            self._add_chart(found[0], dashboard)
        else:
            dataset, _, metric = found[0].add.partition(".")
            self._add_metric(self.code.datasets[dataset], metric)

    def _add_dashboard(self, offer: Offer) -> None:
        asset = next(
            a
            for a in self.state.dashboard.values()
            if offer.add in (a.listed.get("slug"), a.title) and a.place is None
        )
        taken = {path.name for path in self.code.folder.iterdir() if path.is_dir()}
        subject = unique(slug_of(asset.title, "dashboard"), taken)
        path = self.code.folder / subject / "dashboard.yml"
        self.files[path] = self._dashboard_content(asset, subject, None)

    def _add_chart(self, offer: Offer, slug: str | None) -> None:
        if slug is None and len(self.code.dashboards) != 1:
            known = ", ".join(d.slug for d in self.code.dashboards)
            self.unsupported.problems.append(
                f"chart {offer.title!r}: on which dashboard? --dashboard with one of: {known}"
            )
            return
        dashboard = find_dashboard(self.code, slug or self.code.dashboards[0].slug)
        asset = next(a for a in self.state.chart.values() if str(a.pk) == offer.add)
        name = self._chart(asset, dashboard.subject)
        content = self._content(dashboard.path)
        row = {"height": 50, "cells": [{"chart": name, "width": 12}]}
        if content.get("tabs"):
            *others, last = content["tabs"]
            content["tabs"] = [*others, {**last, "rows": [*last["rows"], row]}]
        else:
            content["rows"] = [*content["rows"], row]
        self._leave_alone(content, dashboard.subject, name)
        self.files[dashboard.path] = content

    def _leave_alone(self, content: dict[str, Any], subject: str, chart: str) -> None:
        """List a chart under `not_on` of the filters that cannot reach it."""
        filters = [dict(item) for item in content.get("filters") or []]
        for item in filters:
            if self._cannot_follow(subject, chart, item):
                item["not_on"] = [*item.get("not_on", []), chart]
        if filters:
            content["filters"] = filters

    def pull_named_chart(self, name: str) -> None:
        """Take one chart of the code, by its title, the name of its file, or its id."""
        found = [
            chart
            for chart in self.code.charts
            if (asset := self.state.chart.get(chart.uuid))
            and name in (chart.name, chart.title, asset.title, str(asset.pk))
        ]
        if len(found) != 1:
            what = "several charts" if found else "no chart"
            self.unsupported.problems.append(
                f"{what} of the code that Superset has called {name!r}: name one by its file, or "
                "bring in a person's with --add"
            )
            return
        self._chart(self.state.chart[found[0].uuid], found[0].subject)

    def pull_dashboard(self, dashboard: Dashboard, *, force: bool = False) -> None:
        """Take a dashboard and its charts, where they are unlocked or `force` is given.

        Of one that is locked, charts that people added are taken: what else differs is a change
        of the code that was not pushed yet.
        """
        asset = self.state.dashboard.get(dashboard.uuid)
        if asset is None:
            self.unsupported.notes.append(
                f"{dashboard.slug}: not in Superset yet; `cityloom dashboards push`"
            )
            return
        members = [self.state.chart[uuid] for uuid in asset.members if uuid in self.state.chart]
        guests = [chart for chart in members if chart.place is None]
        guests = [chart for chart in guests if chart.uuid not in self._names]
        for chart in dashboard.charts.values():
            current = self.state.chart.get(chart.uuid)
            if current is not None and (force or not current.is_locked):
                self._chart(current, dashboard.subject)
        if force or guests or not asset.is_locked:
            self.files[dashboard.path] = self._dashboard_content(
                asset, dashboard.subject, dashboard, rows_only=asset.is_locked and not force
            )

    # Datasets ---------------------------------------------------------------------------------

    def pull_dataset(self, dataset: Dataset) -> None:
        """Take labels, descriptions and metrics of the code that were changed in Superset."""
        asset = self.state.dataset_on(dataset.relation)
        if asset is None or asset.place is None:
            return
        content = self._content(dataset.path)
        columns = dict(content.get("columns") or {})
        for column in asset.config["columns"]:
            name = column["column_name"]
            if column.get("expression"):
                continue
            changed = self._column_content(dataset, column)
            if changed:
                columns[name] = without_none({**(columns.get(name) or {}), **changed})
        columns = {name: column for name, column in columns.items() if column}
        metrics = dict(content.get("metrics") or {})
        for metric in asset.config["metrics"]:
            name = metric["metric_name"]
            if name in dataset.metrics:
                known = dataset.metrics[name].model_dump(exclude={"guarded"})
                found = {**dict.fromkeys(known), **metric_content(metric, dataset)}
                changed = {k: v for k, v in found.items() if (v or None) != (known[k] or None)}
                metrics[name] = without_none({**metrics[name], **changed})
        time_column = asset.config.get("main_dttm_col")
        if time_column != dataset.time_column:
            content["time_column"] = time_column
        for key, value in (("columns", columns), ("metrics", metrics)):
            if value:
                content[key] = value
            else:
                content.pop(key, None)
        self.files[dataset.path] = without_none(content)

    def _column_content(self, dataset: Dataset, column: dict[str, Any]) -> dict[str, Any]:
        """Return what of a column differs from the code; None is for keys to be left out."""
        relation = self.relations.get(dataset.relation)
        name = column["column_name"]
        known = dataset.columns.get(name) or DatasetColumn()
        documented_text = one_line(relation.columns.get(name)) if relation else None
        changed: dict[str, Any] = {}
        if (column.get("verbose_name") or None) != known.label:
            changed["label"] = column.get("verbose_name") or None
        description = one_line(column.get("description"))
        if description != (one_line(known.description) or documented_text):
            changed["description"] = None if description == documented_text else description
        if bool(column.get("filterable")) != known.filter:
            changed["filter"] = None if column.get("filterable") else False
        return changed

    def _persons_metrics(self, dataset: Dataset) -> list[dict[str, Any]]:
        asset = self.state.dataset_on(dataset.relation)
        return [
            metric
            for metric in (asset.config["metrics"] if asset else [])
            if is_persons_metric(metric, dataset) and metric["metric_name"] != "count"
        ]

    def _add_metric(self, dataset: Dataset, name: str) -> None:
        metric = next(m for m in self._persons_metrics(dataset) if m["metric_name"] == name)
        content = self._content(dataset.path)
        content["metrics"] = {**(content.get("metrics") or {}), name: metric_content(metric)}
        self.files[dataset.path] = content

    def _dataset_of(self, chart: Asset) -> str | None:
        """Return the name of the dataset that a chart uses, made if the code has none."""
        uuid = chart.config.get("dataset_uuid")
        relation = self.state.relation(uuid)
        if relation is None or relation.partition(".")[0] not in SCHEMAS:
            asset = self.state.dataset.get(parse_uuid(uuid)) if uuid else None
            self.unsupported.problems.append(
                f"chart {chart.title!r}: its dataset {asset.title if asset else '?'!r} is not a "
                "relation of marts or reporting; make what it selects a dbt model in "
                "dbt_project/models/reporting, let the chart use that (Explore: Swap dataset), "
                "and pull again"
            )
            return None
        for dataset in self.code.datasets.values():
            if dataset.relation == relation:
                return dataset.name
        for path, content in self.files.items():
            if content.get("relation") == relation:
                return path.stem
        return self._new_dataset(relation)

    def _new_dataset(self, relation: str) -> str:
        asset = self.state.dataset_on(relation)
        table = relation.partition(".")[2]
        name = unique(re.sub(r"^(rpt|fct|dim)_", "", table), self.code.datasets)
        config = asset.config if asset else {}
        labels = {
            column["column_name"]: {"label": column["verbose_name"]}
            for column in config.get("columns") or []
            if column.get("verbose_name") and not column.get("expression")
        }
        content: dict[str, Any] = {"relation": relation}
        if config.get("main_dttm_col"):
            content["time_column"] = config["main_dttm_col"]
        if labels:
            content["columns"] = labels
        self.files[self.code.folder / DATASETS / f"{name}.yml"] = content
        return name

    def _take_metrics(self, dataset_name: str, config: dict[str, Any]) -> None:
        """Bring in people's metrics on a dataset that a chart uses."""
        path = self.code.folder / DATASETS / f"{dataset_name}.yml"
        content = self._content(path)
        known = content.get("metrics") or {}
        asset = self.state.dataset_on(content["relation"])
        current = {m["metric_name"]: m for m in (asset.config["metrics"] if asset else [])}
        for name in metric_names(config.get("params") or {}):
            if name in current and name not in known and name != "count":
                known = {**known, name: metric_content(current[name])}
        if known != (content.get("metrics") or {}):
            self.files[path] = {**content, "metrics": known}

    # Charts -----------------------------------------------------------------------------------

    def _chart(self, asset: Asset, subject: str) -> str:
        """Take a chart into its file, or a new one; return the file's name."""
        known = self._names.get(asset.uuid)
        if known is None and asset.uuid in self._new_charts:
            return self._new_charts[asset.uuid]
        name = known.name if known else self._new_chart_name(asset, subject)
        path = known.path if known else self.code.folder / subject / "charts" / f"{name}.yml"
        dataset = self._dataset_of(asset)
        if dataset is None:
            return name
        self._take_metrics(dataset, asset.config)
        params = asset.config.get("params") or {}
        if portable_layers(params) != own_layers(params):
            self.unsupported.notes.append(
                f"{asset.title}: annotation layers other than formulas are left out"
            )
        self.files[path] = chart_content(asset.config, dataset, known, self._content(path))
        return name

    def _new_chart_name(self, asset: Asset, subject: str) -> str:
        taken = {c.name for c in self.code.charts if c.subject == subject}
        name = unique(slug_of(asset.title, "chart"), taken | set(self._new_charts.values()))
        self._new_charts[asset.uuid] = name
        return name

    def _content(self, path: Path) -> dict[str, Any]:
        """Return a file's content as this pull has it so far."""
        if path in self.files:
            return dict(self.files[path])
        return read_yaml(path) if path.is_file() else {}

    # Dashboards -------------------------------------------------------------------------------

    def _dashboard_content(
        self,
        asset: Asset,
        subject: str,
        known: Dashboard | None,
        *,
        rows_only: bool = False,
    ) -> dict[str, Any]:
        config = asset.config
        position = config.get("position") or {}
        names = {}
        for uuid in chart_uuids(position).values():
            chart = self.state.chart.get(uuid)
            if chart is None:
                self.unsupported.notes.append(
                    f"{asset.title}: a chart that was deleted is left out"
                )
            elif uuid in self._names and self._names[uuid].subject != subject:
                self.unsupported.problems.append(
                    f"dashboard {asset.title!r}: chart {chart.title!r} is code of "
                    f"{self._names[uuid].subject} already; save a copy of it for this dashboard "
                    "(Save as), and pull again"
                )
            else:
                is_known = uuid in self._names
                names[uuid] = self._names[uuid].name if is_known else self._chart(chart, subject)
        layout = self._layout(asset, position, names, known)
        found = {
            "title": config["dashboard_title"],
            "slug": config.get("slug") or slug_of(asset.title, "dashboard").replace("_", "-"),
            "description": config.get("description") or "",
            **settings(config, position, names, known),
            "filters": self._filters(asset, subject, names, known),
            **layout,
        }
        content = self._content(known.path) if known else {}
        if rows_only:
            found = layout
        elif known:
            gone = set(known.charts) - set(names.values())
            self.removed |= {known.charts[name].path for name in gone}
        current = known.model_dump() if known else {}
        defaults = {
            key: item.get_default(call_default_factory=True)
            for key, item in Dashboard.model_fields.items()
            if not item.is_required()
        }
        for key in {"rows", "tabs"} - set(layout):
            content.pop(key, None)
        for key, value in found.items():
            if known and as_json(_code_value(known, key, current)) == as_json(value):
                continue
            if key not in content and as_json(value) == as_json(defaults.get(key)):
                continue
            content[key] = value
        if rows_only:
            for name in set(names.values()) - set(known.charts if known else ()):
                self._leave_alone(content, subject, name)
        if known is None:
            order = [k for k in Dashboard.model_fields if k in content and k != "uuid"]
            content = {**{k: content[k] for k in order}, "uuid": asset.uuid}
        return content

    def _layout(
        self,
        asset: Asset,
        position: dict[str, Any],
        names: dict[str, str],
        known: Dashboard | None,
    ) -> dict[str, Any]:
        """Return `rows` or `tabs`, with the rows that the file has already as it has them."""
        written = read_yaml(known.path) if known else {}

        def rows(parent: str, code: Sequence[Row], in_file: list[Any]) -> list[dict[str, Any]]:
            found = layout_rows(asset.title, position, names, self.unsupported, parent)
            return merged_rows(found, code, in_file)

        titles = layout_tabs(position)
        if not titles:
            code_rows = known.rows if known else ()
            found = {"rows": rows("GRID_ID", code_rows, written.get("rows") or [])}
        else:
            # A tab that was renamed is the one in the same place.
            tabs = list(known.tabs) if known else []
            by_title = {tab.title: number for number, tab in enumerate(tabs)}
            in_file = written.get("tabs") or []
            found = {"tabs": []}
            for index, (title, key) in enumerate(titles):
                number = by_title.get(title, index)
                is_known = number < len(tabs)
                code_rows = tabs[number].rows if is_known else ()
                file_rows = in_file[number]["rows"] if is_known else []
                found["tabs"].append({"title": title, "rows": rows(key, code_rows, file_rows)})
        # A chart that was saved onto a dashboard with tabs has no place until it is opened.
        parts = [tab["rows"] for tab in found["tabs"]] if titles else [found["rows"]]
        shown = {name for part in parts for name in charts_in(part)}
        for name in dict.fromkeys(names.values()):
            if name not in shown:
                parts[-1].append({"height": 50, "cells": [{"chart": name, "width": 4}]})
        return found

    def _filters(
        self, asset: Asset, subject: str, names: dict[str, str], known: Dashboard | None
    ) -> list[dict[str, Any]]:
        config = asset.config
        charts = chart_uuids(config.get("position") or {})
        items = (config.get("metadata") or {}).get("native_filter_configuration") or []
        titles = {item.get("id"): item.get("name") for item in items}
        found = []
        for item in items:
            if item.get("type") != "NATIVE_FILTER" or item.get("filterType") not in TYPES:
                self.unsupported.problems.append(
                    f"dashboard {asset.title!r}: filter {item.get('name')!r} is of a kind that the "
                    f"YAML cannot express ({item.get('filterType')}); it knows: {', '.join(TYPES)}"
                )
                continue
            scope = item.get("scope") or {}
            roots = set(scope.get("rootPath") or ["ROOT_ID"])
            outside = [
                chart["meta"]["chartId"]
                for chart in placed(config.get("position") or {})
                if not roots & {*chart.get("parents", ["ROOT_ID"]), chart["id"]}
            ]
            excluded = [
                names[charts[pk]]
                for pk in dict.fromkeys([*(scope.get("excluded") or []), *outside])
                if charts.get(pk) in names
            ]
            dataset = self._filter_dataset(asset, item)
            content = filter_content(item, dataset, titles, excluded)
            content = self._as_known(content, known, asset, subject, names)
            found.append(content)
        return found

    def _filter_dataset(self, asset: Asset, item: dict[str, Any]) -> str | None:
        uuid = next((t["datasetUuid"] for t in item["targets"] if t.get("datasetUuid")), None)
        if uuid is None:
            return None
        stand_in = Asset("chart", asset.uuid, {"slice_name": item["name"]}, {"dataset_uuid": uuid})
        return self._dataset_of(stand_in)

    def _as_known(
        self,
        content: dict[str, Any],
        known: Dashboard | None,
        asset: Asset,
        subject: str,
        names: dict[str, str],
    ) -> dict[str, Any]:
        """Return a filter as the file has it where both agree."""
        without = [name for name in names.values() if self._cannot_follow(subject, name, content)]
        excluded = [*content.get("not_on", []), *without]
        if excluded:
            content["not_on"] = list(dict.fromkeys(excluded))
        if known is None:
            return content
        in_file = read_yaml(known.path).get("filters") or []
        for item, written in zip(known.filters, in_file, strict=True):
            if item.name != content["name"]:
                continue
            if item.first and item.default is None:
                first = self.first_values.get(known.name, {}).get(item.name)
                if asset.is_locked or content.get("default") in (first, None):
                    content.pop("default", None)
                    content["first"] = True
            wanted = Filter.model_validate(content).model_dump()
            current = item.model_dump()
            for both in (wanted, current):
                both["not_on"] = sorted(both["not_on"])
            if wanted == current:
                return dict(written)
            order = [name for name in item.not_on if name in content.get("not_on", [])]
            if order:
                rest = [name for name in content["not_on"] if name not in order]
                content["not_on"] = [*order, *rest]
        return content

    def _cannot_follow(self, subject: str, chart: str, item: dict[str, Any]) -> bool:
        """Whether a filter, as its YAML has it, cannot reach a chart of the same dashboard.

        That is, where the chart's dataset has no such column, as far as dbt documents it; of a
        period, where the chart has no condition on time.
        """
        # Several dashboards may have a chart of that name; one may show another's.
        own = self.code.folder / subject / "charts" / f"{chart}.yml"
        others = [one.path for one in self.code.charts if one.name == chart]
        content = next(filter(None, map(self._content, [own, *others])), None)
        if content is None:
            return False
        if item.get("type") == "time_range":
            where = (content.get("where") or {}).values()
            return not any(isinstance(one, dict) and "time_range" in one for one in where)
        path = self.code.folder / DATASETS / f"{content['dataset']}.yml"
        relation = self.relations.get(self._content(path).get("relation", ""))
        column = item.get("column")
        return column is not None and relation is not None and column not in relation.columns


def _code_value(known: Dashboard, key: str, dumped: dict[str, Any]) -> Any:
    """Return a key of the code in the shape in which a pull finds it."""
    if key in ("rows", "tabs", "filters"):
        return read_yaml(known.path).get(key) or []
    return dumped[key]
