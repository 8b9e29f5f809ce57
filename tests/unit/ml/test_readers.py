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
    (tweeteval / "train.tsv.gz").write_bytes(gzip.compress(rows.encode()))
    train = read_dataset(tweeteval).train
    assert train.texts == ("Don’t, please", "café 😡 open", "line\u2028end 😀")
    assert train.labels == (0, 1, 2)


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
    ("file", "content", "said"),
    [
        ("val_labels.txt", b"0\n1\n7\n", "val_labels.txt:3: label '7'; use 0, 1, 2"),
        ("val_labels.txt", b"0\n1\n", "val_text.txt: 3 lines, but val_labels.txt has 2; line 3"),
        ("val_text.txt", b"a\n\xff\xfe\nb\n", "val_text.txt:2: is not UTF-8"),
        ("train.tsv", b"1\t0\tgood\n2 no tabs\n", "train.tsv:2: has 1 columns; expected id"),
        ("train.tsv", b"1\t0\tx\n2\t1\ty\n", "train has no positive text"),
        ("mapping.txt", b"0\thappy\n", "mapping.txt:1: '0\\thappy'; expected"),
        ("train.tsv.gz", b"not gzip", "train.tsv.gz: cannot be read"),
    ],
)
def test_mistakes_are_named(tweeteval, file, content, said):
    (tweeteval / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_dataset(tweeteval)
    assert said in str(caught.value)


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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("train\tnegative\ta\tb\n", ":2: has 4 columns, the header 3"),
        ("later\tnegative\ta\n", ":2: split 'later'"),
        ("train\tangry\ta\n", ":2: sentiment 'angry'; use negative"),
    ],
)
def test_mistakes_in_a_table_of_ones_own(tmp_path, body, said):
    (tmp_path / "ours.tsv").write_text("split\tsentiment\ttext\n" + body)
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    assert said in str(caught.value)


def test_a_table_without_its_columns(tmp_path):
    (tmp_path / "ours.tsv").write_text("split\ttext\n")
    with pytest.raises(DataError, match=r"ours\.tsv:1: the header lacks sentiment"):
        read_dataset(tmp_path)
