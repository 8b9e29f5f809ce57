"""Personal data: dropped, hashed or redacted before a row is staged or set aside.

`drop` leaves the column out. `hash` replaces each value by its HMAC-SHA256 under the
installation's salt: the same person gives the same value, and nobody without the salt can test a
guess. `redact` replaces what identifies a person inside free text by tokens; what the row's
dropped and hashed columns say of that person is masked there too (`extract.names`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from catalog.models import Source
from extract.errors import ExtractError
from extract.names import mask_known, mask_signed
from extract.types import text_of

#: What is found in free text, in the order in which it is replaced: (pattern, token).
#: Rust's regex knows no look-around, so the neighbours of a number are captured and put back.
PATTERNS = (
    (r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/@:]+:[^\s/@]+@\S+", "[url]"),
    (r"(?i)\b[a-z0-9._%+'-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b", "[email]"),
    (r"\b\d{3}[- ]\d{2}[- ]\d{4}\b", "[ssn]"),
    # Not the decimals of a coordinate.
    (r"(^|[^\w.]|\D\.)(?:\d[ -]?){12,18}\d\b", "${1}[card]"),
    (
        r"(^|[^\w/.-])(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}\b",
        "${1}[phone]",
    ),
    (r"(^|[^\w])\+\d{1,3}(?:[ .()-]{0,2}\d{2,4}){2,5}\b", "${1}[phone]"),
    (r"(^|[^\w@/.])@[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?", "${1}[handle]"),
)
#: A column in which none of these characters stands together holds nothing that is looked for.
_WORTH_A_LOOK = r"@|\d[\d() .-]{5,}\d"
#: Headers under which departments keep who somebody is.
_PERSON = (
    r"author|applicant|caller|citizen|complainant|contact|customer|full|first|given|family|last|"
    r"middle|maiden|owner|reporter|requester|requestor|resident|sender|signer|speaker|submitter|"
    r"tenant|user|writer|autor|ciudadano|remitente|solicitante|vecino"
)
_PERSONAL_HEADER = re.compile(
    rf"(.*_)?({_PERSON})_?(e_?mail|mobile|names?|phone|telephone)(_address|_number)?|"
    r"e_?mail(_address)?|correo(_electronico)?|names?|surname|nombres?|apellidos?|"
    r"nombre_completo|(mobile_|cell_)?phone(_number)?|telephone|mobile|telefono|movil|ssn|"
    r"date_of_birth|birth_date|dob|fecha_de_nacimiento"
)


def redact(texts: pa.Array, people: Sequence[pa.Array] = ()) -> pa.Array:
    """Replace e-mail addresses, phone, social-security and card numbers, URLs that carry a
    password, and handles by `[email]`, `[phone]`, `[ssn]`, `[card]`, `[url]`, `[handle]`, and
    names of people by `[name]`: those that sign, and what `people` say in the same row.
    """
    series = pl.from_arrow(texts)
    suspects = series.str.contains(_WORTH_A_LOOK).fill_null(False)
    masked = series
    if suspects.any():
        found = series.filter(suspects)
        for pattern, token in PATTERNS:
            found = found.str.replace_all(pattern, token)
        masked = series.clone().scatter(suspects.arg_true(), found)
    masked = mask_signed(mask_known(masked, [pl.from_arrow(values) for values in people]))
    return texts if masked is series else masked.to_arrow().cast(pa.string())


def redact_text(text: str) -> str:
    """Redact one text."""
    return redact(pa.array([text], pa.string()))[0].as_py()


def pseudonyms(texts: pa.Array, salt: bytes) -> pa.Array:
    """Return for each value its HMAC-SHA256 in hexadecimal, spaces and case of letters aside."""
    encoded = texts.dictionary_encode()
    hashed = pa.array(
        [
            hmac.new(salt, str(value).strip().casefold().encode(), hashlib.sha256).hexdigest()
            for value in encoded.dictionary.to_pylist()
        ],
        pa.string(),
    )
    return hashed.take(encoded.indices)


def protect(table: pa.RecordBatch, source: Source, salt: bytes) -> pa.RecordBatch:
    """Apply the manifest's `personal` to a batch under the manifest's names.

    Where a source declares anything personal, columns that it does not declare are redacted too,
    and dropped if their header is one that names people: nobody has looked at what a department
    adds. Raises `ExtractError` for a hash without a salt.
    """
    if not has_personal(source):
        return table
    treatments = {name: _treatment(name, source) for name in table.schema.names}
    people = [
        text_of(array)
        for array, treatment in zip(table.columns, treatments.values(), strict=True)
        if treatment in ("drop", "hash")
    ]
    names, arrays = [], []
    for (name, treatment), array in zip(treatments.items(), table.columns, strict=True):
        if treatment == "drop":
            continue
        if treatment == "hash":
            if not salt:
                raise ExtractError(
                    f"{source.path}: columns.{name}",
                    "is to be hashed, and no salt was given",
                    "pass the installation's salt to extract.load.stage",
                )
            array = pseudonyms(array, salt)
        elif treatment == "redact":
            array = redact(text_of(array), people)
        names.append(name)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _treatment(name: str, source: Source) -> str | None:
    if name in source.columns:
        return source.columns[name].personal
    return "drop" if _PERSONAL_HEADER.fullmatch(name) else "redact"


def has_personal(source: Source) -> bool:
    """Whether any column of the source is declared personal."""
    return any(column.personal for column in source.columns.values())


def protect_line(text: str, source: Source) -> str:
    """Return the text of a row without columns as quarantine may keep it.

    Which value belongs to which column is unknown, so a source with personal columns keeps none.
    """
    if not has_personal(source):
        return text
    values = len(re.findall(r"[^,;|\t]+", text))
    return f"[withheld: {values} values of a source with personal data]"
