"""Kinds of values in `cities/`: each refuses a wrong value with what to write instead."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from croniter import CroniterBadCronError, CroniterBadDateError, croniter
from pydantic import AfterValidator, BeforeValidator, Field

#: Bytes of a name; PostgreSQL cuts longer ones off.
NAME_LENGTH = 63
#: Columns that every table of PostgreSQL has.
SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
#: Every field of a strptime format is recovered from this moment's text, if the format is whole.
_MOMENT = datetime(2024, 11, 28, 17, 45, 59)
#: What Python's regular expressions have and PostgreSQL's lack, or mean otherwise.
_PYTHON_ONLY = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[bBzA]|\(\?(?![:=!]))")


#: Names of schedules, as Airflow has them.
CRON_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


def did_you_mean(given: object, known: Any) -> str:
    """Return "did you mean 'x'?" for the closest known text, else the list of known texts."""
    known = sorted(map(str, known))
    close = get_close_matches(str(given).lower(), known, 1)
    return f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(known)}"


#: `__` separates city and source in names of tables.
_IDENTIFIER = "[a-z][a-z0-9]*(_[a-z0-9]+)*"


def _identifier(value: str) -> str:
    if len(value) > 40 or not re.fullmatch(_IDENTIFIER, value):
        raise ValueError(
            "must be lower-case letters, digits and single _ between them, begin with a letter, "
            "and have at most 40 characters"
        )
    return value


def _column_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError(
            "column names are lower-case letters, digits and _, and begin with a letter; "
            "the file's own spelling goes under aliases"
        )
    if value in SYSTEM_COLUMNS:
        raise ValueError("is a column of PostgreSQL's own in every table; use another name")
    if len(value) > NAME_LENGTH:
        raise ValueError(
            f"has {len(value)} characters; PostgreSQL holds {NAME_LENGTH}: "
            "shorten it, and put the file's own name under aliases"
        )
    return value


def _line(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; fill it in")
    if not value.isprintable():
        raise ValueError("must be one line of printable characters; take line breaks and tabs out")
    return value


def _cadence(value: str) -> str:
    remedy = (
        "write five fields: minute, hour, day of month, month and day of week, such as "
        "'30 6 * * *' (every day at 06:30) or '0 6 * * 2' (Tuesdays at 06:00), or one of "
        f"{', '.join(CRON_PRESETS)}"
    )
    if value in CRON_PRESETS:
        return value
    fields = value.split()
    try:
        if value.startswith("@"):
            raise CroniterBadCronError("a name that Airflow does not know")
        if len(fields) != 5:
            count = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            raise CroniterBadCronError(f"it has {count}, not 5")
        words = [field for field in fields if re.search(r"[^\W\d_]{4,}", field)]
        if words:
            raise CroniterBadCronError(f"{words[0]!r} is a word")
        schedule = croniter(value)
        if any(field[0] in "Rr" for field in fields):
            raise CroniterBadCronError("R stands for a random time")
        schedule.get_next()
    except CroniterBadDateError:
        raise ValueError(f"{value!r} names a day that no year has; {remedy}") from None
    except (CroniterBadCronError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).removeprefix(f"[{value}] ")
        raise ValueError(f"{value!r} is not a cron expression ({reason}); {remedy}") from None
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError):  # a ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    else:
        return value
    names = {name.lower(): name for name in available_timezones()}
    close = get_close_matches(value.lower(), names, 1)
    by_city = [name for low, name in names.items() if low.endswith("/" + value.lower())]
    found = by_city[0] if by_city else names[close[0]] if close else None
    hint = f"did you mean {found!r}?" if found else "write one such as America/Chicago or UTC"
    raise ValueError(f"{value!r} is not an IANA time zone; {hint}")


def _language(value: str) -> str:
    try:
        Locale.parse(value, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        codes = {name.lower(): code for code, name in Locale("en").languages.items()}
        hint = (
            f"did you mean {codes[value.lower()]!r}?"
            if value.lower() in codes
            else "write one such as en, es or pt-BR"
        )
        raise ValueError(f"{value!r} is not a language code of ISO 639; {hint}") from None
    return value


def _country(value: str) -> str:
    if len(value) == 2 and value in get_global("territory_languages"):
        return value
    codes = {name.lower(): code for code, name in Locale("en").territories.items()}
    if value.upper() in get_global("territory_languages"):
        hint = f"did you mean {value.upper()!r}?"
    elif value.lower() in codes:
        hint = f"did you mean {codes[value.lower()]!r}?"
    else:
        hint = "write two capital letters, such as US or DE"
    raise ValueError(f"{value!r} is not a country code of ISO 3166; {hint}")


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression ({error}); correct it") from None
    return value


def _shared_regex(value: str) -> str:
    if _PYTHON_ONLY.search(_regex(value)):
        raise ValueError(
            f"PostgreSQL cannot read {value!r} as Python does; write it without "
            r"\b, \A, named groups and look-behinds"
        )
    return value


def _date_format(value: str) -> str:
    try:
        parsed = datetime.strptime(_MOMENT.strftime(value), value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a strptime format ({error}); {_FORMAT}") from None
    if parsed.date() != _MOMENT.date():
        raise ValueError(f"{value!r} does not give year, month and day; {_FORMAT}")
    return value


_FORMAT = "write one such as %d.%m.%Y or %d/%m/%Y %H:%M"


def _file_pattern(value: str) -> str:
    path = PurePosixPath(value)
    if not value.strip() or path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{value!r} must be a path or pattern inside the city's drop folder, such as "
            "parks/visits_*.csv"
        )
    return value


def _office_hours(value: str) -> str:
    try:
        opens, closes = (time.fromisoformat(part) for part in value.split("-"))
    except ValueError:
        raise ValueError(f"{value!r} is not two times; write them as 09:00-17:00") from None
    if opens >= closes:
        raise ValueError(f"{value!r} ends before it begins; write them as 09:00-17:00")
    return value


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):  # YAML reads it as a date
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a date; write it as 2026-12-25") from None


#: Id of a city, department, source or fact: it becomes a part of names of tables and DAGs.
Identifier = Annotated[
    str,
    AfterValidator(_identifier),
    Field(json_schema_extra={"pattern": f"^{_IDENTIFIER}$", "maxLength": 40}),
]
ColumnName = Annotated[str, AfterValidator(_column_name)]
#: A text of one line that people read in lists.
Line = Annotated[str, AfterValidator(_line), Field(max_length=300)]
Cadence = Annotated[str, AfterValidator(_cadence), Field(examples=["30 6 * * *", "@daily"])]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(examples=["America/Chicago"])]
Language = Annotated[str, AfterValidator(_language), Field(examples=["en", "pt-BR"])]
Country = Annotated[str, AfterValidator(_country), Field(examples=["US"])]
Regex = Annotated[str, AfterValidator(_regex), Field(json_schema_extra={"format": "regex"})]
#: A regular expression that Python and PostgreSQL read alike.
SharedRegex = Annotated[
    str, AfterValidator(_shared_regex), Field(json_schema_extra={"format": "regex"})
]
DateFormat = Annotated[str, AfterValidator(_date_format), Field(examples=["%d/%m/%Y %H:%M"])]
FilePattern = Annotated[str, AfterValidator(_file_pattern), Field(examples=["parks/*.csv"])]
OfficeHours = Annotated[str, AfterValidator(_office_hours), Field(examples=["09:00-17:00"])]
Day = Annotated[date, BeforeValidator(_day)]
