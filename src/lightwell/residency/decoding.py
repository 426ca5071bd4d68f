"""Every text that hides inside a value, through nested encodings, within fixed limits of work."""

import base64
import binascii
import bz2
import codecs
import html
import json
import lzma
import quopri
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_DEPTH: Final = 6
MAX_PIECES: Final = 400
MAX_BYTES: Final = 1 << 20
_MIN_READABLE: Final = 5

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{10,}={0,2}")
_BASE32: Final = re.compile(r"(?:[A-Z2-7]{12,}|[a-z2-7]{12,})={0,6}")
_BASE85: Final = re.compile(r"[!-~]{10,}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}[\s:,._-]?|\\x[0-9a-fA-F]{2}|0[xX][0-9a-fA-F]{2}[\s,]*){6,}")
_HEX_PAIR: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{2})")
_CODES: Final = re.compile(r"(?<!\d)(?:\d{2,3}[\s,;.-]+){5,}\d{2,3}(?!\d)")
_PAIRS: Final = re.compile(r"(?<!\w)(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,._-]?){6,}")
# Broken into lines of one length, as mail programs do; the last may be shorter.
_LINES: Final = re.compile(r"(?:[A-Za-z0-9+/_-]{4,}\s)+[A-Za-z0-9+/_-]+={0,2}")
# Letters of both cases, or digits, between marks that no word has: base 85.
_DENSE: Final = re.compile(
    r"[0-9A-Za-z][!#$%&(),:*+;<=>?@^`{|}~][^!#$%&()*+;<=>?@^`{|}~]*[!#$%&()*+;<=>?@^`{|}~]"
)
_BITS: Final = re.compile(r"(?:[01]{8}\s*){5,}")
_UNICODE_ESCAPE: Final = re.compile(r"\\u\{?([0-9a-fA-F]{4,6})\}?")
_BASE64_TO_STANDARD: Final = str.maketrans("-_", "+/")


class TooNestedError(ValueError):
    """A value holds more, or deeper, encoded text than is looked through; that alone refuses it."""


def unfold(value: str | bytes) -> Iterator[str]:
    """Yield `value` as text, and every text that it encodes, each once.

    Looked through are JSON, percent-encoding, quoted-printable, HTML and Unicode escapes, base 64 (both
    alphabets, broken into lines, at any offset), base 32, base 85, hex, character codes, bits, gzip, zlib,
    raw deflate, bzip2, xz, UTF-16 and UTF-32, and each of these written backwards; one in another.

    Args:
        value: text or bytes from a message.

    Raises:
        TooNestedError: over `MAX_DEPTH` layers, `MAX_PIECES` pieces or `MAX_BYTES` decoded bytes.
    """
    waiting: list[tuple[str | bytes, int]] = [(value, 0)]
    seen: set[str | bytes] = set()
    total = 0
    while waiting:
        piece, depth = waiting.pop()
        if piece in seen:
            continue
        seen.add(piece)
        total += len(piece)
        if len(seen) > MAX_PIECES or total > MAX_BYTES:
            raise TooNestedError("the value holds too much encoded text")
        if isinstance(piece, bytes):
            inner: Iterator[str | bytes] = texts_in(piece)
        else:
            yield piece
            inner = _from_text(piece)
        for found in inner:
            if depth == MAX_DEPTH:
                raise TooNestedError("the value holds too deeply encoded text")
            waiting.append((found, depth + 1))


def texts_in(data: bytes) -> Iterator[str]:
    """Yield the texts that bytes are, packed or plain, in any of the encodings of Unicode."""
    packed = _inflate(data)
    if packed:
        yield from texts_in(packed)
    if len(data) >= 4 and data.count(0) * 3 >= len(data):
        for codec in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            text = data.decode(codec, "ignore")
            if _readable(text):
                yield text
    text = data.decode("utf-8", "ignore")
    # Of bytes that are no text at all, about half would be left out.
    if len(text.encode()) * 10 >= len(data) * 9 and _readable(text):
        yield text


