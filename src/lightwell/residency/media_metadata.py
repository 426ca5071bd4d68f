"""Published media carries pictures and sound and nothing that says where, when, by whom or with what."""

from collections.abc import Iterator
from typing import Final

_MP4_TOP: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free"})
_MP4_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf"})
# What an encoder writes of itself; every other tag (place, title, comment, device) is refused.
_MP4_TAGS: Final = frozenset({b"\xa9too"})
_MP4_REFUSED: Final = frozenset({b"uuid", b"loci", b"XMP_", b"Exif", b"name", b"meta"})
_MAX_BOXES: Final = 2000

_JPEG_ENTROPY: Final = 0xDA
# Every application segment but JFIF: Exif, XMP, colour profiles and makers' notes.
_JPEG_REFUSED: Final = range(0xE1, 0xF0)
_MAX_COMMENT_BYTES: Final = 64


class MetadataError(ValueError):
    """The file is not the media that its name says, or carries metadata that may not cross."""


def headers(name: str, data: bytes) -> bytes:
    """Check a media file and return the parts of it in which text could hide.

    Args:
        name: `*.mp4` or `*.jpg`.
        data: the whole file.

    Returns:
        Everything but the coded pictures and sound.

    Raises:
        MetadataError: another format, a broken structure, or metadata.
    """
    if name.endswith(".mp4"):
        return _mp4_headers(data)
    if name.endswith(".jpg"):
        return _jpeg_headers(data)
    raise MetadataError("no media of this kind may cross")


def _mp4_headers(data: bytes) -> bytes:
    if data[4:8] != b"ftyp":
        raise MetadataError("not an MP4 file")
    kept: list[bytes] = []
    names: list[bytes] = []
    for kind, start, stop in _boxes(data, 0, len(data)):
        if kind not in _MP4_TOP:
            raise MetadataError("the MP4 holds a box that published media has not")
        names.append(kind)
        if kind != b"mdat":
            kept.append(data[start:stop])
        if kind == b"free" and any(data[start:stop]):
            raise MetadataError("the MP4 hides bytes in free space")
        if kind == b"moov":
            _check_moov(data, start, stop, 0)
    if b"moov" not in names:
        raise MetadataError("the MP4 has no index")
    return b"".join(kept)


def _check_moov(data: bytes, start: int, stop: int, depth: int) -> None:
    if depth > 8:
        raise MetadataError("the MP4's boxes nest too deeply")
    for kind, inner, end in _boxes(data, start, stop):
        if kind in _MP4_REFUSED:
            raise MetadataError("the MP4 carries metadata")
        if kind == b"udta":
            _check_tags(data, inner, end)
        elif kind in _MP4_CONTAINERS:
            _check_moov(data, inner, end, depth + 1)


def _check_tags(data: bytes, start: int, stop: int) -> None:
    for kind, inner, end in _boxes(data, start, stop):
        if kind != b"meta":
            raise MetadataError("the MP4 carries metadata")
        # `meta` is a full box: 4 bytes of version and flags come first.
        for part, first, last in _boxes(data, inner + 4, end):
            if part == b"ilst":
                tags = [tag for tag, *_ in _boxes(data, first, last)]
                if any(tag not in _MP4_TAGS for tag in tags):
                    raise MetadataError("the MP4 carries metadata")
            elif part not in (b"hdlr", b"free"):
                raise MetadataError("the MP4 carries metadata")


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start of content, end) of the ISO base media boxes in `data[start:stop]`."""
    at = start
    for _ in range(_MAX_BOXES):
        if at == stop:
            return
        if stop - at < 8:
            raise MetadataError("the MP4 is cut off")
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if size == 0:
            size = stop - at
        if size < head or at + size > stop:
            raise MetadataError("the MP4 is cut off")
        yield data[at + 4 : at + 8], at + head, at + size
        at += size
    raise MetadataError("the MP4 has too many boxes")


def _jpeg_headers(data: bytes) -> bytes:
    if data[:3] != b"\xff\xd8\xff" or data[-2:] != b"\xff\xd9":
        raise MetadataError("not a whole JPEG file")
    at = 2
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise MetadataError("the JPEG is broken")
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _JPEG_REFUSED or (marker == 0xFE and size > _MAX_COMMENT_BYTES):
            raise MetadataError("the JPEG carries metadata")
        at += 2 + size
        if marker == _JPEG_ENTROPY:
            break
    # Coded data never holds an end marker: a second one means that something follows the picture.
    if data.find(b"\xff\xd9", at) != len(data) - 2:
        raise MetadataError("the JPEG is followed by other bytes")
    return data[:at]
