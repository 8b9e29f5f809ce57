"""What a source needs beyond its manifest.

A module `<city>/<source>.py` has `expectations(source) -> list[Expectation]`; each has a severity
and a description, which is the reason recorded for a failing row.
"""
