"""What is wrong in a file under `cities/`, reported by file, line, key and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from catalog.fields import did_you_mean

#: Path to a key: names of keys, and indices of lists.
Location = tuple[str | int, ...]
_MUST_BE = {
    "bool": "true or false",
    "dict": "a group of keys",
    "float": "a number",
    "int": "a whole number",
    "list": "a list, such as [a, b]",
    "model": "a group of keys",
    "tuple": "a list, such as [a, b]",
}
#: What other tools call a type of a column. The closest spelling would lose a datetime's time.
_OTHER_NAMES = {
    "bool": "boolean",
    "datetime": "timestamp",
    "decimal": "numeric",
    "float": "double",
    "int": "integer",
    "str": "text",
    "string": "text",
}


@dataclass(frozen=True)
class Problem:
    """One thing to mend: `key` is dotted, empty for the file as a whole; `line` counts from 1."""

    path: Path
    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        # Keys and file names may hold what a terminal obeys, or what PostgreSQL cannot store.
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
        )


class ManifestError(Exception):
    """One or more files under `cities/` that cannot be used; `problems` has a text for each."""

    def __init__(self, problems: Iterable[Problem | str]) -> None:
        self.problems = [str(problem) for problem in problems]
        super().__init__("\n".join(self.problems))


def key_of(loc: Location) -> str:
    """Return a location as people write it: `columns.day.formats[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def refuse(problems: Sequence[tuple[str, str]]) -> None:
    """Raise, from a model's validator, a problem for each (key below the model, message), if any.

    For rules between keys: pydantic would name only the model that they stand in.
    """
    if problems:
        raise PydanticCustomError(
            "between_keys", "rules between keys are broken", {"problems": list(problems)}
        )


def problems_of(
    error: ValidationError, model: type[BaseModel], within: Location = ()
) -> Iterator[tuple[Location, str]]:
    """Yield (location, message) for each problem in data of `model`, which stand at `within`."""
    for item in error.errors(include_url=False):
        loc = tuple(part for part in item["loc"] if part != "[key]")
        if item["type"] == "between_keys":
            for key, message in item["ctx"]["problems"]:
                yield (*within, *loc, *key.split(".")), message
        else:
            yield (*within, *loc), _message(item, model)


def _message(item: Any, model: type[BaseModel]) -> str:
    kind, given = item["type"], item["input"]
    if kind == "extra_forbidden":
        parent = _model_at(model, item["loc"][:-1]) or model
        known = set(parent.model_fields) - getattr(parent, "not_in_file", set())
        return f"is not a known key; {did_you_mean(item['loc'][-1], known)}"
    meaning = _meaning(model, item["loc"])
    if kind == "missing":
        return f"is missing; add it{meaning}"
    if kind == "value_error":  # our own, which names value and remedy
        return item["msg"].removeprefix("Value error, ")
    if kind in ("too_short", "string_too_short"):
        return f"is empty; fill it in{meaning}"
    if given is None:
        return f"is empty; fill it in, or take the key out{meaning}"
    if kind == "string_type" and isinstance(given, bool):
        return (
            f"is {str(given).lower()}: YAML reads yes, no, on and off as booleans; "
            f"write it in quotes{meaning}"
        )
    if kind == "string_type" and not isinstance(given, dict | list | tuple):
        return f"is {given}, which YAML does not read as text; write it in quotes{meaning}"
    if kind == "string_type":
        return f"must be a text, not {_brief(given)}{meaning}"
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", item["ctx"]["expected"])
        other_name = _OTHER_NAMES.get(str(given).lower())
        if other_name in allowed:
            return f"is {given!r}, which is not known; write {other_name!r}"
        return f"is {given!r}, which is not known; {did_you_mean(given, allowed)}"
    must_be = _MUST_BE.get(kind.removesuffix("_type").removesuffix("_parsing"))
    if must_be:
        return f"must be {must_be}, not {_brief(given)}{meaning}"
    text = re.sub("^(Input|String|Value) should", "must", item["msg"])
    return f"{text[:1].lower()}{text[1:]}, not {_brief(given)}{meaning}"


def _brief(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _meaning(model: type[BaseModel], loc: tuple[Any, ...]) -> str:
    """Return the description of the key at `loc`, to follow a message."""
    while loc and isinstance(loc[-1], int):
        loc = loc[:-1]
    parent = _model_at(model, loc[:-1]) if loc else None
    field = parent.model_fields.get(loc[-1]) if parent else None
    return f". {loc[-1]}: {field.description}" if field and field.description else ""


def _model_at(model: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel] | None:
    """Return the model whose keys stand at `loc`, if a model's do."""
    annotation: Any = model
    for part in loc:
        annotation = _step(annotation, part)
    return _model_in(annotation)


def _step(annotation: Any, part: Any) -> Any:
    """Return the type of a key, entry or element of what `annotation` describes."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    parts = [given for given in get_args(annotation) if given not in (type(None), ...)]
    if get_origin(annotation) is dict:
        return parts[1]
    if get_origin(annotation) in (list, tuple):
        return parts[0]
    return next((found for given in parts if (found := _step(given, part)) is not None), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as `Model | None`."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    if get_origin(annotation) in (dict, list, tuple):
        return None
    return next(filter(None, map(_model_in, get_args(annotation))), None)
