"""Headers as names of columns, in every script."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import normalise


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Ημερομηνία Αίτησης", "ημερομηνία_αίτησης"),
        ("Дата (обращения)", "дата_обращения"),
        ("تاريخ الطلب", "تاريخ_الطلب"),
        ("受付日", "受付日"),
        ("सड़क", "सड़क"),
        ("Größe/Straße", "größe_straße"),
        ("BA\u0308DER", "bäder"),  # typed with a combining mark
        ("Ｔｏｗｎ", "town"),
        ("Année n° 2", "année_n_2"),
        ("Fläche m²", "fläche_m2"),
        ("№", "no"),
        ("%", "unnamed"),
        ("311 id", "c_311_id"),
    ],
)
def test_letters_of_every_script_are_kept(header, name):
    assert normalise(header) == name
    assert normalise(name) == name


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_latin_headers_are_lower_case_with_underscores(header):
    name = re.sub(r"[^0-9a-z]+", "_", header.strip().lower()).strip("_") or "unnamed"
    assert normalise(header) == (name if name[0].isalpha() else f"c_{name}")
