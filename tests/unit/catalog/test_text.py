"""Control characters of data and file names are shown as escapes wherever people meet them."""

from __future__ import annotations

import pytest

from catalog.text import printable
from extract.errors import ExtractError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2J cleared", "\\x1b[2J cleared"),
        ("overwritten\rline", "overwritten\\rline"),
        ("right to left \u202e", "right to left \\u202e"),
        ("half a character \udcff", "half a character \\udcff"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown
    assert shown in str(ExtractError("file.csv", text, "fetch it again"))
