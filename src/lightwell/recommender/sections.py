"""Named arrays in one file, each at an aligned place, so that a map of the file is read without copying."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

HEAD_BYTES: Final = 8192
"""Magic, size of the header and the header itself fill the file's first so many bytes."""
_ALIGN: Final = 64


class SectionsError(ValueError):
    """Bytes that are not such a file, or are cut short."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the bytes of one array lie."""

    name: str
    at: int
    size: int


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before the arrays: facts of the file's own kind, and where each array is."""

    facts: dict[str, Any]
    sections: list[Section]


_decode_head = msgspec.json.Decoder(Head).decode


def write(
    magic: bytes, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], room: Mapping[str, int]
) -> Iterator[bytes | memoryview]:
    """Yield the file piece by piece, so that one larger than memory allows twice can be written.

    Args:
        magic: what the file begins with.
        facts: written into the header, as JSON.
        arrays: by name, contiguous, in the order in which they will lie.
        room: by name, how many elements of zero follow an array, for what is added later.

    Raises:
        SectionsError: the header is too long.
    """
    sections, at = [], HEAD_BYTES
    for name, array in arrays.items():
        size = (array.size + room.get(name, 0)) * array.itemsize
        sections.append(Section(name, at, size))
        at += -(-size // _ALIGN) * _ALIGN
    header = msgspec.json.encode(Head(dict(facts), sections), order="sorted")
    space = HEAD_BYTES - len(magic) - 8
    if len(header) > space:
        raise SectionsError("header too long")
    yield magic + len(header).to_bytes(8, "little") + header.ljust(space, b"\0")
    for section, array in zip(sections, arrays.values(), strict=True):
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        padded = -(-section.size // _ALIGN) * _ALIGN
        if padded > array.nbytes:
            yield bytes(padded - array.nbytes)


def read(magic: bytes, kinds: Mapping[str, str], view: memoryview) -> tuple[Head, dict[str, NDArray[Any]]]:
    """Read a file's header and its arrays, which share the bytes of `view` and may not be written.

    Args:
        magic: what it must begin with.
        kinds: the name and numpy type of every array, in order.
        view: the whole file.

    Raises:
        SectionsError: another kind of file, other arrays, or cut short.
    """
    if bytes(view[: len(magic)]) != magic:
        raise SectionsError("not such a file")
    start = len(magic) + 8
    size = int.from_bytes(view[len(magic) : start], "little")
    if start + size > min(HEAD_BYTES, len(view)):
        raise SectionsError("cut short in its header")
    try:
        head = _decode_head(view[start : start + size])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SectionsError(f"header: {error}") from error
    if [section.name for section in head.sections] != list(kinds):
        raise SectionsError("sections are not those of this version")
    arrays = {}
    end = HEAD_BYTES
    for section in head.sections:
        kind = np.dtype(kinds[section.name])
        if section.at != end or section.size < 0 or section.size % kind.itemsize:
            raise SectionsError(f"{section.name} is not whole")
        if section.at + section.size > len(view):
            raise SectionsError(f"cut short in {section.name}")
        array = np.frombuffer(view[section.at : section.at + section.size], dtype=kind)
        array.flags.writeable = False
        arrays[section.name] = array
        end += -(-section.size // _ALIGN) * _ALIGN
    return head, arrays
