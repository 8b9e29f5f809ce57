"""Every process collects the same tests, whatever its hash seed and the time it starts at."""

from __future__ import annotations

import ast
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
#: Functions whose result differs from one process to the next; a set's order does.
CHANGING = ("now", "utcnow", "today", "time.time", "uuid1", "uuid4", "getpid", "set", "frozenset")


@pytest.mark.parametrize("data", [gzip.compress(b"holds the time, in seconds")])
def test_bytes_are_no_part_of_an_id(request, data):
    assert request.node.name == "test_bytes_are_no_part_of_an_id[data]"


def unstable(code: ast.AST) -> Iterator[ast.AST]:
    """Yield what depends on the clock, on chance or on the order of a set; `sorted` gives order."""
    for node in ast.iter_child_nodes(code):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "sorted":
                continue
            if any(f".{name}".endswith(f".{changing}") for changing in CHANGING):
                yield node
        elif isinstance(node, ast.Set | ast.SetComp):
            yield node
        yield from unstable(node)


def values(path: Path) -> Iterator[ast.AST]:
    """Yield the values of each parametrize in a file of tests."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize":
            yield from node.args[1:2]


def test_no_test_is_parametrised_with_what_changes():
    found = [
        f"{path.relative_to(TESTS)}:{node.lineno}: {ast.unparse(node)}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for value in values(path)
        for node in unstable(ast.Tuple([value]))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("[1, 'a', None]", 0),
        ("sorted({'a', 'b'})", 0),
        ("{'a', 'b'}", 1),
        ("[n for n in set(NAMES)]", 1),
        ("[datetime.now()]", 1),
    ],
)
def test_what_changes_is_found(code, count):
    assert len(list(unstable(ast.parse(code)))) == count
