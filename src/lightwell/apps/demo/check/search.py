"""Finds given values in every byte below a folder: raw, encoded, inside databases and compressed parts."""

import base64
import sqlite3
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHUNK_BYTES = 8 * 1024 * 1024
_INFLATED_BYTES = 4 * 1024 * 1024
_INFLATE_TRIES = 200
_SQLITE_MAGIC = b"SQLite format 3\x00"
_GZIP_MAGIC = b"\x1f\x8b\x08"


@dataclass(frozen=True, slots=True)
class Find:
    """Where a value was found: its position among the values asked for, the form it had, the place."""

    value: int
    form: str
    place: str


class Needles:
    """Every form of every value, ready to be looked for in one pass.

    Args:
        values: texts of at least 6 characters.
    """

    def __init__(self, values: list[str]) -> None:
        self._forms: dict[bytes, tuple[int, str]] = {}
        for number, value in enumerate(values):
            for form, data in forms(value):
                self._forms.setdefault(data, (number, form))
        self.longest = max(map(len, self._forms), default=0)
        # Two tables let numpy discard nearly every position: one of first byte pairs, one of the second.
        self._first = np.zeros(65536, dtype=bool)
        self._second = np.zeros(65536, dtype=bool)
        self._by_prefix: dict[bytes, list[bytes]] = {}
        for data in self._forms:
            self._first[data[0] | data[1] << 8] = True
            self._second[data[2] | data[3] << 8] = True
            self._by_prefix.setdefault(data[:4], []).append(data)

    def search(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Yield (value's position, form) for each form that occurs in `data`, as often as it occurs."""
        if len(data) < 4:
            return
        found: NDArray[np.uint8] = np.frombuffer(data, dtype=np.uint8)
        pairs = found[:-1].astype(np.uint16) | (found[1:].astype(np.uint16) << 8)
        hits = np.flatnonzero(self._first[pairs[:-2]] & self._second[pairs[2:]])
        for at in hits.tolist():
            for needle in self._by_prefix.get(data[at : at + 4], ()):
                if data.startswith(needle, at):
                    yield self._forms[needle]


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) for each form in which `value` could have been written."""
    plain = value.encode()
    yield "plain", plain
    digits = "".join(char for char in value if char.isdigit())
    if len(digits) >= 10 and not any(char.isalpha() for char in value) and "." not in value:
        yield "digits", digits.encode()
    yield "upper case", value.upper().encode()
    yield "reversed", plain[::-1]
    yield "UTF-16", value.encode("utf-16-le")
    yield "UTF-16 big-endian", value.encode("utf-16-be")
    yield "hex", plain.hex().encode()
    yield "hex upper case", plain.hex().upper().encode()
    quoted = urllib.parse.quote(value, safe="")
    for text in {quoted, quoted.lower(), urllib.parse.quote_plus(value)} - {value}:
        yield "percent-encoded", text.encode()
    for shift in range(3):
        # Inside a longer text the value can begin at any of three places of a base64 group; the
        # characters at its edges mix with the neighbours and are left out.
        raw = base64.b64encode(bytes(shift) + plain)
        start = 0 if shift == 0 else 4
        whole = raw[start : (len(plain) + shift) // 3 * 4]
        if len(whole) >= 8:
            yield "base64", whole
            yield "base64url", whole.replace(b"+", b"-").replace(b"/", b"_")


def search_folders(folders: Iterable[Path], values: list[str]) -> tuple[list[Find], int]:
    """Look for `values` in every file below `folders`.

    Returns:
        What was found, each kind of find once a file, and the number of bytes read.
    """
    needles = Needles(values)
    finds: dict[Find, None] = {}
    total = 0
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_symlink() or not file.is_file():
                continue
            place = str(file.relative_to(folder.parent))
            for number, form in needles.search(str(file.relative_to(folder)).encode()):
                finds[Find(number, form, f"{place} (its name)")] = None
            try:
                for number, form in _search_file(file, needles):
                    finds[Find(number, form, place)] = None
                total += file.stat().st_size
            except FileNotFoundError:
                continue  # a running process has removed it; what it held is elsewhere or gone
    return list(finds), total


def _search_file(file: Path, needles: Needles) -> Iterator[tuple[int, str]]:
    tries = _INFLATE_TRIES
    with file.open("rb") as stream:
        kept = b""
        while chunk := stream.read(_CHUNK_BYTES):
            data = kept + chunk
            yield from needles.search(data)
            for part in _inflated(data, tries):
                tries -= 1
                for number, form in needles.search(part):
                    yield number, f"compressed {form}"
            kept = data[-needles.longest :]
    with file.open("rb") as stream:
        is_database = stream.read(16) == _SQLITE_MAGIC
    if is_database:
        for value in _values(file):
            # A long value lies scattered over pages; read through SQLite it is whole again.
            yield from needles.search(value)
            for part in _inflated(value, 4):
                for number, form in needles.search(part):
                    yield number, f"compressed {form}"


def _inflated(data: bytes, tries: int) -> Iterator[bytes]:
    for magic, window in ((_GZIP_MAGIC, 31), (b"\x78\x9c", 15), (b"\x78\x01", 15), (b"\x78\xda", 15)):
        at = data.find(magic)
        while at >= 0 and tries > 0:
            tries -= 1
            try:
                part = zlib.decompressobj(window).decompress(data[at:], _INFLATED_BYTES)
            except zlib.error:
                part = b""
            if part:
                yield part
            at = data.find(magic, at + 1)


def _values(file: Path) -> Iterator[bytes]:
    try:
        with closing(
            sqlite3.connect(f"file:{urllib.parse.quote(str(file))}?mode=ro", uri=True, timeout=10)
        ) as db:
            db.text_factory = bytes
            names = [
                row[0].decode() for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for name in names:
                quoted = name.replace('"', '""')
                for row in db.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608  a name from the database itself
                    yield b"\x00".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
    except sqlite3.DatabaseError:
        return  # its raw bytes have been searched; a database that does not open adds nothing
