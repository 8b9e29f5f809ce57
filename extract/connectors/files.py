"""Opening a department's file: found, hashed, decompressed, decoded, and checked for what it is."""

from __future__ import annotations

import codecs
import hashlib
import io
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from catalog.models import Reader
from extract.batches import SourceFile
from extract.errors import ExtractError
from warehouse.reasons import Reason

CHUNK = 1 << 20
#: How much of a text's end is kept, to tell whether it was cut.
TAIL = 1 << 16
_HTML = re.compile(
    r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I
)
#: How files that are no text begin.
_BINARY = {
    b"PK\x03\x04": "a ZIP archive (as an Excel workbook is, too)",
    b"%PDF-": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Office document (.xls, .doc)",
    b"SQLite format 3\0": "an SQLite database",
    b"PAR1\x15": "a Parquet file",
}
_XML = re.compile(r"\s*(<\?xml\b|<!--|<\w+[^<>]*>\s*<)", re.I)
_TITLE = re.compile(r"<title[^>]*>\s*(.*?)\s*</title>", re.I | re.S)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find(reader: Reader, base_dir: Path) -> list[Path]:
    """Return the files that a reader's patterns name, in order of their names.

    Raises `ExtractError` for a pattern that matches nothing.
    """
    found: dict[Path, None] = {}
    for pattern in reader.files:
        paths = sorted(path for path in base_dir.glob(pattern) if path.is_file())
        if not paths:
            raise ExtractError(
                str(base_dir / pattern),
                "no such file" if not re.search(r"[*?\[]", pattern) else "no file matches",
                "put the department's file there, or correct `files:` in the manifest",
                reason=Reason.FILE_MISSING,
            )
        for path in paths:
            check_inside(path, base_dir)
        found.update(dict.fromkeys(paths))
    return list(found)


def check_inside(path: Path, base_dir: Path) -> None:
    """Raise `ExtractError` if a path, links followed, is not in the folder that may be read."""
    if not path.resolve().is_relative_to(base_dir.resolve()):
        what = "is a link to a file" if path.is_relative_to(base_dir) else "is a file"
        raise ExtractError(
            str(path),
            f"{what} outside {base_dir}, the only folder that the source is read from",
            "copy the file into that folder, and name it there",
            reason=Reason.WRONG_MANIFEST,
        )


def relative(path: Path, base_dir: Path) -> str:
    """Return a file's name below `base_dir`, as `raw._source_file` holds it."""
    return path.relative_to(base_dir).as_posix()


def refuse_html_page(path: Path, texts: Iterable[str], expected: str) -> None:
    """Raise `ExtractError` if a file, of which `texts` are readings, is a page, not `expected`."""
    for text in filter(_HTML.match, texts):
        title = _TITLE.search(text)
        titled = f" titled {title.group(1)!r}" if title else ""
        raise ExtractError(
            str(path),
            f"is an HTML page{titled} in place of {expected}",
            "the source answered with a page (an error or a login); fetch the file again",
        )


