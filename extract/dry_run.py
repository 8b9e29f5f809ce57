"""Reading a source without a database: what a load of it would find."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from catalog.models import Source
from extract.connectors import connector
from extract.errors import ExtractError, of_manifest
from extract.prepare import Preparer
from extract.redact import safe_errors
from warehouse.reasons import Reason

#: Salt of hashes that are thrown away; nothing else may use it.
_NO_SALT = b"dry run"
_VALUE = re.compile(r"cannot read .* as(?= \w+(;|$))")


@dataclass(frozen=True)
class Reject:
    """A kind of reason why rows would be quarantined: the first of them, and how many there are.

    `row` counts from 1, the first record of the file.
    """

    reason: str
    file: str
    row: int
    count: int


@dataclass(frozen=True)
class DryRun:
    """What a load would read: rows in all, those it would quarantine, columns not declared.

    `reasons`: the ten most frequent kinds.
    """

    rows: int
    quarantined: int
    reasons: list[Reject]
    undeclared: list[str]


def dry_run(source: Source, base_dir: Path, mode: str = "read") -> DryRun:
    """Read all of a source as a load would, and raise `ExtractError` where a load would."""
    with safe_errors(source), of_manifest(f"{source.path}, {mode}"):
        return _dry_run(source, base_dir, mode)


def _dry_run(source: Source, base_dir: Path, mode: str) -> DryRun:
    reader = source.read if mode == "read" else source.snapshot
    if reader is None:
        raise ExtractError(
            f"{source.path}: snapshot",
            "is not in the manifest",
            "add it, or read without it",
            reason=Reason.WRONG_MANIFEST,
        )
    preparer = Preparer(source, _NO_SALT, {}, reader.options.get("time_zone"))
    rows = quarantined = 0
    reasons: Counter[str] = Counter()
    examples: dict[str, tuple[str, str, int]] = {}
    undeclared: dict[str, None] = {}
    files = {}
    for batch in connector(reader.connector)(reader, source, base_dir, None):
        prepared = preparer.prepare(batch)
        files[id(batch.file)] = batch.file
        count = len(prepared.rows) + len(prepared.quarantined)
        batch.file.rows += count
        rows += count
        quarantined += len(prepared.quarantined)
        for item in prepared.quarantined:
            for reason in item.reasons:
                kind = _VALUE.sub("cannot read a value as", reason)
                reasons[kind] += 1
                examples.setdefault(kind, (reason, batch.file.path, item.row))
        undeclared.update(
            dict.fromkeys(n for n in prepared.table.schema.names if n not in source.columns)
        )
    for file in files.values():
        preparer.check_file(file)
    counted = [Reject(*examples[kind], count) for kind, count in reasons.most_common(10)]
    named = [preparer.undeclared[name] for name in undeclared]
    return DryRun(rows, quarantined, counted, named)
