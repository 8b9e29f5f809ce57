"""Points in districts, as PostgreSQL's own polygons have them, beside shapely."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import psycopg
import pytest
from shapely import MultiPolygon, Point, Polygon, box, get_coordinates
from shapely.affinity import translate
from shapely.geometry import mapping


def _star(rng: np.random.Generator, x: float, y: float, size: float) -> Polygon:
    """A ragged outline of 60 corners around a point."""
    angles = np.sort(rng.random(60)) * 2 * np.pi
    reach = size * (0.5 + 0.5 * rng.random(60))
    return Polygon(np.column_stack([x + reach * np.cos(angles), y + reach * np.sin(angles)]))


def _districts() -> dict[str, Polygon | MultiPolygon]:
    rng = np.random.default_rng(8)
    core = box(0.02, 0.02, 0.04, 0.04)
    districts = {
        # a ring, whose hole is in part another district, and in part none
        "D1 ring": Polygon(
            box(0, 0, 0.06, 0.06).exterior,
            [core.exterior.coords, box(0.045, 0.045, 0.055, 0.055).exterior.coords],
        ),
        "D2 core": core,
        "D0 east": box(0.06, 0, 0.12, 0.06),
        "D3 isles": MultiPolygon(
            [
                Polygon(
                    box(0.2, 0, 0.24, 0.04).exterior, [box(0.21, 0.01, 0.23, 0.03).exterior.coords]
                ),
                box(0.215, 0.015, 0.225, 0.025),  # an island in the lake of the first
                box(0.25, 0, 0.27, 0.02),
            ]
        ),
    }
    for number in range(20):
        x, y = 0.3 * rng.random(), 0.1 + 0.3 * rng.random()
        districts[f"S{number:02}"] = _star(rng, x, y, 0.05)
    assert all(shape.is_valid for shape in districts.values())
    # Off the equator, for latitude 0 is no point.
    return {name: translate(shape, yoff=1) for name, shape in districts.items()}


def _points(districts: dict[str, Polygon | MultiPolygon]) -> list[tuple[float, float]]:
    rng = np.random.default_rng(9)
    points = [(0.35 * x - 0.02, 0.5 * y + 0.98) for x, y in rng.random((1500, 2))]
    # corners, and points on straight lines: between districts, at holes, at the outside
    for name in ("D1 ring", "D2 core", "D0 east", "D3 isles"):
        corners = get_coordinates(districts[name])
        points += [(x, y) for x, y in corners]
    points += [(0.06, 1 + y) for y in (0.013, 0.03, 0.047)]
    lines = [(0.02, 0.031), (0.04, 0.029), (0.045, 0.05), (0.21, 0.02), (0.215, 0.02), (0, 0.05)]
    points += [(x, 1 + y) for x, y in lines]
    return sorted({(round(float(x), 9), round(float(y), 9)) for x, y in points})


@pytest.fixture(scope="module")
def located(built):
    districts, points = _districts(), _points(_districts())
    built.add(
        "demo__districts",
        1,
        *(
            {"district_id": n, "name": n, "population": 1, "geometry": json.dumps(mapping(shape))}
            for n, shape in districts.items()
        ),
    )
    built.add(
        "demo__collisions",
        1,
        *(
            {
                **{"collision_id": str(number), "occurred_at": datetime(2024, 1, 2)},
                **{"persons_injured": 0, "persons_killed": 0, "latitude": y, "longitude": x},
            }
            for number, (x, y) in enumerate(points)
        ),
    )
    built.build(select=["+fct_collision"], exclude=["resource_type:test"])
    return built, districts, points


def test_each_point_has_the_district_that_shapely_gives_it(located):
    """Holes are outside, islands inside; on a line between districts the first by id has it."""
    built, districts, points = located
    found = dict(built.rows("select collision_id::integer, district_id from marts.fct_collision"))
    expected = {
        number: min((n for n, shape in districts.items() if shape.covers(Point(p))), default=None)
        for number, p in enumerate(points)
    }
    assert len(set(expected.values())) > 20
    wrong = {points[n]: (found[n], expected[n]) for n in expected if found[n] != expected[n]}
    assert wrong == {}


def test_points_are_compared_with_boxes_by_the_index(located):
    """Of the compiled model's own plan, where the districts have as many rings as New York's."""
    built, _, _ = located
    # Other modules' builds share the folder.
    compiled = max(
        built.target_dir.glob("*/compiled/cityloom/models/intermediate/int_point_district.sql"),
        key=lambda path: path.stat().st_mtime,
    )
    with psycopg.connect(built.url) as connection:
        connection.execute("analyze intermediate.int_district_polygon")
        connection.execute("analyze staging.stg_demo__collisions")
        plan = "\n".join(
            line for (line,) in connection.execute("explain " + compiled.read_text()).fetchall()
        )
    assert "Index Scan using" in plan and "int_district_polygon" in plan, plan


def test_no_point_on_earth_and_latitude_0_are_none(located):
    built, _, _ = located
    wrong = [(0.0, 0.0), (0.03, 0.0), (-561895507.0, -349317304.0), (181.0, 1.03), (0.03, 91.0)]
    built.add(
        "demo__service_requests",
        1,
        *(
            {
                **{"request_id": str(number), "service_name": "Pothole", "department": "streets"},
                **{"channel": "web", "status": "open", "opened_at": datetime(2024, 1, 2)},
                **{"updated_at": datetime(2024, 1, 2), "latitude": y, "longitude": x},
            }
            for number, (x, y) in enumerate([*wrong, *wrong, (0.03, 1.03)])
        ),
    )
    built.build(select=["+fct_request_repeat"], exclude=["resource_type:test"])
    assert built.rows("select service_request_id from marts.fct_request_repeat") == [("10",)]