class TextStream(io.RawIOBase):
    """A text file read as UTF-8 bytes, whatever its encoding and compression.

    Fills in the file's SHA-256 and size as it goes (complete at the end of the file), and refuses
    what is no data: an empty file, an HTML page, a gzip that ends too early, bytes that are not
    of the encoding. A byte-order mark overrides `encoding`.
    """

    def __init__(self, path: Path, file: SourceFile, encoding: str = "utf-8") -> None:
        self.path = path
        self.file = file
        self.encoding = encoding
        self.ends_in_newline = True
        self.tail = b""
        self._digest = hashlib.sha256()
        self._raw = path.open("rb")
        self._lines = 0
        self._ready = bytearray()
        self._ended = False
        self._started = False
        self._gzip: zlib._Decompress | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._check_utf8 = codecs.getincrementaldecoder("utf-8")()
        file.may_hold_nul = False

    def readable(self) -> bool:
        """Whether one can read from it: always."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill `target` with the next bytes of the text."""
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes of the text as UTF-8, all that is left for -1."""
        if size >= CHUNK and not self._ready and self._started and self._plain:
            return self._take(size)
        while not self._ended and (size < 0 or len(self._ready) < size):
            self._fill()
        if size < 0 or size >= len(self._ready):
            data = bytes(self._ready)
            self._ready = bytearray()
            return data
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes that the next `read` will return."""
        while not self._ended and len(self._ready) < size:
            self._fill()
        return bytes(self._ready[:size])

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()

    @property
    def _plain(self) -> bool:
        """Whether the file's bytes are the text's."""
        return self._gzip is None and self._decoder is None

    def _fill(self) -> None:
        self._ready += self._take(CHUNK)

    def _take(self, size: int) -> bytes:
        """Read from the file; return what that is as text."""
        data = self._raw.read(size)
        self._digest.update(data)
        last = not data
        if not self._started:
            self._start(data)
            data = data[self._bom :]
        if self._gzip is not None:
            data = self._inflate(data, last)
        text = self._decode(data, last)
        self.file.bytes = self._raw.tell()
        if text:
            if b"\0" in text:
                self.file.may_hold_nul = True
            self.ends_in_newline = text[-1] in b"\r\n"
            if not self._plain:
                self._lines += text.count(b"\n")
            self.tail = (text if len(text) >= TAIL else self.tail + text)[-TAIL:]
        if last:
            self._ended = True
            self.file.sha256 = self._digest.hexdigest()
        return text

    def _lines_before(self) -> int:
        """Count the lines that were read before the piece at hand."""
        if self._plain:
            with self.path.open("rb") as file:
                left, lines = self.file.bytes, 0
                while left > 0:
                    data = file.read(min(CHUNK, left))
                    lines, left = lines + data.count(b"\n"), left - len(data)
            return lines
        return self._lines

    def _start(self, data: bytes) -> None:
        self._started = True
        self._bom = 0
        if not data:
            raise ExtractError(
                str(self.path), "the file is empty", "fetch it from the source again"
            )
        if data[:2] == b"\x1f\x8b":
            self._gzip = zlib.decompressobj(wbits=31)
            try:
                head = zlib.decompressobj(wbits=31).decompress(data[:65536], 65536)
            except zlib.error as error:
                raise self._damaged_gzip(error) from error
        else:
            head = data
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                self.encoding = encoding
                # The utf-16 decoder takes the mark itself; in a gzip it is met when inflated.
                if encoding == "utf-8" and self._gzip is None:
                    self._bom = len(mark)
        if codecs.lookup(self.encoding).name not in ("utf-8", "ascii"):
            self._decoder = codecs.getincrementaldecoder(self.encoding)()
        # Read as bytes too: a page comes in an encoding of its own.
        samples = [
            head[:16384].decode(encoding, errors="ignore").lstrip("\ufeff")
            for encoding in (self.encoding, "latin-1")
        ]
        refuse_html_page(self.path, samples, "data")
        self._refuse_other_formats(head, samples)

    def _refuse_other_formats(self, head: bytes, samples: list[str]) -> None:
        """Raise for a binary or XML file, naming its format."""
        found = next((what for mark, what in _BINARY.items() if head.startswith(mark)), None)
        if found is None and any(map(_XML.match, samples)):
            found = "an XML document"
        if found:
            raise ExtractError(
                str(self.path),
                f"is {found} in place of text",
                "unpack or export it as the manifest's connector reads it, name the connector "
                "that reads such files, or fetch the file again",
            )

    def _damaged_gzip(self, error: zlib.error) -> ExtractError:
        return ExtractError(
            str(self.path),
            f"its gzip data are damaged after line {self._lines_before()} ({error})",
            "fetch the file again",
        )

    def _inflate(self, data: bytes, last: bool) -> bytes:
        assert self._gzip is not None
        try:
            out = bytearray(self._gzip.decompress(data))
            while self._gzip.eof and self._gzip.unused_data:
                rest = self._gzip.unused_data
                if not rest.strip(b"\0"):
                    break
                self._gzip = zlib.decompressobj(wbits=31)
                out += self._gzip.decompress(rest)
        except zlib.error as error:
            raise self._damaged_gzip(error) from error
        if last and not self._gzip.eof:
            raise ExtractError(
                str(self.path),
                f"the gzip file ends too early, after line {self._lines_before()}: it is truncated",
                "fetch the file again",
            )
        return bytes(out)

    def _decode(self, data: bytes, last: bool) -> bytes:
        if not data and not last:
            return data
        try:
            if self._decoder is not None:
                text = self._decoder.decode(data, last)
                return text.encode("utf-8", "surrogatepass")
            if data.isascii() and not last:
                # Most of it is, and this is a hundred times quicker than decoding.
                self._check_utf8.decode(data[:4])
                self._check_utf8.reset()
            else:
                self._check_utf8.decode(data, last)
        except UnicodeDecodeError as error:
            line = self._lines_before() + 1 + error.object[: error.start].count(b"\n")
            place = error.object[error.start : error.start + 1].hex()
            tried = self.encoding
            remedy = (
                "declare the file's encoding in the manifest, such as options: {encoding: latin-1}"
                if tried == "utf-8"
                else "correct options.encoding in the manifest, or fetch the file again"
            )
            if last and error.end == len(error.object) and self._decoder is not None:
                raise ExtractError(
                    f"{self.path}, line {line}",
                    f"ends in half a character of {tried}: the file is truncated",
                    "fetch it again",
                ) from error
            raise ExtractError(
                f"{self.path}, line {line}", f"byte 0x{place} is not {tried}", remedy
            ) from error
        except UnicodeError as error:
            raise ExtractError(
                str(self.path),
                f"is not {self.encoding} ({error})",
                "correct options.encoding in the manifest (utf-16-le or utf-16-be where there is "
                "no byte-order mark), or fetch the file again",
            ) from error
        if self._gzip is not None and self._lines == 0 and data.startswith(codecs.BOM_UTF8):
            data = data[len(codecs.BOM_UTF8) :]
        return data
