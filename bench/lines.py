"""`python -m bench.lines [--base COMMIT]`: lines of Python by room, and the ten longest functions.

Counts the committed files, blank lines and comments included. A function's length is from `def` to
its last line; one within another counts for both.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import tarfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 10


@dataclass(frozen=True)
class Function:
    """A function: where it is, its qualified name and its length in lines."""

    place: str
    name: str
    lines: int


def python_files(commit: str) -> dict[str, str]:
    """Return the text of each Python file of a commit, by path."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True, check=True
    ).stdout
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                files[member.name] = content.read().decode()
    return files


def lines_by_room(files: dict[str, str]) -> Counter[str]:
    """Return lines by top-level folder."""
    counts: Counter[str] = Counter()
    for path, text in files.items():
        counts[path.partition("/")[0]] += len(text.splitlines())
    return counts


def functions(files: dict[str, str]) -> list[Function]:
    """Return every function and method outside of tests, the longest first."""
    found: list[Function] = []

    def visit(node: ast.AST, path: str, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    length = (child.end_lineno or child.lineno) - child.lineno + 1
                    found.append(Function(f"{path}:{child.lineno}", name, length))
                visit(child, path, f"{name}.")
            else:
                visit(child, path, prefix)

    for path, text in files.items():
        if not path.startswith("tests/"):
            visit(ast.parse(text), path, "")
    return sorted(found, key=lambda function: (-function.lines, function.place))


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.lines", description=__doc__)
    parser.add_argument("--base", help="a commit to compare with")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    commits = [*([arguments.base] if arguments.base else []), "HEAD"]
    files = {commit: python_files(commit) for commit in commits}
    rooms = {commit: lines_by_room(files[commit]) for commit in commits}
    longest = {commit: functions(files[commit])[:LONGEST] for commit in commits}
    if arguments.json:
        answer = {
            commit: {
                "lines": dict(sorted(rooms[commit].items())),
                "longest_functions": [asdict(function) for function in longest[commit]],
            }
            for commit in commits
        }
        print(json.dumps(answer, indent=2))
        return
    print(f"{'lines of Python':<16}" + "".join(f"{commit[:10]:>12}" for commit in commits))
    for room in sorted({room for counts in rooms.values() for room in counts}):
        print(f"{room:<16}" + "".join(f"{rooms[commit][room]:>12,}" for commit in commits))
    print(f"{'all':<16}" + "".join(f"{rooms[commit].total():>12,}" for commit in commits))
    for commit in commits:
        print(f"\nlongest functions, {commit[:10]}")
        for function in longest[commit]:
            print(f"{function.lines:>5}  {function.name}  {function.place}")


if __name__ == "__main__":
    main()
