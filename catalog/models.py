"""What a city and a source are: the schema of every file under `cities/`."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from catalog.fields import (
    NAME_LENGTH,
    Cadence,
    ColumnName,
    Country,
    DateFormat,
    Day,
    FilePattern,
    Identifier,
    Language,
    Line,
    OfficeHours,
    SharedRegex,
    TimeZone,
    did_you_mean,
)
from catalog.problems import ManifestError, refuse
from catalog.types import ColumnType

Severity = Literal["critical", "row", "info"]


def _bound(value: object) -> object:
    if isinstance(value, date | datetime):  # YAML reads 2020-01-01 as a date
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        raise ValueError(f"{value!r} is not a number or a date; write one")
    return value


Bound = Annotated[float | str | None, BeforeValidator(_bound)]


class Strict(BaseModel):
    """A part of a manifest; an unknown key is a mistake, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: Fields that come from the file's place in the folder, not from its text.
    not_in_file: ClassVar[frozenset[str]] = frozenset()


class Column(Strict):
    """One declared column of a source.

    A declared column must be in every file unless `optional`. `required`, `values`, `min`,
    `max` and `pattern` become row-level expectations of the gate.
    """

    type: ColumnType = Field(ColumnType.TEXT, description="Type of the column in raw")
    description: str = Field("", description="What the column holds")
    aliases: tuple[str, ...] = Field((), description="Other headers that mean this column")
    optional: bool = Field(False, description="Whether the column may be missing from a file")
    required: bool = Field(False, description="Whether every row must have a value")
    values: tuple[str, ...] | None = Field(None, description="The only values that are allowed")
    min: Bound = Field(None, description="The smallest value that is allowed")
    max: Bound = Field(None, description="The largest value that is allowed")
    pattern: SharedRegex | None = Field(
        None, description="Regular expression that every value must match"
    )
    formats: tuple[DateFormat, ...] = Field(
        (), description="How dates and times are written in the file, as strptime formats"
    )
    personal: Literal["drop", "hash", "redact"] | None = Field(
        None, description="What happens to personal data before anything is stored"
    )
    severity: Severity = Field(
        "row",
        description="What a failing row does: row quarantines it, critical blocks the load, "
        "info is only reported",
    )

    @field_validator("values")
    @classmethod
    def _values_are_of_the_type(
        cls, values: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        for value in values or ():
            _typed(info, value)
        return values

    @field_validator("min", "max")
    @classmethod
    def _bounds_are_of_the_type(
        cls, value: float | str | None, info: ValidationInfo
    ) -> float | str | None:
        kind = info.data.get("type")
        if value is None or kind is None:
            return value
        if kind in ("text", "boolean"):
            raise ValueError(
                f"means nothing for {kind}; give the column a type that can be compared, "
                "or use pattern"
            )
        upper = _typed(info, value)
        lower = info.data.get("min")
        if info.field_name == "max" and lower is not None and kind.parse(lower) > upper:
            raise ValueError(f"{value!r} is below min, which is {lower!r}; correct one of them")
        return value

    @field_validator("pattern")
    @classmethod
    def _pattern_is_for_text(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("type", "text") != "text":
            raise ValueError(f"is for text, not {info.data['type']}; use min and max")
        return value

    @field_validator("formats")
    @classmethod
    def _formats_are_for_dates(cls, value: tuple[str, ...], info: ValidationInfo) -> Any:
        kind = info.data.get("type", "date")
        if value and kind not in ("date", "timestamp"):
            raise ValueError(f"is for dates and timestamps, not {kind}; set type, or take it out")
        return value


def _typed(info: ValidationInfo, value: float | str) -> Any:
    """Return a value of the manifest in its column's type; raise `ValueError` if it is none."""
    kind = info.data.get("type")
    try:
        return kind.parse(value) if kind else value
    except ValueError:
        raise ValueError(f"{value!r} is not a {kind}; write one, or correct type") from None


class Reader(Strict):
    """How rows are read: a connector's name, what it reads, and the connector's own options."""

    connector: str = Field(description="Which connector reads; `cityloom sources connectors`")
    files: tuple[FilePattern, ...] = Field(
        (), description="Files to read, or patterns, inside the city's drop folder"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the connector, as its model declares them"
    )
    sample: Line | None = Field(
        None,
        description="Of what the rows are a sample, and how it was drawn, for readers of the "
        "figures; leave it out where the reader reads all there is",
    )


class Gate(Strict):
    """Thresholds of the gate that are about a load as a whole."""

    min_rows: int = Field(1, ge=0, description="Fewer rows read block the load")
    max_drop: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share by which rows read, those of one file, and the number of files may "
        "fall below the last accepted load",
    )
    max_quarantined: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the rows read that may be quarantined before the load is blocked; "
        "ten rows of an increment always may",
    )


