"""Names of people in free text: who is masked, who is not, and that nothing else changes."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulator
from catalog.models import Column, Source
from extract import names, redact
from extract.connectors import connector
from extract.manifests import load_city
from extract.prepare import Preparer
from tests.builders import a_source


def masked(text: str, *people: str) -> str:
    """One text beside columns that hold these values."""
    values = [pl.Series([value]) for value in people]
    return names.mask_known(pl.Series([text]), values)[0]


@pytest.mark.parametrize(
    ("person", "text", "kept"),
    [
        ("Jane Doe", "jane here. JANE, Doe and Jane Doe's dog", "[name] here. [name], [name] and "
         "[name]'s dog"),
        ("Doe, Jane R.", "Jane R. Doe wrote", "[name] wrote"),
        ("José Núñez", "soy jose nunez, JOSÉ", "soy [name], [name]"),
        ("Jose Nunez", "José Núñez y su hijo", "[name] y su hijo"),
        ("José", "José here, decomposed", "[name] here, decomposed"),
        ("Mrs. Ana de la Cruz", "De la calle a la cruz, dice Cruz", "De la calle a la cruz, dice "
         "[name]"),
        ("Ben Ng", "Ng, ben", "[name], [name]"),
        ("ben34", "ben34: we are 34. Ben", "[name]: we are 34. [name]"),
        ("jane.doe7@parks.example.org", "Doe of the parks example", "[name] of the parks example"),
        ("Mary-Ann O'Brien", "mary ann OBrien, O'Brien", "[name] OBrien, O'[name]"),
        ("308 555 0186", "ring 3085550186 or 308.555.0186", "ring [name] or [name]"),
        ("ID A1-23456", "it says A123456 there", "it says A123456 there"),
        ("A1-23456", "it says A123456 there", "it says [name] there"),
        ("李明", "我是李明。", "我是[name]。"),
        # Words that are names as well: with a capital only, in this person's rows.
        ("Will Park", "will you mend the park? Will", "will you mend the park? [name]"),
        ("May", "In may, May wrote in MAY", "In may, [name] wrote in [name]"),
        # No person.
        ("Anonymous", "anonymous calls, Anonymous", None),
        ("A resident", "a Resident of the A line", None),
        ("the friends and neighbors of the old park on the hill and of the river bank",
         "the old park", None),
        ("Al", "al the albatross and also Alfred", None),
        ("Ann", "annual anniversary of Joanne, e-mail [email]", None),
        ("Email Card", "at [email] or [card]", None),
        ("", "nothing", None),
    ],
)  # fmt: skip
def test_what_a_row_tells_of_its_person_is_masked_in_its_texts(person, text, kept):
    assert masked(text, person) == (text if kept is None else kept)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Fix it. Thanks, Maria", "Fix it. Thanks, [name]"),
        ("Fix it.\n\nKind regards,\nJane Doe\nElm Street 5", "Fix it.\n\nKind regards,\n[name]\n"
         "Elm Street 5"),
        ("It rains in.\r\nregards\r\njane", "It rains in.\r\nregards\r\n[name]"),
        ("Sincerely yours,\nJ.R. Smith, Elm Street", "Sincerely yours,\n[name], Elm Street"),
        ("Well done! Best, Tom R.", "Well done! Best, [name]"),
        ("Bad road. - Tom R.", "Bad road. - [name]"),
        ("Bad road.\n— Zoë O'Brien-Smith", "Bad road.\n— [name]"),
        ("Thanks -Joe", "Thanks -[name]"),
        ("Hello, my name is Jane Doe and I live here", "Hello, my name is [name] and I live here"),
        ("my name is jane and i live here", "my name is [name] and i live here"),
        ("Name: Jane Doe\nTopic: noise", "Name: [name]\nTopic: noise"),
        ("I spoke to Mrs. Lopez. The street", "I spoke to Mrs. [name]. The street"),
        ("Mala calle.\nAtentamente,\nMarta de la Cruz", "Mala calle.\nAtentamente,\n[name]"),
        ("Muchas gracias, José Núñez.", "Muchas gracias, [name]."),
        ("Un saludo\nana", "Un saludo\n[name]"),
        ("Me llamo José Núñez, y vivo", "Me llamo [name], y vivo"),
        ("Mi nombre es María de los Ángeles Pérez.", "Mi nombre es [name]."),
        ("Dice la Sra. García que no", "Dice la Sra. [name] que no"),
        # Nobody.
        ("Thanks, Mayor", None),
        ("Gracias,\nvecinos", None),
        ("Thanks\nPlease fix this soon", None),
        ("Mr. Mayor, listen", None),
        ("Pas. Ntra. Sra. del Coll", None),
        ("What is wrong:\n- Noise\n- Trash", None),
        ("Line 5 is late. - Monday", None),
        ("This is the best, Elm Street is not", None),
        ("my name is not on the list", None),
        ("From: City of Loomfield", None),
        ("Thanks for nothing", None),
        ("Cheers\n", None),
    ],
)  # fmt: skip
def test_names_in_signatures_and_introductions(text, kept):
    assert redact.redact_text(text) == (text if kept is None else kept)


WORDS = st.text(st.sampled_from("aeiouéñ bcdßİ李'-.,\n@[]09"), max_size=30)


@given(st.lists(st.tuples(WORDS | st.none(), WORDS | st.none(), WORDS | st.none()), min_size=1))
def test_rows_do_not_meet_and_nothing_but_names_goes(rows):
    texts, *people = (pl.Series(list(c), dtype=pl.String) for c in zip(*rows, strict=True))
    found = names.mask_known(texts, people).to_list()
    for (text, *values), after in zip(rows, found, strict=True):
        alone = [pl.Series([value], dtype=pl.String) for value in values]
        assert after == names.mask_known(pl.Series([text], dtype=pl.String), alone)[0]
        if text is not None and not any(values):
            assert after == text
        if text is not None:
            parts = [re.escape(part) for part in after.split(names.TOKEN)]
            assert re.fullmatch("(?s:.+)".join(parts), text)


@given(st.text(st.characters(codec="utf-8"), min_size=3, max_size=12), st.text(max_size=20))
def test_a_name_of_letters_never_survives_as_a_whole_word(name, text):
    if not name.isalpha() or names.fold(name) in names.COMMON | names.NO_NAMES | names.PARTICLES:
        return
    after = masked(f"{text} {name.upper()}, {name}; {name.lower()}", name)
    kept = {names.fold(word) for word in re.findall(r"[^\W\d_]+", after)}
    assert names.fold(name) not in kept


def source(**columns) -> Source:
    return a_source(primary_key=("a",), columns={"a": Column(), **columns})


def test_protect_masks_texts_and_undeclared_columns_and_leaves_declared_ones():
    of = source(
        writer=Column(personal="drop"), mail=Column(personal="hash"),
        body=Column(personal="redact"), street=Column(),
    )  # fmt: skip
    table = pa.RecordBatch.from_pydict(
        {
            "a": ["1", "2"],
            "writer": ["Jane Doe", None],
            "mail": ["jd@x.org", "rob.hill@x.org"],
            "body": ["It leaks. Jane", "Hill"],
            "street": ["Jane Street", "Hill Street"],
            "remark": ["called doe back", "told Jane"],
            "floor": pa.array([3, None]),
            "caller_name": ["Jane", "Rob"],
        }
    )
    kept = redact.protect(table, of, b"salt")
    assert kept.schema.names == ["a", "mail", "body", "street", "remark", "floor"]
    assert kept.to_pydict() | {"a": None, "mail": None} == {
        "a": None,
        "mail": None,
        "body": ["It leaks. [name]", "[name]"],
        "street": ["Jane Street", "Hill Street"],
        "remark": ["called [name] back", "told Jane"],
        "floor": ["3", None],
    }
    assert redact.protect(table, source(), b"").equals(table)  # nothing personal: nothing done


@pytest.mark.parametrize(
    "header", ["name", "email", "e_mail", "sender_email", "contact_phone_number", "first_name",
               "firstname", "nombre_completo", "apellidos", "resident_name", "user_name"],
)  # fmt: skip
def test_undeclared_columns_that_name_people_are_not_loaded(header):
    table = pa.RecordBatch.from_pydict({"a": ["1"], header: ["x"], "body": ["y"]})
    of = source(body=Column(personal="redact"))
    assert redact.protect(table, of, b"").schema.names == ["a", "body"]


@pytest.mark.parametrize(
    "header", ["street_name", "park_name", "phone_calls", "mail_date", "rename"]
)
def test_other_undeclared_columns_are(header):
    table = pa.RecordBatch.from_pydict({"a": ["1"], header: ["x"], "body": ["y"]})
    of = source(body=Column(personal="redact"))
    assert redact.protect(table, of, b"").schema.names == ["a", header, "body"]


@pytest.fixture(scope="module")
def drop(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drop")
    simulator.ensure(folder, date(2023, 6, 30))
    return folder


TEXTS = ("subject", "body", "text", "statement", "comment")
WRITERS = {
    "email_comments": ("sender_name", "sender_address"),
    "app_reviews": ("user_name",),
    "council_comments": ("speaker",),
    "survey_comments": (),
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_name_of_who_wrote_survives_in_the_demos_comments(name, drop):
    of = load_city("demo").source(name)
    preparer = Preparer(of, b"salt", {})
    rows = signed = 0
    for batch in connector(of.read.connector)(of.read, of, drop, None):
        found = preparer.prepare(batch)
        place = {int(row): number for number, row in enumerate(batch.rows)}
        for row, kept in zip(found.rows, found.table.to_pylist(), strict=True):
            original = batch.table.slice(place[int(row)], 1).to_pylist()[0]
            writer = " ".join(original[c] or "" for c in WRITERS[name]).split("@")[0]
            before = " ".join(original[c] or "" for c in TEXTS if c in original)
            stored = " ".join(str(value) for value in kept.values())
            for word in re.findall(r"[^\W\d_]{2,}", writer):
                whole = re.compile(rf"(?i)(?<![^\W\d_]){word}(?![^\W\d_])")
                signed += bool(whole.search(before))
                assert not whole.search(stored), (original, kept)
            rows += 1
    assert rows > 200
    assert signed > 200 or name != "email_comments"
