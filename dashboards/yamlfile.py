"""Writes YAML as a person would: a changed file keeps its comments, order and style.

Only what differs is touched, so that a pull is a small diff.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from dashboards.compare import as_json

#: A list or a mapping of scalars stands on one line up to this length.
ONE_LINE = 90


def render(content: dict[str, Any], before: str | None = None) -> str:
    """Return the text of a file with this content, as a change of the text `before` if given."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    document = writer.load(before) if before else CommentedMap()
    _update_mapping(document, content)
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()


def plain(value: Any) -> Any:
    """Return a value without the types that carry style: dicts, lists and scalars."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _update_mapping(
    document: CommentedMap, content: Mapping[str, Any], *, inside: bool = False
) -> None:
    for key in [key for key in document if key not in content]:
        del document[key]
    keys = list(content)
    for index, (key, value) in enumerate(content.items()):
        if key not in document:
            # After the key that stands before it in the content.
            earlier = [k for k in document if k in keys[:index]]
            place = list(document).index(earlier[-1]) + 1 if earlier else 0
            document.insert(place, key, styled(value, inside=inside))
        else:
            document[key] = _updated(document[key], value)


def _updated(document: Any, value: Any) -> Any:
    """Return what stands for a value where `document` stood, changed in place where it can be."""
    if as_json(plain(document)) == as_json(plain(value)):
        return document
    if isinstance(document, CommentedMap) and isinstance(value, Mapping):
        _update_mapping(document, value, inside=True)
        return document
    if isinstance(document, CommentedSeq) and isinstance(value, Sequence):
        _update_sequence(document, list(value))
        return document
    return styled(value, inside=isinstance(document, CommentedMap))


def _update_sequence(document: CommentedSeq, values: list[Any]) -> None:
    before = [as_json(plain(item)) for item in document]
    after = [as_json(plain(item)) for item in values]
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for step, start, end, first, last in reversed(steps):
        if step == "equal":
            continue
        if step == "replace" and end - start == last - first:
            for offset in range(end - start):
                document[start + offset] = _updated(
                    document[start + offset], values[first + offset]
                )
            continue
        for index in reversed(range(start, end)):
            del document[index]
        for offset, value in enumerate(values[first:last]):
            document.insert(start + offset, _styled_item(value))


def styled(value: Any, *, inside: bool = False) -> Any:
    """Return a value in the house's style: short lists and inner mappings on one line.

    `inside` is for a value in a list or a mapping of mappings.
    """
    if isinstance(value, Mapping):
        mapping = CommentedMap((key, styled(item, inside=True)) for key, item in value.items())
        if inside and value and _is_flat(value.values()) and len(as_json(value)) < ONE_LINE:
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, str):
        if "\n" in value:
            return LiteralScalarString(value.rstrip("\n") + "\n")
        return DoubleQuotedScalarString(value) if _needs_quotes(value) else value
    if isinstance(value, Sequence):
        sequence = CommentedSeq(_styled_item(item) for item in value)
        if not value or (_is_flat(value) and len(as_json(value)) < ONE_LINE):
            sequence.fa.set_flow_style()
        return sequence
    return value


def _styled_item(value: Any) -> Any:
    """Return an item of a list in the house's style: a mapping of one key is not in braces."""
    return styled(value, inside=not (isinstance(value, Mapping) and len(value) == 1))


def _is_flat(values: Any) -> bool:
    return all(not isinstance(v, (Mapping, list, tuple)) and "\n" not in str(v) for v in values)


def _needs_quotes(text: str) -> bool:
    return text.strip() != text or any(mark in text for mark in "%#@`\"'{}[],&*!|>:") or not text
