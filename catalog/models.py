"""What a city and a source are: the schema that every file under `cities/` is held to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from catalog.types import ColumnType

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Severity = Literal["critical", "row", "info"]


class Strict(BaseModel):
    """A part of a manifest; a key that nobody reads is a mistake, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Strict):
    """One declared column of a source.

    A declared column must be in every file unless `optional`. `required`, `values`, `min`,
    `max` and `pattern` become row-level expectations of the gate; `severity` says what a
    failing row does: `row` quarantines it, `critical` keeps the load out, `info` only tells.
    """

    type: ColumnType = ColumnType.TEXT
    description: str = ""
    aliases: tuple[str, ...] = ()
    optional: bool = False
    required: bool = False
    values: tuple[str, ...] | None = None
    min: float | str | None = None
    max: float | str | None = None
    pattern: str | None = None
    formats: tuple[str, ...] = ()
    personal: Literal["drop", "hash", "redact"] | None = None
    severity: Severity = "row"

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, value: str | None) -> str | None:
        if value is not None:
            re.compile(value)
        return value


class Reader(Strict):
    """How rows are read: a connector's name, what it reads, and the connector's own options."""

    connector: Identifier
    files: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)


class Gate(Strict):
    """Thresholds of the gate that are about a load as a whole.

    `min_rows`: fewer rows read keep the load out. `max_drop`: the share by which rows read, those
    of one file, and the number of files may fall below the last kept load. `max_quarantined`: the
    share of rows read that may fail alone before the load as a whole is not believed (ten rows of
    an increment always may).
    """

    min_rows: int = Field(default=1, ge=0)
    max_drop: float = Field(default=0.5, ge=0, le=1)
    max_quarantined: float = Field(default=0.2, ge=0, le=1)


class Source(Strict):
    """A source: one manifest, one raw table.

    `feeds`: the conformed fact to which the source's staging model contributes, if any.
    """

    source: Identifier
    department: Identifier
    title: str
    grain: str
    owner: str
    licence: str
    tier: Literal["open", "internal", "restricted"]
    cadence: str
    primary_key: tuple[str, ...]
    cursor: str | None = None
    read: Reader
    snapshot: Reader | None = None
    columns: dict[str, Column]
    other_columns: Literal["keep", "drop"] = "keep"
    gate: Gate = Gate()
    feeds: Identifier | None = None
    city_id: str = ""
    path: Path = Path()

    @model_validator(mode="after")
    def _names_agree(self) -> Source:
        known = set(self.columns) | {"_source_file", "_source_row"}
        for key in (*self.primary_key, *([self.cursor] if self.cursor else [])):
            if key not in known:
                raise ValueError(f"{key!r} is named as a key or cursor but is not under columns")
        if not self.primary_key:
            raise ValueError("primary_key is empty: name the columns that identify a row")
        seen: dict[str, str] = {}
        for name, column in self.columns.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"columns.{name}: names are lower case, as in raw")
            for alias in (name, *(normalise(a) for a in column.aliases)):
                if seen.setdefault(alias, name) != name:
                    raise ValueError(f"columns.{name}: {alias!r} also means {seen[alias]!r}")
            if column.personal and name in self.primary_key and column.personal != "hash":
                raise ValueError(f"columns.{name}: a key that is personal can only be hashed")
        return self

    @property
    def raw_table(self) -> str:
        """Name of the table in schema `raw`, as `<city>__<source>`."""
        return f"{self.city_id}__{self.source}"

    @property
    def staging_model(self) -> str:
        """Name of the dbt model that stages the source, as `stg_<city>__<source>`."""
        return f"stg_{self.city_id}__{self.source}"


class City(Strict):
    """A city: `cities/<city_id>/city.yml` and the sources beside it."""

    city_id: Identifier
    name: str
    simulated: bool = False
    country: str
    language: str
    time_zone: str
    population: int = Field(gt=0)
    population_year: int
    district_noun: str = "district"
    fiscal_year_start_month: int = Field(default=1, ge=1, le=12)
    office_hours: str = "09:00-17:00"
    holidays: tuple[str, ...] = ()
    departments: dict[Identifier, str]
    sources: tuple[Source, ...] = ()
    path: Path = Path()

    @model_validator(mode="after")
    def _departments_exist(self) -> City:
        for source in self.sources:
            if source.department not in self.departments:
                raise ValueError(
                    f"sources: {source.source} belongs to {source.department!r}, "
                    "which is not under departments"
                )
        return self

    def source(self, source_id: str) -> Source:
        """Return the source of that name; raise `KeyError` naming the known ones."""
        for source in self.sources:
            if source.source == source_id:
                return source
        known = ", ".join(s.source for s in self.sources)
        raise KeyError(f"{self.city_id} has no source {source_id!r}; it has: {known}")


def normalise(header: str) -> str:
    """Return a header as a column name: lower case, runs of other characters as one `_`.

    >>> normalise("X Coordinate (State Plane)")
    'x_coordinate_state_plane'
    """
    name = re.sub(r"[^0-9a-z]+", "_", header.strip().lower()).strip("_")
    if not name:
        return "unnamed"
    return name if name[0].isalpha() else f"c_{name}"
