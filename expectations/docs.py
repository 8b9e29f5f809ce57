"""The gates' reports as HTML that needs no network: a page a load, and an index of the newest.

Results by column are drawn by Great Expectations' own renderers; the page around them is ours,
because theirs loads its style sheets, scripts and logo from elsewhere. Only the owner of the
files may read them: folders are 0700 and files 0600.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from catalog.models import Source
from expectations.outcomes import Outcome
from extract.load import LoadReport

#: Pages kept for each source.
KEPT = 30
_TEMPLATES = Path(__file__).parent / "templates"
_NEWEST = """
select distinct on (city_id, source_id) city_id, source_id, load_id, state, mode, started_at,
  finished_at, rows_read, rows_accepted, rows_unchanged, rows_quarantined, message
from quality.loads order by city_id, source_id, load_id desc
"""


def write_page(
    source: Source,
    load: LoadReport,
    outcomes: Sequence[Outcome],
    message: str | None,
    result: Any,
    docs_dir: Path,
) -> Path:
    """Write a load's report, drop the source's oldest ones, and return its absolute path.

    `message`: why the load is blocked; None where it passed. `result`: what
    `expectations.checks.check` found, or None when only thresholds were checked.
    """
    folder = (docs_dir / source.city_id / source.source).resolve()
    html = _template("page.html.j2").render(
        source=source,
        load=load,
        outcomes=outcomes,
        message=message,
        sections=_sections(result) if result is not None else [],
    )
    page = folder / f"{load.load_id}.html"
    _write(page, html, docs_dir)
    pages = sorted(
        (p for p in folder.glob("*.html") if p.stem.isdigit()), key=lambda p: int(p.stem)
    )
    for old in pages[:-KEPT]:
        old.unlink(missing_ok=True)
    return page


def write_index(connection: psycopg.Connection, docs_dir: Path) -> Path:
    """Write `index.html` with the newest load of each source; return its path.

    Each source links to the report of its newest load, or to the newest report that there is.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        loads = cursor.execute(_NEWEST).fetchall()
    for load in loads:
        folder = docs_dir / load["city_id"] / load["source_id"]
        numbers = [int(p.stem) for p in folder.glob("*.html") if p.stem.isdigit()]
        newest = max(numbers, default=None)
        load["report"] = newest
        load["page"] = f"{load['city_id']}/{load['source_id']}/{newest}.html" if newest else None
    index = docs_dir / "index.html"
    _write(index, _template("index.html.j2").render(loads=loads), docs_dir)
    return index


def _sections(result: Any) -> list[tuple[str, str]]:
    """Return (column, HTML) for each part of Great Expectations' result."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from markupsafe import Markup

    from expectations.escaping import EscapingSectionView

    view = EscapingSectionView()
    document = ValidationResultsPageRenderer().render(result).to_json_dict()
    return [
        (
            section.get("section_name") or "",
            Markup(view.render({"section": section, "section_loop": {"index": number}})),
        )
        # The first section is an overview, which our page shows itself.
        for number, section in enumerate(document["sections"][1:], 1)
    ]


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["minute"] = lambda moment: moment.strftime("%Y-%m-%d %H:%M %Z")
    return environment.get_template(name)


def _write(path: Path, text: str, docs_dir: Path) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (path.parent, *path.parent.parents):
        if not folder.resolve().is_relative_to(docs_dir.resolve()):
            break
        folder.chmod(0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)  # mkstemp makes it 0600
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
