"""Personal data: dropped, hashed or redacted before a row is staged or quarantined.

`drop` leaves the column out. `hash` replaces each value by its HMAC-SHA256 under the
installation's salt: the same person gives the same value, and without the salt a guess cannot be
tested. `redact` replaces what identifies a person inside free text by tokens; the values of the
row's dropped and hashed columns are masked there too (`extract.names`).

A stray e-mail address or name can also be in a column that no manifest marks as personal. The
source's own table holds it as it came; everything written elsewhere (quarantine, reasons,
messages, reports, logs) passes `safe_texts`, `safe_path`, `safe_records` or `quoted`, which
withhold or mask it where the source has any personal column.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import polars as pl
import pyarrow as pa

from catalog.models import Source
from catalog.text import printable
from catalog.types import ColumnType
from extract.errors import ExtractError, SafeError, WithheldError
from extract.names import mask_known, mask_signed
from extract.types import shown, text_of
from warehouse.reasons import Reason

#: Written in place of a value that may be personal.
WITHHELD = "[withheld]"
#: Ten digits in a row, as a phone number is typed or kept as an integer.
_BARE_PHONE = (r"(^|[^\w/.@-]|\D\.)1?[2-9]\d{9}\b", "${1}[phone]")
#: In names of files, where ten digits may be a day and an hour.
_BARE_PHONE_IN_PATH = re.compile(
    r"(?<!\d)(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[0-2]\d(?!\d))"
    r"1?[2-9]\d{9}(?!\d)"
)
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
    _BARE_PHONE,
    (r"(^|[^\w@/.])@[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?", "${1}[handle]"),
)
#: Of these, what is masked in names of files: long numbers there are dates and times.
_IN_PATHS = {"[url]", "[email]", "${1}[phone]"}
#: A number that may identify a person: a phone's, a card's, one of social security.
_LONG_NUMBER = re.compile(r"[+-]?\d{9,}(\.\d*)?")
#: In a key, what may be a name: a word, unlike the letters of `SR-2024-17`, or several parts.
_NAME_IN_KEY = re.compile(r"[^\W\d_]{4,}|\s")
_HEXADECIMAL = re.compile(r"[0-9a-f-]{16,}")
#: A column without a match of this holds none of the patterns.
_PREFILTER = r"@|\d[\d() .-]{5,}\d"
#: Headers under which departments keep people's names and contacts.
_PERSON = (
    r"author|applicant|caller|citizen|complainant|contact|customer|full|first|given|family|last|"
    r"middle|maiden|owner|reporter|requester|requestor|resident|sender|signer|speaker|submitter|"
    r"tenant|user|writer|autor|ciudadano|remitente|solicitante|vecino"
)
_PERSONAL_HEADER = re.compile(
    rf"(.*_)?({_PERSON})_?(e_?mail|mobile|names?|phone|telephone)(_address|_number)?|"
    r"e_?mail(_address)?|correo(_electronico)?|names?|surname|nombres?|apellidos?|"
    r"nombre_completo|vorname|nachname|familienname|prenom|nom_de_famille|courriel|telefon|"
    r"(mobile_|cell_)?phone(_number)?|telephone|mobile|telefono|movil|ssn|"
    r"date_of_birth|birth_date|dob|fecha_de_nacimiento"
)


def redact(texts: pa.Array, people: Sequence[pa.Array] = ()) -> pa.Array:
    """Replace e-mail addresses, phone, social-security and card numbers, URLs that carry a
    password, and handles by `[email]`, `[phone]`, `[ssn]`, `[card]`, `[url]`, `[handle]`, and
    names of people by `[name]`: those that sign, and those that `people` hold in the same row.
    """
    series = pl.Series(texts)
    suspects = series.str.contains(_PREFILTER).fill_null(False)
    masked = series
    if suspects.any():
        found = series.filter(suspects)
        for pattern, token in PATTERNS:
            found = found.str.replace_all(pattern, token)
        masked = series.clone().scatter(suspects.arg_true(), found)
    masked = mask_signed(mask_known(masked, [pl.Series(values) for values in people]))
    return texts if masked is series else masked.to_arrow().cast(pa.string())


def redact_text(text: str) -> str:
    """Redact one text."""
    return redact(pa.array([text], pa.string()))[0].as_py()


def pseudonyms(texts: pa.Array, salt: bytes) -> pa.Array:
    """Return for each value its HMAC-SHA256 in hexadecimal, spaces around it and case ignored."""
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
    and dropped if their header is one that names people: no manifest has classified what a
    department adds. Raises `ExtractError` for a hash without a salt.
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
                    reason=Reason.INTERNAL_ERROR,
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
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return "drop" if _PERSONAL_HEADER.fullmatch(plain) else "redact"


def has_personal(source: Source) -> bool:
    """Whether any column of the source is declared personal."""
    return any(column.personal for column in source.columns.values())


def quoted(value: object, source: Source) -> str:
    """Return a value as a reason or message may quote it; withheld for a personal source."""
    return WITHHELD if has_personal(source) else shown(value)


def safe_texts(texts: Iterable[str], source: Source) -> list[str]:
    """Return texts about a source (reasons, messages, headers) as they may be stored and shown.

    Characters that a terminal obeys are written as escapes. Where the source has personal
    columns, what identifies a person is masked.
    """
    plain = [printable(text) for text in texts]
    if not plain or not has_personal(source):
        return plain
    return redact(pa.array(plain, pa.string())).to_pylist()


def safe_text(text: str, source: Source) -> str:
    """Return one text as `safe_texts` does."""
    return safe_texts([text], source)[0]


def safe_path(path: str, source: Source) -> str:
    """Return a file's name as it may be stored and shown: addresses and phone numbers masked."""
    path = printable(path)
    if not has_personal(source):
        return path
    found = pl.Series([path])
    for pattern, token in PATTERNS:
        if token in _IN_PATHS and pattern != _BARE_PHONE[0]:
            found = found.str.replace_all(pattern, token)
    return _BARE_PHONE_IN_PATH.sub("[phone]", found[0])


