"""Reading labelled comments: the project's own corpus, or a folder of someone else's.

Three layouts are known:

- a tab-separated file with a header that has `split`, `sentiment` (one of negative, neutral,
  positive) and `text`, as `ml/corpus/civic_comments.tsv`;
- TweetEval's: `{train,val,test}_text.txt` and `_labels.txt`, with `mapping.txt`;
- the same with training rows rebuilt: `train.tsv` or `train.tsv.gz`, `id, label, text`, no header.

In the last two `\\u2019`-style escapes inside a text are decoded.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ml.labels import LABELS

CORPUS = Path(__file__).resolve().parent / "corpus" / "civic_comments.tsv"
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})")


class DataError(Exception):
    """Training data that cannot be read; the message names file, line and remedy."""


@dataclass(frozen=True)
class Split:
    """Texts and their labels, as places in `LABELS`."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Dataset:
    """Labelled texts by split.

    `train` and `validation` are always there. `unseen` is reported but never chosen by, and has
    the name that its owners gave it (`heldout`, `test`), or is empty. `leaks` counts training
    texts left out because they are in `validation` or `unseen`, word for word.
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
    if path.is_file():
        return _read_table(path)
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; --data takes a folder of labelled texts")
    tables = sorted(p for p in path.glob("*.tsv") if p.name != "train.tsv")
    if (path / "val_text.txt").is_file():
        return _read_tweeteval(path)
    if len(tables) == 1:
        return _read_table(tables[0])
    found = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
    raise DataError(
        f"{path}: holds {found}; expected TweetEval's files (train_text.txt, train_labels.txt or "
        "train.tsv.gz, and val_text.txt, val_labels.txt), or one .tsv with the columns split, "
        "sentiment and text"
    )


def _read_table(path: Path) -> Dataset:
    lines = _lines(path)
    header = lines[0].split("\t") if lines else []
    missing = [name for name in ("split", "sentiment", "text") if name not in header]
    if missing:
        raise DataError(f"{path}:1: the header lacks {', '.join(missing)}; add the column")
    rows: dict[str, tuple[list[str], list[int]]] = {
        name: ([], []) for name in ("train", "validation", "heldout")
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
        texts, labels = rows[row["split"]]
        texts.append(row["text"])
        labels.append(LABELS.index(row["sentiment"]))
    splits = {name: Split(tuple(texts), tuple(labels)) for name, (texts, labels) in rows.items()}
    return _dataset(path, path.stem, splits["train"], splits["validation"], splits["heldout"])


def _read_tweeteval(folder: Path) -> Dataset:
    mapping = _read_mapping(folder / "mapping.txt")
    whole = next((p for p in (folder / "train.tsv.gz", folder / "train.tsv") if p.is_file()), None)
    train = _read_rows(whole, mapping) if whole else _read_pair(folder, "train", mapping)
    validation = _read_pair(folder, "val", mapping)
    test = Split((), ())
    if (folder / "test_text.txt").is_file():
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
            tuple(train.texts[row] for row in kept), tuple(train.labels[row] for row in kept)
        )
    return Dataset(name, train, validation, unseen, unseen_name, leaks)


def _read_mapping(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {str(place): place for place in range(len(LABELS))}
    mapping: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        key, _, label = line.strip().partition("\t")
        if label.strip() not in LABELS:
            raise DataError(
                f"{path}:{number}: {line!r}; expected a number, a tab and one of "
                f"{', '.join(LABELS)}"
            )
        mapping[key.strip()] = LABELS.index(label.strip())
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
    texts, labels = _lines(text_file), _lines(label_file)
    if len(texts) != len(labels):
        raise DataError(
            f"{text_file}: {len(texts)} lines, but {label_file.name} has {len(labels)}; "
            f"line {min(len(texts), len(labels)) + 1} has no partner"
        )
    return Split(
        tuple(_decode(text) for text in texts),
        tuple(_label(label_file, n, label, mapping) for n, label in enumerate(labels, 1)),
    )


def _label(path: Path, number: int, label: str, mapping: dict[str, int]) -> int:
    try:
        return mapping[label.strip()]
    except KeyError:
        raise DataError(
            f"{path}:{number}: label {label.strip()!r}; use {', '.join(mapping)} (mapping.txt)"
        ) from None


def _lines(path: Path) -> list[str]:
    """Lines as \\n ends them: texts may hold any other of Unicode's line ends."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it anew") from error
    lines: list[str] = []
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}:{number}: is not UTF-8 (byte {error.start + 1}); convert the file"
            ) from None
    return lines


def _decode(text: str) -> str:
    """Decode escapes; a pair of surrogates becomes one character."""
    decoded = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text.strip())
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
