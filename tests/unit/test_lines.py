"""Counting lines and functions for `python -m bench.lines`."""

from __future__ import annotations

from bench.lines import Function, functions, lines_by_room

FILES = {
    "ml/a.py": """\
class A:
    def method(self):
        def inner():
            return 1

        return inner
""",
    "ml/nets/b.py": "def short():\n    pass\n",
    "tests/unit/test_a.py": "def test_long():\n    pass\n    pass\n    pass\n",
}


def test_lines_are_counted_by_room():
    assert lines_by_room(FILES) == {"ml": 8, "tests": 4}


def test_functions_are_listed_by_length_without_those_of_tests():
    assert functions(FILES) == [
        Function("ml/a.py:2", "A.method", 5),
        Function("ml/a.py:3", "A.method.inner", 2),
        Function("ml/nets/b.py:1", "short", 2),
    ]
