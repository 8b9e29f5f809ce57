"""Which cities are peers: `cities/peer_groups.yml`, with bands of population and regions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, field_validator

from catalog.cities import CITIES_DIR
from catalog.fields import Identifier, Line, did_you_mean
from catalog.models import City, Strict
from catalog.problems import ManifestError, Problem, key_of, problems_of

PEER_GROUPS = CITIES_DIR / "peer_groups.yml"


class Band(Strict):
    """A band of population, from a number of residents up to the next band's."""

    name: Line = Field(description="Name, as pages show it")
    from_: int = Field(alias="from", ge=0, description="Fewest residents of a city in it")


class PeerGroups(Strict):
    """Bands and regions by which cities are compared."""

    bands: tuple[Band, ...] = Field(min_length=1, description="Bands of population, smallest first")
    regions: dict[Identifier, Line] = Field(min_length=1, description="Names of regions by id")
    min_cities: int = Field(ge=2, description="Fewest cities among which a percentile is given")

    @field_validator("bands")
    @classmethod
    def _bands_follow_one_another(cls, bands: tuple[Band, ...]) -> tuple[Band, ...]:
        starts = [band.from_ for band in bands]
        if starts != sorted(set(starts)) or starts[0] != 0:
            raise ValueError("each band's `from` is above the one before, and the first is 0")
        return bands

    def band_rows(self) -> list[tuple[int, str, int, int | None]]:
        """Return each band: order, name, fewest residents, and the next band's fewest."""
        ends = [band.from_ for band in self.bands[1:]] + [None]
        return [
            (order, band.name, band.from_, end)
            for order, (band, end) in enumerate(zip(self.bands, ends, strict=True), 1)
        ]


def load_peer_groups(path: Path = PEER_GROUPS) -> PeerGroups:
    """Return the bands and regions; raise `ManifestError` with file, key and remedy."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError([f"{path}: cannot be read ({error.strerror}); restore it"]) from error
    except yaml.YAMLError as error:
        raise ManifestError([f"{path}: is not YAML: {error}"]) from error
    try:
        return PeerGroups.model_validate(document)
    except ValidationError as error:
        found = problems_of(error, PeerGroups)
        raise ManifestError([Problem(path, key_of(loc), text) for loc, text in found]) from error


def region_problems(cities: Iterable[City], path: Path = PEER_GROUPS) -> list[str]:
    """Return what keeps cities from having peers: a region that is not in the file, or the file."""
    try:
        regions = load_peer_groups(path).regions
    except ManifestError as error:
        return error.problems
    return [
        f"{city.path}: region: {city.region!r} is not in {path.name}; "
        f"{did_you_mean(city.region, regions)}"
        for city in cities
        if city.region is not None and city.region not in regions
    ]
