"""Text that people meet in terminals, logs, pages and spreadsheets: shown there, not obeyed."""

from __future__ import annotations

import re

#: Control characters but tab and line feed, those that turn the direction of the text after them,
#: and halves of characters (bytes of a file name that are not UTF-8).
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: What spreadsheets take for the beginning of a formula, in wide letters too; and plain numbers.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")


def printable(value: object) -> str:
    r"""Return text with control characters written as escapes, as `\x1b[2J`; None as empty text.

    >>> printable("a\x1b[2Jb"), printable(None)
    ('a\\x1b[2Jb', '')
    """
    text = "" if value is None else str(value)
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def spreadsheet_cell(text: str) -> str:
    """Return text for a CSV cell: what a spreadsheet would run as a formula begins with `'`.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("-1.5"), spreadsheet_cell("a=b")
    ("'=1+1", '-1.5', 'a=b')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
