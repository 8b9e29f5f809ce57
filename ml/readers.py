"""Reading labelled comments: the project's own corpus, or a folder of other data.

Three layouts are known:

- a tab-separated file with a header that has `split`, `sentiment` (one of negative, neutral,
  positive) and `text`, and may have `language`, as `ml/corpus/civic_comments.tsv`;
- TweetEval's: `{train,val,test}_text.txt` and `_labels.txt`, with `mapping.txt`;
- the same with training rows rebuilt: `train.tsv` or `train.tsv.gz`, `id, label, text`, no header.

In the last two a label may be a number or its name, and `\\u2019`-style escapes inside a text are
decoded. Byte order marks, carriage returns and blank lines at a file's end are ignored.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import unicodedata
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ml.labels import LABELS

CORPUS = Path(__file__).resolve().parent / "corpus" / "civic_comments.tsv"
# Up to U+10FFFF; what looks like more is no escape.
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U(00(?:10|0[0-9a-fA-F])[0-9a-fA-F]{4})")


class DataError(Exception):
    """Training data that cannot be read; the message names file, line and remedy."""


@dataclass(frozen=True)
class Split:
    """Texts, their labels as indices into `LABELS`, and their languages where the data has them."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]
    languages: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Dataset:
    """Labelled texts by split.

    `train` and `validation` are always there. `unseen` is reported but never used to choose, and
    has the name that its publisher gave it (`heldout`, `test`), or is empty. `leaks` counts
    training texts left out because they are in `validation` or `unseen`, word for word.
    """

    name: str
    train: Split
    validation: Split
    unseen: Split = Split((), ())
    unseen_name: str = "heldout"
    leaks: int = 0
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256()
        for name, split in (
            ("train", self.train),
            ("validation", self.validation),
            ("unseen", self.unseen),
        ):
            for text, label in zip(split.texts, split.labels, strict=True):
                row = f"{name}\t{LABELS[label]}\t{unicodedata.normalize('NFC', text)}\n"
                digest.update(row.encode())
        object.__setattr__(self, "fingerprint", digest.hexdigest())


def read_dataset(source: Path | None = None) -> Dataset:
    """Read a folder or file of labelled texts; without one, the project's own corpus.

    Raises `DataError`.
    """
    path = CORPUS if source is None else Path(source)
    if path.is_file() and path.suffix == ".tsv":
        return _read_table(path)
    if not path.is_dir():
        what = "is a file" if path.exists() else "no such folder"
        raise DataError(f"{path}: {what}; --data takes a folder of labelled texts")
    tables = sorted(p for p in path.glob("*.tsv") if p.name != "train.tsv")
    if (path / "val_text.txt").is_file():
        return _read_tweeteval(path)
    if len(tables) == 1:
        return _read_table(tables[0])
    found = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
    inside = sorted(str(p.parent) for p in path.glob("*/val_text.txt"))[:3]
    raise DataError(
        f"{path}: holds {found}; expected TweetEval's files (train_text.txt, train_labels.txt or "
        "train.tsv.gz, and val_text.txt, val_labels.txt), or one .tsv with the columns split, "
        "sentiment and text" + (f"; try --data {' or '.join(inside)}" if inside else "")
    )


def _read_table(path: Path) -> Dataset:
    lines = _lines(path)
    header = lines[0].split("\t") if lines else []
    missing = [name for name in ("split", "sentiment", "text") if name not in header]
    if missing:
        raise DataError(f"{path}:1: the header lacks {', '.join(missing)}; add the column")
    rows: dict[str, list[tuple[str, int, str]]] = {
        name: [] for name in ("train", "validation", "heldout")
    }
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataError(
                f"{path}:{number}: has {len(cells)} columns, the header {len(header)}; "
                "a text must hold no tab"
            )
        row = dict(zip(header, cells, strict=True))
        if row["split"] not in rows:
            raise DataError(
                f"{path}:{number}: split {row['split']!r}; use train, validation or heldout"
            )
        if row["sentiment"] not in LABELS:
            raise DataError(
                f"{path}:{number}: sentiment {row['sentiment']!r}; use {', '.join(LABELS)}"
            )
        label = LABELS.index(row["sentiment"])
        rows[row["split"]].append((row["text"], label, row.get("language", "")))
    splits = {name: Split(*zip(*found, strict=True)) for name, found in rows.items() if found}
    empty = Split((), ())
    train, validation, heldout = (splits.get(name, empty) for name in rows)
    return _dataset(path, path.stem, train, validation, heldout)


