"""Whatever stands in a file under `cities/`: it is a problem or it is usable, never an exception.

An exception would take away the DAGs of every city.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extract.connectors import REGISTRY, connector
from extract.manifests import load_cities

CITIES = Path(__file__).resolve().parents[3] / "cities"
FILES = {
    "city.yml": (CITIES / "demo/city.yml").read_text(),
    "sources/permits/permits.yml": (CITIES / "demo/sources/permits/permits.yml").read_text(),
}
OPTIONS = sorted({name for known in REGISTRY for name in connector(known).options.model_fields})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.dates()
    | st.datetimes()
    | st.text(max_size=12)
    | st.sampled_from(
        ["", "@daily", "0 0 * * *", "utf-8", "%Y", "(", "demo", "é", "a" * 70, *OPTIONS]
    )
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(data: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value in a document."""
    inner = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data if isinstance(data, list) else ())
    )
    return [place, *(found for key, value in inner for found in places(value, (*place, key)))]


def read(name: str, text: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path, good in FILES.items():
            file = Path(folder, "demo", path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(good)
        (Path(folder, "demo") / name).write_bytes(
            text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        )
        found = load_cities.__wrapped__(Path(folder))
    assert len(found.sources) + len(found.broken) == 1
    assert bool(found.broken) <= bool(found.problems)
    for problem in found.problems:
        assert name in str(problem) or "permits" in str(problem)
        assert problem.message


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False), VALUES)
def test_any_value_at_any_place(name, random, value):
    data = yaml.safe_load(FILES[name])
    place = random.choice(places(data)[1:])
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    read(name, yaml.safe_dump(data, allow_unicode=True))


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(REGISTRY)), st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=4)
)
def test_any_options_of_any_connector(name, options):
    data = yaml.safe_load(FILES["sources/permits/permits.yml"])
    data["read"] = {"connector": name, "files": ["a.txt"], "options": options}
    read("sources/permits/permits.yml", yaml.safe_dump(data, allow_unicode=True))


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(FILES)),
    st.binary(max_size=30),
    st.integers(0, 3000),
    st.integers(0, 200),
)
def test_any_bytes_at_any_place(name, bytes_, start, cut):
    good = FILES[name].encode()
    read(name, good[:start] + bytes_ + good[start + cut :])
