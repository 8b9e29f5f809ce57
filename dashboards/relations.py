"""What dbt documents of a relation, read from its YAML: no dbt, no manifest, no warehouse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DBT_DIR = Path(__file__).resolve().parents[1] / "dbt_project"
SCHEMAS = ("marts", "reporting")
DOC_BLOCK = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)
DOC_REFERENCE = re.compile(r"""{{ doc\(['"](\w+)['"]\) }}""")


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
    blocks = _doc_blocks(dbt_dir)
    for schema in SCHEMAS:
        for path in sorted((dbt_dir / "models" / schema).rglob("*.yml")):
            said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            for model in said.get("models") or []:
                relation = _relation(f"{schema}.{model['name']}", model, path, blocks)
                relations[relation.name] = relation
    return relations


def _relation(name: str, model: dict[str, Any], path: Path, blocks: dict[str, str]) -> Relation:
    columns = {c["name"]: _line(c.get("description"), blocks) for c in model.get("columns") or []}
    return Relation(name, _line(model.get("description"), blocks), columns, path)


def _doc_blocks(dbt_dir: Path) -> dict[str, str]:
    """Return dbt's doc blocks by name: descriptions that several models share."""
    return {
        name: text
        for path in sorted((dbt_dir / "models").rglob("*.md"))
        for name, text in DOC_BLOCK.findall(path.read_text(encoding="utf-8"))
    }


def _line(text: str | None, blocks: dict[str, str]) -> str:
    """Return a description as one line, with the text of the doc block that it refers to."""
    found = DOC_REFERENCE.fullmatch((text or "").strip())
    return " ".join((blocks.get(found[1], "") if found else text or "").split())
