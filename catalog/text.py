"""Text that people meet in terminals, logs and pages: control characters are shown, not obeyed."""

from __future__ import annotations

import re

#: Control characters but tab and line feed, those that turn the direction of the text after them,
#: and halves of characters (bytes of a file name that are not UTF-8).
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(value: object) -> str:
    r"""Return text with control characters written as escapes, as `\x1b[2J`; None as empty text.

    >>> printable("a\x1b[2Jb"), printable(None)
    ('a\\x1b[2Jb', '')
    """
    text = "" if value is None else str(value)
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
