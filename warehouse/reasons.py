"""Why a load failed or was blocked, as a code: for pages and programs, without source values.

`quality.loads.reason_code` holds the code; `quality.load_reason` holds each code's sentence, and
is filled from here by `warehouse.schema.create_schemas`. `quality.loads.message` has the details
and the remedy, for those who mend it.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason code, with the sentence that people who cannot see the source's data may read."""

    sentence: str

    SOURCE_UNREACHABLE = (
        "source_unreachable",
        "The source could not be reached.",
    )
    FILE_MISSING = (
        "file_missing",
        "The department has not delivered a file that its manifest names.",
    )
    MALFORMED_FILE = (
        "malformed_file",
        "A delivered file is damaged, or not in the declared format.",
    )
    SCHEMA_CHANGED = (
        "schema_changed",
        "The columns of the source differ from those that its manifest declares.",
    )
    WRONG_MANIFEST = (
        "wrong_manifest",
        "The manifest of the source asks for something that cannot be done.",
    )
    TOO_FEW_ROWS = (
        "too_few_rows",
        "The source delivered fewer rows than its manifest requires.",
    )
    VOLUME_DROP = (
        "volume_drop",
        "The source delivered far fewer rows or files than in its last load.",
    )
    TOO_MANY_QUARANTINED = (
        "too_many_quarantined",
        "Too many rows of the load cannot be read or break a rule.",
    )
    EXPECTATION_FAILED = (
        "expectation_failed",
        "The load breaks a rule that no load may break.",
    )
    INTERRUPTED = (
        "interrupted",
        "The load was interrupted before it was committed.",
    )
    INTERNAL_ERROR = (
        "internal_error",
        "The load failed for a reason that the platform did not expect.",
    )

    def __new__(cls, code: str, sentence: str) -> Reason:
        """Make a member whose value is its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member