def strings(value: object) -> Iterator[str]:
    """Yield every text and number, as text, inside decoded JSON, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _from_text(text: str) -> Iterator[str]:
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        with suppress(ValueError, RecursionError):
            yield from strings(json.loads(stripped))
    yield from unescaped(text)
    yield from seen_as_others(text)
    for data in _bytes_in(text):
        for found in texts_in(data):
            if found != text:
                yield found
    # What is encoded and then written backwards; what is only backwards is found as it stands.
    for match in _BASE64.finditer(text):
        for data in _base64(match[0].rstrip("=")[::-1]):
            yield from texts_in(data)


def looks_encoded(text: str) -> bool:
    """Say whether a text without one long token may be an encoding all the same: codes, pairs, lines."""
    if _CODES.search(text) or _BITS.search(text) or _PAIRS.search(text):
        return True
    if any(_DENSE.search(token) for token in text.split() if len(token) >= 14 and not token.isalnum()):
        return True
    joined = "".join(text.split())
    return joined != text and len(joined) >= 16 and _LINES.fullmatch(text) is not None


def seen_as_others(text: str) -> Iterator[str]:
    """Yield the ASCII text that stands behind characters of other scripts, two letters in each."""
    if text.isascii():
        return
    for codec in ("utf-16-le", "utf-16-be"):
        raw = text.encode(codec, "ignore")
        if raw.isascii() and _readable(raw.decode()):
            yield raw.decode()


def unescaped(text: str) -> Iterator[str]:
    """Yield a text without percent-encoding, quoted-printable, HTML or Unicode escapes, where it has any."""
    if "%" in text:
        raw = unquote_to_bytes(text)
        if raw != text.encode("utf-8", "replace"):
            yield from texts_in(raw)
    if "=" in text:
        raw = quopri.decodestring(text.encode("utf-8", "replace"))
        if raw != text.encode("utf-8", "replace"):
            yield from texts_in(raw)
    if "&" in text:
        unescaped = html.unescape(text)
        if unescaped != text:
            yield unescaped
    if "\\u" in text:
        yield _UNICODE_ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else " "


def _bytes_in(text: str) -> Iterator[bytes]:
    for match in _HEX.finditer(text):
        yield bytes.fromhex("".join(_HEX_PAIR.findall(match[0])))
    for match in _BASE64.finditer(text):
        yield from _base64(match[0].rstrip("="))
    joined = "".join(text.split())
    if joined != text and len(joined) >= 16 and _BASE64.fullmatch(joined):
        yield from _base64(joined.rstrip("="))
    for match in _BASE32.finditer(text):
        body = match[0].rstrip("=").upper()
        with suppress(binascii.Error, ValueError):
            yield base64.b32decode(body + "=" * (-len(body) % 8))
    for match in _BASE85.finditer(text):
        for decode in (base64.b85decode, base64.a85decode):
            with suppress(ValueError):
                yield decode(match[0].encode())
    for match in _CODES.finditer(text):
        yield bytes(code for code in map(int, re.findall(r"\d+", match[0])) if code < 256)
    for match in _BITS.finditer(text):
        bits = "".join(match[0].split())
        yield bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def _base64(token: str) -> Iterator[bytes]:
    """Yield what a token decodes to, also when it begins in the middle of other letters."""
    standard = token.translate(_BASE64_TO_STANDARD)
    for skipped in range(min(4, len(standard))):
        body = standard[skipped:]
        body = body[: len(body) - (len(body) % 4 == 1)]
        with suppress(binascii.Error):
            yield base64.b64decode(body + "=" * (-len(body) % 4))


def turned(text: str) -> Iterator[str]:
    """Yield a text backwards, and with its letters thirteen places on."""
    yield text[::-1]
    yield codecs.encode(text, "rot13")


def _inflate(data: bytes) -> bytes:
    if data[:3] == b"BZh":
        return _bounded(bz2.BZ2Decompressor(), data)
    if data[:6] == b"\xfd7zXZ\x00":
        return _bounded(lzma.LZMADecompressor(memlimit=1 << 26), data)
    # 47 accepts zlib and gzip headers, -15 takes what has none.
    window = 47 if data[:2] == b"\x1f\x8b" or (data[:1] == b"\x78" and len(data) > 6) else -15
    stream = zlib.decompressobj(window)
    try:
        inflated = stream.decompress(data, MAX_BYTES)
    except zlib.error:
        return b""
    if stream.unconsumed_tail:
        raise TooNestedError("the value holds compressed text that is too long")
    # Random bytes may open as deflate for a moment; what was packed ends as it should.
    return inflated if window > 0 or stream.eof else b""


def _bounded(opened: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes) -> bytes:
    try:
        inflated = opened.decompress(data, MAX_BYTES)
    except (OSError, lzma.LZMAError):
        return b""
    if not opened.eof and len(inflated) >= MAX_BYTES:
        raise TooNestedError("the value holds compressed text that is too long")
    return inflated


def _readable(text: str) -> bool:
    """Say whether decoded bytes look like text; nearly all bytes that are no encoding do not."""
    if len(text) < _MIN_READABLE:
        return False
    shown = sum(char.isprintable() or char in "\n\r\t" for char in text)
    return shown * 10 >= len(text) * 9
