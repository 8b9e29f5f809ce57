"""Errors between a department's file and `raw`: each names the place, the problem, the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from catalog.text import printable
from warehouse.reasons import Reason


class ExtractError(Exception):
    """A source that cannot be read or loaded as its manifest says.

    `place` is the file (and line, sheet or column), `problem` what is wrong there, `remedy` what
    to do. `quoted` is text of the source itself or of a library that may quote it: it is left out
    where a source has personal columns. `reason`: the code for `quality.loads.reason_code`.
    `manifest` names the source's manifest and the reader in it, where that is not the place
    itself. Nothing of the load reaches `raw`.
    """

    manifest: str | None = None

    def __init__(
        self,
        place: str,
        problem: str,
        remedy: str,
        *,
        quoted: str = "",
        reason: Reason = Reason.MALFORMED_FILE,
    ) -> None:
        place, problem, quoted = printable(place), printable(problem), printable(quoted)
        self.place = place
        self.problem = problem
        self.remedy = remedy
        self.quoted = quoted
        self.reason = reason
        detail = f"{problem}: {quoted}" if quoted else problem
        end = "" if remedy.endswith("?") else "."
        super().__init__(f"{place}: {detail}. {remedy[:1].upper()}{remedy[1:]}{end}")

    def __str__(self) -> str:
        text = super().__str__()
        known = self.manifest is None or self.place.startswith(self.manifest.rpartition(",")[0])
        return text if known else f"{text} (Manifest: {self.manifest})"


@contextmanager
def of_manifest(manifest: str) -> Iterator[None]:
    """Let each `ExtractError` of the block name the manifest, and the reader in it."""
    try:
        yield
    except ExtractError as error:
        error.manifest = error.manifest or manifest
        raise


class SafeError(Exception):
    """An error of ours that quotes no value of a source."""


class WithheldError(SafeError):
    """Stands for an error whose text may quote personal data."""