def _read_tweeteval(folder: Path) -> Dataset:
    mapping = _read_mapping(folder / "mapping.txt")
    whole = next((p for p in (folder / "train.tsv.gz", folder / "train.tsv") if p.is_file()), None)
    train = _read_rows(whole, mapping) if whole else _read_pair(folder, "train", mapping)
    validation = _read_pair(folder, "val", mapping)
    test = Split((), ())
    if any((folder / f"test_{what}.txt").is_file() for what in ("text", "labels")):
        test = _read_pair(folder, "test", mapping)
    return _dataset(folder, folder.resolve().name, train, validation, test, unseen_name="test")


def _dataset(
    path: Path,
    name: str,
    train: Split,
    validation: Split,
    unseen: Split,
    unseen_name: str = "heldout",
) -> Dataset:
    for split_name, split in (("train", train), ("validation", validation)):
        counts = Counter(split.labels)
        absent = [label for place, label in enumerate(LABELS) if not counts[place]]
        if absent:
            raise DataError(
                f"{path}: {split_name} has no {', '.join(absent)} text; every split needs all "
                "three labels"
            )
    elsewhere = {*validation.texts, *unseen.texts}
    kept = [row for row, text in enumerate(train.texts) if text not in elsewhere]
    leaks = len(train) - len(kept)
    if leaks:
        train = Split(
            tuple(train.texts[row] for row in kept),
            tuple(train.labels[row] for row in kept),
            tuple(train.languages[row] for row in kept) if train.languages else (),
        )
    return Dataset(name, train, validation, unseen, unseen_name, leaks)


def _read_mapping(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {str(place): place for place in range(len(LABELS))}
    mapping: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        key, _, label = line.strip().partition("\t")
        label = label.strip().lower()
        if label not in LABELS:
            raise DataError(
                f"{path}:{number}: {line!r}; expected a number, a tab and one of "
                f"{', '.join(LABELS)}"
            )
        mapping[key.strip()] = LABELS.index(label)
    return mapping


def _read_rows(path: Path, mapping: dict[str, int]) -> Split:
    texts: list[str] = []
    labels: list[int] = []
    for number, line in enumerate(_lines(path), 1):
        cells = line.split("\t")
        if len(cells) != 3:
            raise DataError(
                f"{path}:{number}: has {len(cells)} columns; expected id, label and text, "
                "separated by tabs"
            )
        labels.append(_label(path, number, cells[1], mapping))
        texts.append(_decode(cells[2]))
    return Split(tuple(texts), tuple(labels))


def _read_pair(folder: Path, prefix: str, mapping: dict[str, int]) -> Split:
    text_file, label_file = folder / f"{prefix}_text.txt", folder / f"{prefix}_labels.txt"
    for path in (text_file, label_file):
        if not path.is_file():
            raise DataError(
                f"{path}: no such file; {text_file.name} and {label_file.name} go together"
            )
    labels = _lines(label_file)
    texts = _lines(text_file, at_least=len(labels))
    if len(texts) != len(labels):
        longer = text_file if len(texts) > len(labels) else label_file
        raise DataError(
            f"{longer}:{min(len(texts), len(labels)) + 1}: has no partner: {text_file.name} has "
            f"{len(texts)} lines, {label_file.name} {len(labels)}; give each text one label"
        )
    return Split(
        tuple(_decode(text) for text in texts),
        tuple(_label(label_file, n, label, mapping) for n, label in enumerate(labels, 1)),
    )


def _label(path: Path, number: int, label: str, mapping: dict[str, int]) -> int:
    label = label.strip()
    if label in mapping:
        return mapping[label]
    if label.lower() in LABELS:
        return LABELS.index(label.lower())
    raise DataError(
        f"{path}:{number}: label {label[:40]!r}; use {', '.join(mapping)} (mapping.txt) or "
        f"{', '.join(LABELS)}"
    )


def _lines(path: Path, at_least: int = 0) -> list[str]:
    """Return lines that end with \\n: texts may hold any other of Unicode's line ends.

    Blank lines at the end are left out, down to `at_least` lines: they may be empty texts.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); download it again") from error
    lines: list[str] = []
    data = data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n")
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}:{number}: is not UTF-8 (byte {error.start + 1}); convert the file"
            ) from None
    while len(lines) > at_least and not lines[-1].strip():
        lines.pop()
    return lines


def _decode(text: str) -> str:
    """Decode escapes; a pair of surrogates becomes one character."""
    decoded = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text.strip())
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
