"""What a connector declares: the model of its options, and whether it reads files.

Manifests are checked against it wherever they are read, each parse of the DAG folder included. So
a connector's module imports what it reads with (Arrow, polars, SQLAlchemy, ...) in its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from catalog.fields import TimeZone
from catalog.models import Reader, Source
from catalog.problems import Location, key_of, problems_of
from extract.errors import ExtractError, of_manifest
from warehouse.reasons import Reason

if TYPE_CHECKING:
    from extract.batches import SourceBatch


def _encoding(value: str) -> str:
    try:
        "".encode(value)
    except (LookupError, ValueError):
        raise ValueError(
            f"{value!r} is no encoding of text; write one such as utf-8, latin-1, cp1252 or utf-16"
        ) from None
    return value


Encoding = Annotated[str, AfterValidator(_encoding)]


class Options(BaseModel):
    """The options that every connector has; each connector's own model adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    time_zone: TimeZone | None = Field(
        None,
        description="Zone in whose local time a time with an offset is kept; without it such a "
        "time cannot be read",
    )


@dataclass(frozen=True)
class Connector:
    """One way to read a source.

    Called with a reader of a manifest, its source, the folder that files are relative to, and the
    cursor of the last load, it yields `SourceBatch`es with the department's own column names. It
    knows nothing of types, keys or `raw`; a source that is not what its manifest says raises
    `ExtractError`. `reads_files`: whether the manifest names `files`.
    """

    summary: str
    options: type[Options]
    read: Callable[[Any, Reader, Source, Path, str | None], Iterator[SourceBatch]]
    reads_files: bool = True

    def problems(self, reader: Reader) -> Iterator[tuple[Location, str]]:
        """Yield (key below the reader, what is wrong and what to do) for what a manifest says."""
        if self.reads_files and not reader.files:
            yield (
                ("files",),
                f"is missing; name the files that connector {reader.connector} reads",
            )
        if reader.files and not self.reads_files:
            yield ("files",), f"connector {reader.connector} reads no files; take it out"
        try:
            self.options.model_validate(reader.options)
        except ValidationError as error:
            yield from problems_of(error, self.options, ("options",))

    def __call__(
        self, reader: Reader, source: Source, base_dir: Path, cursor: str | None
    ) -> Iterator[SourceBatch]:
        """Yield the source's rows; each `ExtractError` names the manifest."""
        key = "snapshot" if reader is source.snapshot else "read"
        for loc, message in self.problems(reader):
            wrong, _, remedy = message.partition("; ")
            place = f"{source.path}: {key_of((key, *loc))}"
            raise ExtractError(place, wrong, remedy or "correct it", reason=Reason.WRONG_MANIFEST)
        options = self.options.model_validate(reader.options)
        with of_manifest(f"{source.path}, {key}"):
            yield from self.read(options, reader, source, base_dir, cursor)
