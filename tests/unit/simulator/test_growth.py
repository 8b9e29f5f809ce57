"""The files depend on the last day alone: not on how it was reached, nor on a kill midway."""

import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

import simulator
from simulator import drops, growth

START = date(2023, 5, 30)


@pytest.fixture(scope="module")
def spring(tmp_path_factory) -> Path:
    drop = tmp_path_factory.mktemp("spring")
    simulator.ensure(drop, START)
    return drop


@pytest.fixture
def drop(spring, tmp_path) -> Path:
    return Path(shutil.copytree(spring, tmp_path / "drop"))


def requests(drop: Path) -> list[tuple]:
    with closing(sqlite3.connect(drop / "service_center/service_line.db")) as database:
        return database.execute("select * from service_requests order by request_id").fetchall()


def contents(drop: Path) -> dict[str, bytes]:
    """Every file's bytes, but the database's (its pages depend on the order of writing)."""
    return {
        str(path.relative_to(drop)): path.read_bytes()
        for path in sorted(drop.rglob("*"))
        if path.is_file() and path.suffix != ".db" and not path.name.startswith(".")
    }


def test_the_same_day_gives_the_same_files_whatever_way_it_was_reached(drop, tmp_path):
    simulator.ensure(tmp_path / "at_once", date(2023, 6, 12))
    simulator.grow(drop)
    simulator.grow(drop, days=10)
    simulator.grow(drop, days=2)
    assert simulator.last_day(drop) == date(2023, 6, 12)
    assert contents(drop) == contents(tmp_path / "at_once")
    assert requests(drop) == requests(tmp_path / "at_once")


def test_a_day_brings_new_rows_and_changes_earlier_ones(spring, drop):
    before = {row[0]: row for row in requests(spring)}
    simulator.grow(drop)
    after = {row[0]: row for row in requests(drop)}
    new = after.keys() - before.keys()
    changed = {key for key in before if before[key] != after[key]}
    assert new and all(key.startswith("20230531") for key in new)
    assert len(changed) > 20
    assert all(after[key][-1] >= "2023-05-31" for key in changed)
    # An increment by the cursor finds all of it and nothing else.
    assert {k for k, row in after.items() if row[-1] > "2023-05-30 23:59:59"} == new | changed


def test_other_departments_change_earlier_rows_too(spring, drop):
    simulator.grow(drop, days=10)
    for name in ("permits/PERMITS.TXT", "parks/work_orders.jsonl", "transport/collisions.csv"):
        before = (spring / name).read_bytes().splitlines()
        after = (drop / name).read_bytes().splitlines()
        assert len(after) > len(before), name
        assert sum(old != new for old, new in zip(before, after, strict=False)) > 0, name


def test_tonnage_of_a_month_appears_when_it_is_over_and_is_mended_after(drop):
    from openpyxl import load_workbook

    def may(folder: Path) -> list[tuple]:
        sheet = load_workbook(folder / "sanitation/tonnage_2023.xlsx")["Tonnage"]
        rows = sheet.iter_rows(min_row=5, values_only=True)
        return [row for row in rows if row[1] and row[1].date() == date(2023, 5, 1)]

    assert may(drop) == []
    simulator.grow(drop)
    counted = may(drop)
    assert len(counted) >= 12
    simulator.grow(drop)
    assert sum(old != new for old, new in zip(counted, may(drop), strict=True)) >= 1


def test_files_that_are_there_are_left_alone(drop):
    path = drop / "transport/collisions.csv"
    stamp = path.stat().st_mtime_ns
    assert simulator.ensure(drop) == START
    assert path.stat().st_mtime_ns == stamp


def test_a_growth_killed_midway_is_done_again_with_the_same_result(spring, drop, monkeypatch):
    written = []

    def killed(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 4:
            raise KeyboardInterrupt
        original(path, content)

    original = drops.replace
    monkeypatch.setattr(drops, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        simulator.grow(drop, days=3)
    monkeypatch.undo()
    assert simulator.last_day(drop) == START
    simulator.grow(drop, days=3)
    undisturbed = Path(shutil.copytree(spring, drop.parent / "undisturbed"))
    simulator.grow(undisturbed, days=3)
    assert contents(drop) == contents(undisturbed)
    assert requests(drop) == requests(undisturbed)


def test_files_of_another_version_are_made_anew_up_to_the_same_day(drop, monkeypatch):
    before = contents(drop)
    (drop / "transport/collisions.csv").write_text("of another version")
    monkeypatch.setattr(growth, "VERSION", growth.VERSION + 1)
    assert simulator.ensure(drop) == START
    assert contents(drop) == before


def test_an_edited_target_reaches_the_files(drop, tmp_path, monkeypatch):
    mine = tmp_path / "targets.csv"
    mine.write_text("metric_id,target,direction,from_date\nrecycling_rate,0.5,higher,2023-01-01\n")
    monkeypatch.setattr(growth, "TARGETS", mine)
    simulator.ensure(drop)
    assert (drop / "finance/targets.csv").read_bytes() == mine.read_bytes()


def test_a_broken_state_names_the_file_and_the_remedy(drop):
    (drop / growth.STATE_NAME).write_text('{"last_day": 7}')
    with pytest.raises(simulator.BrokenDrop, match=r"\.simulator\.json.*remove it"):
        simulator.grow(drop)


def test_time_does_not_run_back(drop):
    with pytest.raises(ValueError, match="cannot go back"):
        simulator.grow(drop, days=-1)
