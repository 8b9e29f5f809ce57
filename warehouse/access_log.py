"""Who read which restricted relation and when, by PostgreSQL's own log.

The policy of the roles that read restricted rows asks `access.note_read` once for each relation
that a query scans: the server then writes the relation, the session's login and the statement,
whatever the statement looks like. What a client says of itself is not used: a person who asks
through Superset is known by the comment with which Superset begins each statement of the role's
login.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from warehouse.bootstrap import READERS

#: The beginning of a line: time, process, login and database, as `log_line_prefix` has it.
_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) (?P<zone>\w+) \[(?P<pid>\d+)\] "
    r"(?:(?P<login>\S+)@(?P<database>\S+) )?(?P<kind>[A-Z]+\d?):  (?P<text>.*)"
)
_READ = re.compile(r"cityloom: read of (\S+)")
#: A cursor that is declared, or opened by `access.open_query`, and fetched from part by part, as
#: Superset does for large exports: the server reads as it fetches.
_DECLARED = re.compile(r'statement: (DECLARE ("[^"]*") .*)', re.DOTALL)
_OPENED = re.compile(r"statement: (/\* superset:\S* \*/ select access\.open_query\(.*)", re.DOTALL)
_FETCHED = re.compile(r'FETCH FORWARD \S+ FROM ("[^"]*")')
_SIGNATURE = re.compile(r'(?:DECLARE "[^"]*" (?:[A-Z]+ )*FOR )?/\* superset:(\S*) \*/ ')


@dataclass(frozen=True)
class Read:
    """A statement's read of a relation that may hold restricted rows.

    `login`: the session's on PostgreSQL. `person`: who asked; a person's own login, or the user of
    Superset who asked by a role's login; the role itself where its login was used directly.
    """

    at: datetime
    person: str
    login: str
    relation: str
    statement: str


def lines_of(log: Path) -> Iterator[str]:
    """Yield the lines of a log. Only a line feed ends one; a statement may hold the other ends."""
    with log.open(errors="replace", newline="\n") as file:
        yield from file


def reads(lines: Iterable[str]) -> Iterator[Read]:
    """Yield the reads that a log of the server tells, as they happened.

    A line that continues another begins with a tab, which no statement can forge.
    """
    open_reads: dict[str, list[dict[str, str]]] = {}
    cursors: dict[tuple[str, str], str] = {}
    for entry in _entries(lines):
        if entry["kind"] == "LOG" and (declared := _DECLARED.fullmatch(entry["text"])):
            cursors[entry["pid"], declared[2]] = declared[1]
        elif entry["kind"] == "LOG" and (opened := _OPENED.fullmatch(entry["text"])):
            cursors[entry["pid"], '"answer"'] = opened[1]
        found = _READ.fullmatch(entry["text"]) if entry["kind"] == "LOG" else None
        pending = open_reads.get(entry["pid"], [])
        if found and entry["login"] and entry["database"] == "warehouse":
            open_reads.setdefault(entry["pid"], []).append({**entry, "relation": found[1]})
        elif entry["kind"] == "STATEMENT" and pending:
            fetched = _FETCHED.fullmatch(entry["text"])
            statement = fetched and cursors.get((entry["pid"], fetched[1]))
            yield from (_read(one, statement or entry["text"]) for one in pending)
            del open_reads[entry["pid"]]
        elif entry["kind"] != "CONTEXT" and pending:  # the log does not say the statement
            yield from (_read(one, "") for one in pending)
            del open_reads[entry["pid"]]
    for left in open_reads.values():
        yield from (_read(one, "") for one in left)


def _read(entry: dict[str, str], statement: str) -> Read:
    login = entry["login"]
    # Only Superset signs for others, and it logs in as the roles do.
    is_role = login in READERS or login.startswith("head_")
    signature = _SIGNATURE.match(statement) if is_role else None
    at = datetime.fromisoformat(f"{entry['at']}+00:00")
    person = signature[1] if signature else login
    text = statement[signature.end() :] if signature else statement
    return Read(at, person, login, entry["relation"], text)


def _entries(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    entry: dict[str, str] | None = None
    for line in lines:
        line = line.rstrip("\n")
        if found := _LINE.fullmatch(line):
            if entry is not None:
                yield entry
            entry = {key: value or "" for key, value in found.groupdict().items()}
        elif entry is not None and line.startswith("\t"):
            entry["text"] += "\n" + line[1:]
    if entry is not None:
        yield entry
