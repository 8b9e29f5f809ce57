"""What goes wrong between a department's file and `raw`, said so that it can be mended."""

from __future__ import annotations


class ExtractError(Exception):
    """A source that cannot be read or loaded as its manifest says.

    `place` is the file (and line, sheet or column), `problem` what is wrong there, `remedy` what
    to do. Nothing of the load reaches `raw`.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        self.place = place
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{place}: {problem}. {remedy[:1].upper()}{remedy[1:]}.")
