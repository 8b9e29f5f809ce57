"""Where things happen: twelve districts of a city that does not exist."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Index 0-11 of every array by district; ids as in the files.
DISTRICT_IDS = tuple(f"D{number:02d}" for number in range(1, 13))
DISTRICT_NAMES = (
    "Old Market",
    "Riverside",
    "Mill Basin",
    "University Hill",
    "Eastgate",
    "Cedar Flats",
    "Ironworks",
    "Southfield",
    "Linden Park",
    "Northgate",
    "Lakeview",
    "Prairie Ridge",
)
POPULATION = np.array(
    [21400, 34800, 27300, 39900, 46200, 31700, 52100, 44600, 24500, 36900, 18700, 24500]
)
#: What half of a district's households earn less than, US dollars a year.
INCOME = np.array(
    [58200, 71400, 64900, 61300, 43800, 55600, 39700, 47100, 88400, 66800, 102500, 79300]
)
#: How much longer than the city a resident waits for the same thing.
SLOWNESS = np.array([0.9, 0.95, 1.0, 0.9, 1.35, 1.1, 1.55, 1.3, 0.75, 1.05, 0.7, 0.85])
#: Share of comments written in Spanish.
SPANISH = np.array([0.10, 0.12, 0.10, 0.08, 0.30, 0.12, 0.26, 0.22, 0.05, 0.10, 0.04, 0.05])
#: Leaning to recycle, against the city's mean.
RECYCLES = np.array([0.95, 1.05, 1.0, 1.25, 0.8, 0.9, 0.7, 0.8, 1.2, 1.0, 1.35, 1.2])

STREETS: tuple[tuple[str, ...], ...] = (
    ("Market Row", "Tinsmith Lane", "Bell Street", "Château Row", "Granary Street", "1st Avenue"),
    ("Quay Street", "Ferry Road", "Peña Avenue", "Willow Walk", "Bridge Street", "Heron Lane"),
    ("Millrace Road", "Basin Street", "Müller Way", "Loom Street", "Spindle Lane", "3rd Avenue"),
    (
        "College Street",
        "Provost Road",
        "Émile Street",
        "Library Lane",
        "Hilltop Drive",
        "Ash Court",
    ),
    (
        "Eastgate Road",
        "Cañón Street",
        "Garfield Street",
        "Señora Drive",
        "9th Street",
        "Depot Road",
    ),
    ("Cedar Street", "Flatiron Road", "Juniper Lane", "Larch Avenue", "Piñon Place", "14th Street"),
    ("Foundry Road", "Anvil Street", "Cinder Lane", "Núñez Street", "Furnace Hill", "22nd Street"),
    ("South Street", "Barley Road", "Harrow Street", "José Martí Way", "Plow Lane", "31st Street"),
    ("Linden Avenue", "Park Crescent", "Frères Street", "Orchard Road", "Maple Court", "Elm Walk"),
    (
        "North Gate Road",
        "Signal Street",
        "Coopers Lane",
        "Ångström Road",
        "Toll Street",
        "Rail Way",
    ),
    ("Lake Drive", "Shore Road", "Regatta Lane", "Belvédère Road", "Pier Street", "Swan Court"),
    ("Ridge Road", "Prairie Avenue", "Bluestem Lane", "Meadowlark Drive", "Fox Run", "Sage Street"),
)
PARKS: tuple[tuple[str, ...], ...] = (
    ("Market Green", "Bell Tower Garden"),
    ("Ferry Park", "Heron Meadow"),
    ("Millrace Park", "Spindle Square"),
    ("Founders' Lawn", "Hilltop Park"),
    ("Garfield Park", "Depot Playground"),
    ("Cedar Grove", "Flatiron Field"),
    ("Foundry Park", "Anvil Playground"),
    ("Barley Park", "South Common"),
    ("Linden Park", "Orchard Green"),
    ("Signal Park", "Toll House Garden"),
    ("Lakeview Beach Park", "Regatta Green"),
    ("Prairie Commons", "Bluestem Park"),
)
SCHOOLS = (
    "Market Street School",
    "Riverside Elementary",
    "Millrace School",
    "Hilltop Middle School",
    "Garfield Elementary",
    "Cedar Flats School",
    "Ironworks High",
    "Southfield Elementary",
    "Linden School",
    "Northgate Middle School",
    "Lakeview Elementary",
    "Bluestem School",
)

#: South-west corner and size in degrees: empty prairie, so that no real city is meant.
_WEST, _SOUTH = -101.66, 41.90
_WIDTH, _HEIGHT = 0.060, 0.052
# Corners of a 4 x 3 grid, moved by hand (in cells) so that no border is a ruled line.
_MOVED = (
    ((0.0, 0.1), (0.1, -0.1), (-0.1, 0.05), (0.15, -0.05), (-0.05, 0.15)),
    ((-0.1, 0.0), (0.2, 0.15), (-0.15, -0.2), (0.1, 0.2), (0.1, -0.1)),
    ((0.1, -0.1), (-0.2, 0.1), (0.15, 0.2), (-0.1, -0.15), (0.05, 0.1)),
    ((0.0, 0.05), (0.1, -0.15), (-0.05, 0.1), (0.2, 0.0), (-0.1, -0.05)),
)


def _corner(row: int, column: int) -> tuple[float, float]:
    x, y = _MOVED[row][column]
    return _WEST + (column + x) * _WIDTH, _SOUTH + (row + y) * _HEIGHT


#: Corners of each district, counter-clockwise from the south-west: [district, corner, lon/lat].
CORNERS = np.array(
    [
        [
            _corner(row, column),
            _corner(row, column + 1),
            _corner(row + 1, column + 1),
            _corner(row + 1, column),
        ]
        for row in range(3)
        for column in range(4)
    ]
).round(6)


def points(rng: np.random.Generator, district: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes and longitudes, one inside each of the districts given by index."""
    east, north = rng.uniform(0.03, 0.97, (2, len(district)))
    south_west, south_east, north_east, north_west = CORNERS[district].transpose(1, 2, 0)
    south = south_west * (1 - east) + south_east * east
    top = north_west * (1 - east) + north_east * east
    longitude, latitude = south * (1 - north) + top * north
    return latitude.round(6), longitude.round(6)


def geojson() -> dict[str, Any]:
    """Return the districts as a GeoJSON collection, EPSG:4326, with their residents and incomes."""
    return {
        "type": "FeatureCollection",
        "name": "Loomfield (simulated): districts",
        "features": [
            {
                "type": "Feature",
                "properties": {
                    "district_id": DISTRICT_IDS[index],
                    "name": DISTRICT_NAMES[index],
                    "population": int(POPULATION[index]),
                    "median_household_income": int(INCOME[index]),
                },
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[*corners.tolist(), corners[0].tolist()]],
                },
            }
            for index, corners in enumerate(CORNERS)
        ],
    }