def safe_records(records: Sequence[dict[str, str]], source: Source) -> list[dict[str, str]]:
    """Return rows under the manifest's names, as text, as quarantine may keep them.

    Where the source has personal columns, a row keeps numbers of less than nine digits, dates,
    listed values, hashes, and its key where that can be no name. Anything else is withheld,
    redacted text and undeclared columns too: in a row whose columns have shifted, any of them may
    hold a name, and the row's column of names something else.
    """
    if not has_personal(source):
        return list(records)
    keys = [name for name in source.primary_key if not _keeps_any(name, source)]
    safe = [
        {
            name: value
            if _may_keep(name, value, source) or (name in keys and _is_plain_key(value))
            else WITHHELD
            for name, value in record.items()
        }
        for record in records
    ]
    for name in keys:
        holding = [record for record in safe if record.get(name, WITHHELD) != WITHHELD]
        redacted = safe_texts([record[name] for record in holding], source)
        for record, value in zip(holding, redacted, strict=True):
            record[name] = value
    return safe


def _keeps_any(name: str, source: Source) -> bool:
    """Whether quarantine keeps every value of a column: a number, a date, a hash."""
    column = source.columns.get(name)
    return column is not None and (column.personal == "hash" or column.type != ColumnType.TEXT)


def _may_keep(name: str, value: str, source: Source) -> bool:
    column = source.columns.get(name)
    if _keeps_any(name, source):
        is_hash = column is not None and column.personal == "hash"
        return is_hash or not _LONG_NUMBER.fullmatch(str(value))
    return column is not None and value in (column.values or ())


def _is_plain_key(value: str) -> bool:
    if _HEXADECIMAL.fullmatch(value) and not value.isdecimal():
        return True
    named = _NAME_IN_KEY.search(value) or not any(c.isdigit() for c in value)
    return not named and not _LONG_NUMBER.fullmatch(value)


def safe_line(text: str, source: Source) -> str:
    """Return the text of a row without columns as quarantine may keep it.

    Which value belongs to which column is unknown, so a source with personal columns keeps none.
    """
    if not has_personal(source):
        return text
    values = len(re.findall(r"[^,;|\t]+", text))
    return f"[withheld: {values} values of a source with personal data]"


def safe_error(error: BaseException, source: Source) -> BaseException:
    """Return an error whose text may be stored and logged: the given one, or one in its place.

    Where the source has personal columns, an `ExtractError` loses what it quotes, and an
    unexpected error keeps its type and traceback only.
    """
    if not has_personal(source) or not isinstance(error, Exception):
        return error
    if isinstance(error, ExtractError):
        safe = ExtractError(
            safe_path(error.place, source),
            safe_text(error.problem, source),
            error.remedy,
            quoted="details withheld: the source has personal columns" if error.quoted else "",
            reason=error.reason,
        )
        safe.manifest = error.manifest
        return safe.with_traceback(error.__traceback__)
    if isinstance(error, SafeError):
        return error
    text = (
        f"{source.city_id}/{source.source}: {type(error).__name__}, whose text is withheld because "
        "the source has personal columns; the traceback shows where it was raised"
    )
    return WithheldError(text).with_traceback(error.__traceback__)


@contextmanager
def safe_errors(source: Source) -> Iterator[None]:
    """Raise errors of the block as `safe_error` returns them."""
    try:
        yield
    except Exception as error:
        safe = safe_error(error, source)
        if safe is error:
            raise
        raise safe from None
