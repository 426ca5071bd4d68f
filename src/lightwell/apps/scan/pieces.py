"""Looks into bytes and files for needles: as they are, in compressed parts, and in SQLite databases."""

from __future__ import annotations

import sqlite3
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lightwell.apps.scan.forms import Needles

CHUNK_BYTES: Final = 8 * 1024 * 1024
_INFLATED_BYTES: Final = 16 * 1024 * 1024
_PROBE_BYTES: Final = 64
_STEP_BYTES: Final = 256
_BLOCK_HEAD: Final = 5
_ZLIB: Final = 15
_SQLITE_MAGIC: Final = b"SQLite format 3\x00"
# Gzip members, zlib streams of each level, and files inside a zip archive.
_COMPRESSED: Final = (
    (b"\x1f\x8b\x08", 31),
    *((bytes((0x78, level)), _ZLIB) for level in (0x01, 0x5E, 0x9C, 0xDA)),
)
_ZIP_MEMBER: Final = b"PK\x03\x04"
_ZIP_HEADER: Final = 30


@dataclass(frozen=True, slots=True)
class Find:
    """Where a value was found: its position among the values asked for, the form it had, the place."""

    value: int
    form: str
    place: str


def search_piece(data: bytes, needles: Needles) -> Iterator[tuple[int, str]]:
    """Yield (value's position, form) for each find in `data`, and in what is compressed in it twice over."""
    yield from needles.search(data)
    for part in inflated(data):
        for number, form in needles.search(part):
            yield number, f"compressed {form}"
        for inner in inflated(part):
            for number, form in needles.search(inner):
                yield number, f"twice compressed {form}"


def search_stream(chunks: Iterable[bytes], needles: Needles) -> Iterator[tuple[int, str]]:
    """Search what comes in chunks as one piece: nothing is missed at a seam.

    A compressed part is followed to the end of the chunk after the one that it began in.
    """
    kept, before = b"", b""
    for chunk in chunks:
        whole = kept + chunk
        yield from needles.search(whole)
        kept = whole[-needles.longest :] if needles.longest else b""
        yield from _search_compressed(before, chunk, needles)
        before = chunk
    yield from _search_compressed(before, b"", needles)


def _search_compressed(first: bytes, then: bytes, needles: Needles) -> Iterator[tuple[int, str]]:
    for part in inflated(first, then):
        for number, form in search_piece(part, needles):
            yield number, f"compressed {form}"


def search_folders(folders: Iterable[Path], needles: Needles | list[str]) -> tuple[list[Find], int]:
    """Look in every file below `folders`, and at the files' names.

    Args:
        folders: folders, or single files.
        needles: what to look for; texts are taken without keys.

    Returns:
        What was found, each kind of find once a file, and the number of bytes read.
    """
    sought = Needles(needles) if isinstance(needles, list) else needles
    finds: dict[Find, None] = {}
    total = 0
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if file.is_symlink() or not file.is_file():
                continue
            place = str(file.relative_to(folder.parent))
            for number, form in sought.search(place.encode()):
                finds[Find(number, form, f"{place} (its name)")] = None
            try:
                for number, form in _search_file(file, sought):
                    finds[Find(number, form, place)] = None
                total += file.stat().st_size
            except FileNotFoundError:
                continue  # a running process has removed it; what it held is elsewhere or gone
    return list(finds), total


def _search_file(file: Path, needles: Needles) -> Iterator[tuple[int, str]]:
    with file.open("rb") as stream:
        yield from search_stream(iter(lambda: stream.read(CHUNK_BYTES), b""), needles)
    with file.open("rb") as stream:
        is_database = stream.read(16) == _SQLITE_MAGIC
    if is_database:
        for row in _rows(file):
            # A long value lies scattered over pages; read through SQLite it is whole again.
            yield from search_piece(row, needles)


def inflated(first: bytes, then: bytes = b"") -> Iterator[bytes]:
    """Yield what each compressed part holds that begins in `first` and may go on in `then`, 16 MiB of it.

    Random bytes look like the head of one now and then: those give nothing after the first few bytes.
    """
    whole = first + then if then else first
    data, end = memoryview(whole), len(first) + 3
    for magic, window in _COMPRESSED:
        at = whole.find(magic, 0, end)
        while at >= 0:
            yield from _inflate(_dumped(whole, at) if window == _ZLIB else data[at:], window)
            at = whole.find(magic, at + 1, end)
    at = whole.find(_ZIP_MEMBER, 0, end)
    while at >= 0:
        lengths = bytes(data[at + 26 : at + _ZIP_HEADER])
        start = (
            at + _ZIP_HEADER + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        )
        yield from _inflate(data[start:], -15)
        at = whole.find(_ZIP_MEMBER, at + 1, end)


def _inflate(data: memoryview, window: int) -> Iterator[bytes]:
    try:
        if not zlib.decompressobj(window).decompress(data[:1024], _PROBE_BYTES):
            return
    except zlib.error:
        return
    parts: list[bytes] = []
    size = at = 0
    stream = zlib.decompressobj(window)
    try:
        # In steps, so that what came before a damaged place is searched all the same.
        while size < _INFLATED_BYTES and at < len(data) and not stream.eof:
            parts.append(stream.decompress(data[at : at + _STEP_BYTES]))
            size += len(parts[-1])
            at += _STEP_BYTES
    except zlib.error:
        pass
    if size:
        yield b"".join(parts)


def _dumped(whole: bytes, at: int) -> memoryview:
    """Return the stream that begins at `at`, joined if it lies in counted blocks as `pg_dump` writes them.

    Before each block stand a zero and its length, 4 bytes little-endian; a length of nothing ends them.
    """
    blocks: list[bytes] = []
    head, start = at - _BLOCK_HEAD, at
    while (
        head >= 0 and whole[head] == 0 and (length := int.from_bytes(whole[head + 1 : start], "little")) > 0
    ):
        blocks.append(whole[start : start + length])
        head = start + length
        start = head + _BLOCK_HEAD
        if start > len(whole):
            break
    # One that ends before the stream does was no block, and two are no accident.
    return memoryview(b"".join(blocks)) if len(blocks) > 1 else memoryview(whole)[at:]


def _rows(file: Path) -> Iterator[bytes]:
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
