"""A seeded file shaped like New York's 311 export: 41 columns, about 330 bytes a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

#: Header of the 2020s export, in its order.
HEADER = [
    "Unique Key",
    "Created Date",
    "Closed Date",
    "Agency",
    "Agency Name",
    "Complaint Type",
    "Descriptor",
    "Location Type",
    "Incident Zip",
    "Incident Address",
    "Street Name",
    "Cross Street 1",
    "Cross Street 2",
    "Intersection Street 1",
    "Intersection Street 2",
    "Address Type",
    "City",
    "Landmark",
    "Facility Type",
    "Status",
    "Due Date",
    "Resolution Description",
    "Resolution Action Updated Date",
    "Community Board",
    "BBL",
    "Borough",
    "X Coordinate (State Plane)",
    "Y Coordinate (State Plane)",
    "Open Data Channel Type",
    "Park Facility Name",
    "Park Borough",
    "Vehicle Type",
    "Taxi Company Borough",
    "Taxi Pick Up Location",
    "Bridge Highway Name",
    "Bridge Highway Direction",
    "Road Ramp",
    "Bridge Highway Segment",
    "Latitude",
    "Longitude",
    "Location",
]

AGENCIES = {
    "NYPD": "New York City Police Department",
    "DSNY": "Department of Sanitation",
    "HPD": "Department of Housing Preservation and Development",
    "DOT": "Department of Transportation",
    "DEP": "Department of Environmental Protection",
}
COMPLAINTS = [
    "Noise - Residential",
    "Illegal Parking",
    "HEAT/HOT WATER",
    "Blocked Driveway",
    "Street Condition",
    "Water System",
    "Missed Collection",
    "Rodent",
    "Damaged Tree",
    "Abandoned Vehicle",
]
DESCRIPTORS = [
    "Loud Music/Party",
    "Posted Parking Sign Violation",
    "ENTIRE BUILDING",
    "No Access",
    "Pothole",
    '"Hydrant Running (WC3)"',
    "Trash",
    "Rat Sighting",
    "Branch or Limb Has Fallen Down",
    "With License Plate",
]
RESOLUTIONS = (
    "The Police Department responded to the complaint and took action to fix the condition.",
    "The Department of Sanitation investigated this complaint, and found no condition.",
    "Your complaint has been received, and it has been determined that more work is needed.",
)
BOROUGHS = ("MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND")


def write(path: Path, rows: int, seed: int = 311) -> int:
    """Write `rows` requests to `path` as CSV; return its size in bytes.

    The same seed gives the same file, and a shorter file is the start of a longer one.
    """
    step = 50_000
    with path.open("wb") as file:
        for start in range(0, rows, step):
            count = min(step, rows - start)
            block = _block(start, np.random.default_rng([seed, start]))
            block.head(count).write_csv(file, include_header=start == 0)
    return path.stat().st_size


def _block(start: int, rng: np.random.Generator, rows: int = 50_000) -> pl.DataFrame:
    def pick(values: Sequence[Any], shape: int | tuple[int, ...] = rows) -> np.ndarray:
        return np.array(values, dtype=object)[rng.integers(0, len(values), shape)]

    def some(values: np.ndarray | pl.Series, share: float) -> pl.Series:
        return pl.Series(values, dtype=pl.String).set(pl.Series(rng.random(rows) >= share), None)

    def stamp(seconds: np.ndarray) -> pl.Series:
        return pl.from_epoch(pl.Series(seconds), "s").dt.strftime("%m/%d/%Y %I:%M:%S %p")

    number = np.arange(start, start + rows)
    opened = 1_577_836_800 + number * 30 + rng.integers(0, 30, rows)
    took = rng.exponential(90_000, rows).astype(np.int64)
    still_open = rng.random(rows) < 0.1
    agency = rng.integers(0, len(AGENCIES), rows)
    borough = rng.integers(0, 5, rows)
    board = rng.integers(1, 19, rows)
    house = rng.integers(1, 3000, rows)
    streets = [f"{n} STREET" for n in range(1, 220)] + [f"{n} AVENUE" for n in range(1, 60)]
    street = pick(streets)
    x, y = rng.integers(913_000, 1_067_000, rows), rng.integers(121_000, 272_000, rows)
    lat = (40.5 + rng.random(rows) * 0.4).round(6)
    lon = (-74.25 + rng.random(rows) * 0.5).round(6)
    frame = pl.DataFrame(
        {
            "Unique Key": 50_000_000 + number,
            "Created Date": stamp(opened),
            "Closed Date": stamp(opened + took).set(pl.Series(still_open), None),
            "Agency": np.array(list(AGENCIES), dtype=object)[agency],
            "Agency Name": np.array(list(AGENCIES.values()), dtype=object)[agency],
            "Complaint Type": pick(COMPLAINTS),
            "Descriptor": pick(DESCRIPTORS),
            "Location Type": pick(("Residential Building/House", "Street/Sidewalk", "Street")),
            "Incident Zip": rng.integers(10_001, 11_697, rows),
            "Street Name": street,
            "Cross Street 1": some(pick(streets), 0.5),
            "Cross Street 2": some(pick(streets), 0.5),
            "Address Type": pick(("ADDRESS", "INTERSECTION", "BLOCKFACE")),
            "Status": np.where(still_open, "In Progress", "Closed"),
            "Resolution Description": some(pick(RESOLUTIONS), 0.2),
            "Resolution Action Updated Date": some(stamp(opened + took), 0.4),
            "BBL": (borough + 1) * 10**9 + rng.integers(1, 10**9, rows),
            "City": some(np.array(BOROUGHS, dtype=object)[borough], 0.3),
            "Borough": np.array(BOROUGHS, dtype=object)[borough],
            "X Coordinate (State Plane)": x,
            "Y Coordinate (State Plane)": y,
            "Open Data Channel Type": pick(("ONLINE", "PHONE", "MOBILE")),
            "Latitude": lat,
            "Longitude": lon,
        }
    )
    return frame.with_columns(
        pl.concat_str(pl.Series(house), pl.lit(" "), "Street Name").alias("Incident Address"),
        pl.concat_str(pl.Series(board).cast(pl.String).str.zfill(2), pl.lit(" "), "Borough").alias(
            "Community Board"
        ),
        pl.when(pl.Series(rng.random(rows) < 0.3))
        .then(pl.format("({}, {})", "Latitude", "Longitude"))
        .alias("Location"),
        *(
            pl.lit(None, pl.String).alias(name)
            for name in HEADER
            if name not in frame.columns
            and name not in ("Incident Address", "Community Board", "Location")
        ),
    ).select(HEADER)
