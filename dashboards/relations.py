"""What dbt documents of a relation, read from its YAML: no dbt, no manifest, no warehouse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.generate import DBT_PROJECT
from dashboards.code import parse_yaml

DBT_DIR = DBT_PROJECT
SCHEMAS = ("marts", "reporting")

#: `{% docs name %} text {% enddocs %}` in a Markdown file, and `{{ doc('name') }}` that shows it.
BLOCK = re.compile(r"{%-?\s*docs\s+(\w+)\s*-?%}(.*?){%-?\s*enddocs\s*-?%}", re.DOTALL)
REFERENCE = re.compile(r"""{{\s*doc\(\s*["'](?:\w+["']\s*,\s*["'])?(\w+)["']\s*\)\s*}}""")


class MissingDoc(Exception):
    """A description names a doc block that no Markdown file has."""


@dataclass(frozen=True)
class Relation:
    """A model in `marts` or `reporting`: its description, and each column's.

    `columns` maps names to descriptions; `path` is the YAML file.
    """

    name: str
    description: str
    columns: dict[str, str]
    path: Path


def documented(dbt_dir: Path = DBT_DIR) -> dict[str, Relation]:
    """Return the models that dbt's YAML documents, by `schema.name`.

    Raises `MissingDoc` for a description that names a doc block which does not exist.
    """
    docs = doc_blocks(dbt_dir)
    relations = {}
    for schema in SCHEMAS:
        for path in sorted((dbt_dir / "models" / schema).rglob("*.yml")):
            content = parse_yaml(path.read_text(encoding="utf-8")) or {}
            for model in content.get("models") or []:
                relation = _relation(f"{schema}.{model['name']}", model, path, docs)
                relations[relation.name] = relation
    return relations


def doc_blocks(dbt_dir: Path) -> dict[str, str]:
    """Return the texts of dbt's doc blocks by name."""
    return {
        name: text
        for path in sorted((dbt_dir / "models").rglob("*.md"))
        for name, text in BLOCK.findall(path.read_text(encoding="utf-8"))
    }


def _relation(name: str, model: dict[str, Any], path: Path, docs: dict[str, str]) -> Relation:
    def described(item: dict[str, Any]) -> str:
        return _resolved(item.get("description") or "", path, docs)

    columns = {column["name"]: described(column) for column in model.get("columns") or []}
    return Relation(name, described(model), columns, path)


def _resolved(text: str, path: Path, docs: dict[str, str]) -> str:
    """Return a description as one line, with its doc blocks in place of their names."""

    def block(found: re.Match[str]) -> str:
        if found[1] not in docs:
            raise MissingDoc(
                f"{path}: {found[0]}: no Markdown file under models/ has a docs block "
                f"{found[1]!r}; add it, or correct the name"
            )
        return docs[found[1]].strip()

    return " ".join(REFERENCE.sub(block, text).split())
