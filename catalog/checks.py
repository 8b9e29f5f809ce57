"""What is wrong with declarations that can each be read: what they say of one another."""

from __future__ import annotations

from pathlib import Path

from catalog import facts
from catalog.cities import Cities
from catalog.city_files import city_file_problems
from catalog.indicators import load_indicators
from catalog.peers import region_problems
from catalog.problems import ManifestError


def declaration_problems(found: Cities, project: Path | None = None) -> list[str]:
    """Return what is wrong with feeds, staging models, regions and CSV files of cities."""
    project = project or facts.DBT_PROJECT
    problems = facts.model_problems(found.sources, project) + region_problems(found.cities)
    try:
        metric_ids = {one.id for one in load_indicators(project)}
    except ManifestError as error:
        return problems + [text for text in error.problems if text not in problems]
    for city in found.cities:
        problems += city_file_problems(city, metric_ids)
    return problems