class Source(Strict):
    """A source: one manifest, one raw table."""

    not_in_file: ClassVar[frozenset[str]] = frozenset({"city_id", "department", "path"})

    source: Identifier = Field(description="Id of the source, as the file's name")
    department: Identifier = Field(description="Id of the department: the folder")
    title: Line = Field(description="Name of the source, as people call it")
    grain: Line = Field(description="What one row is, such as 'one row a request'")
    owner: Line = Field(description="Who answers for the data")
    licence: Line = Field(description="Licence of the data")
    tier: Literal["open", "internal", "restricted"] = Field(description="Who may see the data")
    cadence: Cadence = Field(description="When the department publishes, in the city's time zone")
    primary_key: tuple[str, ...] = Field(
        min_length=1, description="Columns that identify a row; name the columns"
    )
    cursor: str | None = Field(
        None, description="Column that grows with every change; a load reads from its last value on"
    )
    read: Reader = Field(description="How the live source is read")
    snapshot: Reader | None = Field(None, description="How files of `run --snapshot` are read")
    columns: dict[ColumnName, Column] = Field(
        min_length=1, description="Columns by their names in raw"
    )
    other_columns: Literal["keep", "drop"] = Field(
        "keep", description="What happens to columns that are not declared"
    )
    gate: Gate = Field(Gate(), description="Thresholds on a load as a whole")
    feeds: Identifier | None = Field(
        None, description="Conformed fact that the source's staging model contributes to"
    )
    city_id: str = ""
    path: Path = Path()

    @model_validator(mode="after")
    def _names_agree(self) -> Source:
        problems: list[tuple[str, str]] = []
        known = {*self.columns, "_source_file", "_source_row"}
        for key, names in {"primary_key": self.primary_key, "cursor": (self.cursor,)}.items():
            problems += [
                (key, f"{name!r} is not under columns; {did_you_mean(name, known)}")
                for name in names
                if name is not None and name not in known
            ]
        repeated = sorted({k for k in self.primary_key if self.primary_key.count(k) > 1})
        problems += [("primary_key", f"{name!r} is listed twice; keep one") for name in repeated]
        means = {name: name for name in self.columns}
        for name, column in self.columns.items():
            for alias in column.aliases:
                other = means.setdefault(normalise(alias), name)
                if other != name:
                    message = (
                        f"{alias!r} ({normalise(alias)}) also means {other!r}; "
                        "a header can mean one column only"
                    )
                    problems.append((f"columns.{name}", message))
            if column.personal in ("drop", "redact") and name in self.primary_key:
                message = "a key that is personal can only be hashed; write hash"
                problems.append((f"columns.{name}.personal", message))
        if len(self.staging_model) > NAME_LENGTH:
            message = (
                f"makes {self.staging_model}, which has {len(self.staging_model)} characters; "
                f"PostgreSQL holds {NAME_LENGTH}: shorten it"
            )
            problems.append(("source", message))
        refuse(problems)
        return self

    @property
    def raw_table(self) -> str:
        """Name of the table in schema `raw`, as `<city>__<source>`."""
        return f"{self.city_id}__{self.source}"

    @property
    def staging_model(self) -> str:
        """Name of the dbt model that stages the source, as `stg_<city>__<source>`."""
        return f"stg_{self.city_id}__{self.source}"

    @property
    def dag_id(self) -> str:
        """Name of the DAG that loads the source."""
        return dag_id(self.city_id, self.source)


class City(Strict):
    """A city: `cities/<city_id>/city.yml` and the sources beside it."""

    not_in_file: ClassVar[frozenset[str]] = frozenset({"city_id", "sources", "path"})

    city_id: Identifier
    name: Line = Field(description="Name of the city, as people call it")
    simulated: bool = Field(False, description="Whether `simulator/` writes the city's files")
    country: Country = Field(description="Country, by its code of ISO 3166")
    language: Language = Field(description="Language that residents write, by its code")
    time_zone: TimeZone = Field(description="Time zone of the city's clocks, as IANA names it")
    population: int = Field(gt=0, description="Number of residents")
    population_year: int = Field(ge=1900, le=2100, description="Year of that number")
    region: Identifier | None = Field(
        None, description="Region in which its peers are, as in `cities/peer_groups.yml`"
    )
    district_noun: Line = Field("district", description="What the city calls its districts")
    fiscal_year_start_month: int = Field(
        1, ge=1, le=12, description="Month in which the fiscal year begins, 1 to 12"
    )
    office_hours: OfficeHours = Field("09:00-17:00", description="Hours of work, local time")
    office_days: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        (1, 2, 3, 4, 5),
        min_length=1,
        description="Days of the week on which offices are open, 1 Monday to 7 Sunday",
    )
    holidays: tuple[Day, ...] = Field(
        (),
        description="Days on which offices are closed, all of those of a year; years without any "
        "have the country's public holidays",
    )
    departments: dict[Identifier, Line] = Field(
        min_length=1, description="Names of the departments by their ids"
    )
    sources: tuple[Source, ...] = ()
    path: Path = Path()

    def source(self, source_id: str) -> Source:
        """Return the source of that name; raise `ManifestError` naming the known ones."""
        for source in self.sources:
            if source.source == source_id:
                return source
        known = ", ".join(s.source for s in self.sources)
        raise ManifestError([f"{self.city_id} has no source {source_id!r}; it has: {known}"])


def dag_id(city_id: str, source_id: str) -> str:
    """Return the name of the DAG that loads a source: `extract_<city>_<source>`.

    Names of folders and files that are no ids come as what Airflow takes in a name.

    >>> dag_id("nyc", "taxi_trips"), dag_id("nyc", "Taxi trips (new)")
    ('extract_nyc_taxi_trips', 'extract_nyc_taxi_trips_new')
    """
    parts = (re.sub(r"[^0-9a-z]+", "_", part.lower()).strip("_") for part in (city_id, source_id))
    return "_".join(["extract", *(part or "unnamed" for part in parts)])[:200]


def normalise(header: str) -> str:
    """Return a header as a column name: lower case, runs of other characters as one `_`.

    Letters, marks and digits of every script are kept, as in a `service_id`: a transliteration
    would depend on the language. Their forms are unified first (NFKC), so that a header typed
    with combining marks, or in full width, is the same name.

    >>> normalise("X Coordinate (State Plane)"), normalise("Größe (m²)"), normalise("受付 日")
    ('x_coordinate_state_plane', 'größe_m2', '受付_日')
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", header).lower())
    name = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text)
    name = "_".join(name.split())
    if not name:
        return "unnamed"
    return name if name[0].isalpha() else f"c_{name}"
