"""What dbt documents of a relation, read from its YAML: no dbt, no manifest, no warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DBT_DIR = Path(__file__).resolve().parents[1] / "dbt_project"
SCHEMAS = ("marts", "reporting")


@dataclass(frozen=True)
class Relation:
    """A model in `marts` or `reporting`: what it holds, and what each column says."""

    name: str
    description: str
    columns: dict[str, str]
    path: Path


def documented(dbt_dir: Path = DBT_DIR) -> dict[str, Relation]:
    """Return the models that dbt's YAML documents, by `schema.name`."""
    relations = {}
    for schema in SCHEMAS:
        for path in sorted((dbt_dir / "models" / schema).rglob("*.yml")):
            said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            for model in said.get("models") or []:
                relation = _relation(f"{schema}.{model['name']}", model, path)
                relations[relation.name] = relation
    return relations


def _relation(name: str, model: dict[str, Any], path: Path) -> Relation:
    columns = {c["name"]: _line(c.get("description")) for c in model.get("columns") or []}
    return Relation(name, _line(model.get("description")), columns, path)


def _line(text: str | None) -> str:
    """Return a folded description as one line."""
    return " ".join((text or "").split())
