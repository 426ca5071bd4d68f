"""A first look at a file, in Python: which container it is and whether all of it arrived.

Everything that is not one of the two container families is refused here, so that ffmpeg is always told
which demuxer to use: it never sees a playlist, a concat script or an archive as what it is.
"""

from pathlib import Path
from typing import BinaryIO, Literal

from lightwell.base.errors import Problem

Container = Literal["mov", "matroska"]

SNIFF_BYTES = 64
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = 0x18538067
_TOP_BOXES = frozenset(
    (
        b"ftyp",
        b"moov",
        b"mdat",
        b"moof",
        b"free",
        b"skip",
        b"wide",
        b"meta",
        b"uuid",
        b"sidx",
        b"styp",
        b"mfra",
    )
)
_MAX_BOXES = 100_000
_MAX_MOOV_BYTES = 32 * 1024 * 1024


def refusal(slug: str, detail: str) -> Problem:
    """Return the problem of a file that cannot become a video; `detail` says why and what to do."""
    return Problem(422, slug, detail)


def _truncated() -> Problem:
    return refusal("truncated-file", "The file ends too early: a part of it is missing. Upload it again.")


def sniff(first: bytes) -> Container:
    """Tell the container from a file's first bytes.

    Args:
        first: the first `SNIFF_BYTES` bytes, or all of a shorter file.

    Raises:
        Problem: 422 when it is empty, or neither MP4/QuickTime (ISO/IEC 14496-12) nor Matroska/WebM
            (RFC 8794).
    """
    if not first:
        raise refusal("empty-file", "The file is empty.")
    if first.startswith(_EBML):
        return "matroska"
    if first[4:8] in _TOP_BOXES:
        return "mov"
    raise refusal("not-a-video", "This is not a video file: only MP4, MOV, WebM and Matroska are taken.")


def check_whole(path: Path) -> Container:
    """Read the outermost structure of a file and refuse one of which a part is missing.

    Args:
        path: the file.

    Returns:
        Its container.

    Raises:
        Problem: 422 as `sniff`; truncated; no index; an index that is compressed or absurdly large.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        container = sniff(file.read(SNIFF_BYTES))
        if container == "mov":
            _check_boxes(file, size)
        else:
            _check_segment(file, size)
    return container


def _check_boxes(file: BinaryIO, size: int) -> None:
    seen: set[bytes] = set()
    at = 0
    for _ in range(_MAX_BOXES):
        if at >= size:
            break
        file.seek(at)
        header = file.read(16)
        kind = header[4:8]
        length = int.from_bytes(header[:4], "big")
        if len(header) < 8:
            break
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if kind not in _TOP_BOXES and {b"moov", b"mdat"} <= seen:
            # Some cameras append bytes of their own behind the last box; players ignore them, so do we.
            return
        if length < 8 or at + length > size:
            raise _truncated()
        if kind == b"moov":
            _check_index(file, at + 8, length)
        seen.add(kind)
        at += length
    if b"moov" not in seen or not seen & {b"mdat", b"moof"}:
        raise _truncated()


def _check_index(file: BinaryIO, inside: int, length: int) -> None:
    file.seek(inside)
    if file.read(8)[4:8] == b"cmov":
        # A zlib-packed index inflates to whatever its header claims; no camera of this century writes one.
        raise refusal("compressed-index", "The file's index is compressed; export it again as plain MP4.")
    if length > _MAX_MOOV_BYTES:
        raise refusal("index-too-large", "The file's index is too large for a short clip.")


def _check_segment(file: BinaryIO, size: int) -> None:
    at = 4
    at += _skip_element(file, at)
    while at < size:
        file.seek(at)
        identifier, id_length = _vint(file.read(4), keep_marker=True)
        if id_length == 0:
            raise _truncated()
        file.seek(at + id_length)
        body = file.read(8)
        length, length_bytes = _vint(body, keep_marker=False)
        if length_bytes == 0:
            raise _truncated()
        start = at + id_length + length_bytes
        if length == (1 << (7 * length_bytes)) - 1:
            return  # unknown size: a live recording, as MediaRecorder writes it
        if start + length > size:
            raise _truncated()
        if identifier == _SEGMENT:
            return
        at = start + length
    raise _truncated()


def _skip_element(file: BinaryIO, at: int) -> int:
    file.seek(at)
    length, length_bytes = _vint(file.read(8), keep_marker=False)
    if length_bytes == 0:
        raise _truncated()
    return length_bytes + length


def _vint(data: bytes, *, keep_marker: bool) -> tuple[int, int]:
    """Decode an EBML variable-size integer; the second value is its length, 0 when it is malformed."""
    if not data or data[0] == 0:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    value = int.from_bytes(data[:length], "big")
    return (value if keep_marker else value & ~(1 << (7 * length))), length
