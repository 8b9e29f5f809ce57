"""Every layout is read, and what is wrong is answered with file and line."""

from __future__ import annotations

import gzip

import pytest

from ml.labels import LABELS
from ml.readers import DataError, read_dataset

TEXTS = {"train": ["bad one", "a report", "good one"], "val": ["sad", "plain", "glad"]}


@pytest.fixture
def tweeteval(tmp_path):
    """A folder as TweetEval names its files."""
    for split, texts in TEXTS.items():
        (tmp_path / f"{split}_text.txt").write_text("".join(t + "\n" for t in texts))
        (tmp_path / f"{split}_labels.txt").write_text("0\n1\n2\n")
    (tmp_path / "mapping.txt").write_text("0\tnegative\n1\tneutral\n2\tpositive\n")
    return tmp_path


def test_tweetevals_own_names(tweeteval):
    (tweeteval / "test_text.txt").write_text("never seen\n")
    (tweeteval / "test_labels.txt").write_text("2\n")
    dataset = read_dataset(tweeteval)
    assert dataset.train.texts == tuple(TEXTS["train"])
    assert dataset.validation.labels == (0, 1, 2)
    assert dataset.unseen_name == "test" and dataset.unseen.labels == (2,)


def test_rebuilt_training_rows_with_escapes(tweeteval):
    rows = (
        "1\t0\tDon\\u2019t\\u002c please\n"
        "2\t1\tcaf\\u00e9 \\ud83d\\ude21 open\n"
        "3\t2\tline\u2028end \\U0001f600\n"
    )
    (tweeteval / "train.tsv.gz").write_bytes(gzip.compress(rows.encode(), mtime=0))
    train = read_dataset(tweeteval).train
    assert train.texts == ("Don’t, please", "café 😡 open", "line\u2028end 😀")
    assert train.labels == (0, 1, 2)


def test_what_only_looks_like_an_escape_stays(tweeteval):
    (tweeteval / "val_text.txt").write_text("C:\\users\nsad \\U99999999\nglad \\u12\n")
    texts = read_dataset(tweeteval).validation.texts
    assert texts == ("C:\\users", "sad \\U99999999", "glad \\u12")


def test_a_file_as_windows_writes_it_is_the_same_data(tweeteval):
    """Byte order mark, CRLF, blank lines at the end."""
    before = read_dataset(tweeteval)
    for path in tweeteval.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert read_dataset(tweeteval) == before


def test_an_empty_text_keeps_its_label_at_the_end_too(tweeteval):
    (tweeteval / "val_text.txt").write_text("sad\n\nglad\n\n")
    (tweeteval / "val_labels.txt").write_text("0\n1\n2\n1\n")
    validation = read_dataset(tweeteval).validation
    assert validation.texts == ("sad", "", "glad", "") and validation.labels == (0, 1, 2, 1)


def test_labels_by_name(tweeteval):
    (tweeteval / "train.tsv").write_text("1\tnegative\ta\n2\tNeutral\tb\n3\tpositive\tc\n")
    assert read_dataset(tweeteval).train.labels == (0, 1, 2)


def test_mapping_of_other_numbers(tweeteval):
    (tweeteval / "mapping.txt").write_text("0\tpositive\n1\tneutral\n2\tnegative\n")
    assert [LABELS[n] for n in read_dataset(tweeteval).train.labels] == [
        "positive",
        "neutral",
        "negative",
    ]


def test_texts_that_are_also_in_validation_are_left_out_of_training(tweeteval):
    (tweeteval / "train_text.txt").write_text("bad one\na report\ngood one\nglad\n")
    (tweeteval / "train_labels.txt").write_text("0\n1\n2\n2\n")
    dataset = read_dataset(tweeteval)
    assert dataset.leaks == 1 and "glad" not in dataset.train.texts


def test_fingerprint_is_of_the_content_alone(tweeteval, tmp_path):
    first = read_dataset(tweeteval)
    (tweeteval / "train.tsv").write_text("9\t0\tbad one\n8\t1\ta report\n7\t2\tgood one\n")
    assert read_dataset(tweeteval).fingerprint == first.fingerprint
    (tweeteval / "train.tsv").write_text("9\t0\tbad one\n8\t1\ta report\n7\t2\tgood onE\n")
    assert read_dataset(tweeteval).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("val_labels.txt", b"0\n1\n7\n", "val_labels.txt:3: label '7'; use 0, 1, 2"),
        ("val_labels.txt", b"0\n1\n", "val_text.txt:3: has no partner: val_text.txt has 3 lines"),
        ("val_labels.txt", b"0\n1\n2\n2\n", "val_labels.txt:4: has no partner"),
        ("val_labels.txt", b"0\n\n2\n", "val_labels.txt:2: label ''; use 0, 1, 2"),
        ("test_labels.txt", b"0\n", "test_text.txt: no such file"),
        ("val_text.txt", b"a\n\xff\xfe\nb\n", "val_text.txt:2: is not UTF-8"),
        ("train.tsv", b"1\t0\tgood\n2 no tabs\n", "train.tsv:2: has 1 columns; expected id"),
        ("train.tsv", b"1\t0\tx\n2\t1\ty\n", "train has no positive text"),
        ("mapping.txt", b"0\thappy\n", "mapping.txt:1: '0\\thappy'; expected"),
        ("train.tsv.gz", b"not gzip", "train.tsv.gz: cannot be read"),
        (
            "train.tsv.gz",
            gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20,
            "train.tsv.gz: cannot be read",
        ),
    ],
)
def test_mistakes_are_named(tweeteval, file, content, message):
    (tweeteval / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_dataset(tweeteval)
    assert message in str(caught.value)


def test_a_missing_partner_is_named(tweeteval):
    (tweeteval / "val_labels.txt").unlink()
    with pytest.raises(DataError, match=r"val_labels\.txt: no such file"):
        read_dataset(tweeteval)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(DataError, match=r"holds notes\.md; expected"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"notes\.md: is a file; --data takes a folder"):
        read_dataset(tmp_path / "notes.md")


def test_a_folder_of_folders_names_those_that_can_be_read(tmp_path):
    (tmp_path / "tweets").mkdir()
    (tmp_path / "tweets" / "val_text.txt").touch()
    with pytest.raises(DataError, match=rf"; try --data {tmp_path / 'tweets'}$"):
        read_dataset(tmp_path)


def test_a_table_tells_languages_where_it_has_them(tmp_path):
    rows = [
        f"{split}\t{label}\t{language}\t{split} {label} {language}"
        for split in ("train", "validation", "heldout")
        for label in LABELS
        for language in ("en", "es")
    ]
    (tmp_path / "ours.tsv").write_text(
        "\n".join(["split\tsentiment\tlanguage\ttext", *rows]) + "\n"
    )
    dataset = read_dataset(tmp_path)
    assert dataset.unseen.languages == ("en", "es") * 3
    assert len(dataset.train) == len(dataset.train.languages) == 6


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("train\tnegative\ta\tb\n", ":2: has 4 columns, the header 3"),
        ("later\tnegative\ta\n", ":2: split 'later'"),
        ("train\tangry\ta\n", ":2: sentiment 'angry'; use negative"),
    ],
)
def test_mistakes_in_a_table_of_ones_own(tmp_path, body, message):
    (tmp_path / "ours.tsv").write_text("split\tsentiment\ttext\n" + body)
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    assert message in str(caught.value)


def test_a_table_without_its_columns(tmp_path):
    (tmp_path / "ours.tsv").write_text("split\ttext\n")
    with pytest.raises(DataError, match=r"ours\.tsv:1: the header lacks sentiment"):
        read_dataset(tmp_path)
