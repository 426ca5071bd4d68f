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
from itertools import islice
from typing import Final
from urllib.parse import unquote_to_bytes

import numpy as np

from lightwell.residency.folding import fold
from lightwell.residency.spotting import ENCODED, ESCAPED, spot_rows

MAX_DEPTH: Final = 6
MAX_PIECES: Final = 400
MAX_BYTES: Final = 1 << 20
_MIN_READABLE: Final = 5

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{10,}={0,2}")
_BASE32: Final = re.compile(r"(?:[A-Z2-7]{12,}|[a-z2-7]{12,})={0,6}")
_BASE85: Final = re.compile(r"[!-~]{10,}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}[\s:,._-]?|\\x[0-9a-fA-F]{2}|0[xX][0-9a-fA-F]{2}[\s,]*){6,}")
_HEX_PAIR: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{2})")
_CODES: Final = re.compile(r"(?<!\d)(?:\d{2,3}[\s,;./:|-]+){5,}\d{2,3}(?!\d)")
_BITS: Final = re.compile(r"(?:[01]{8}\s*){5,}")
# Between the letters of base 64: whatever is none, or also its marks for addresses.
_BETWEEN: Final = (re.compile(r"[^A-Za-z0-9+/_-]+"), re.compile(r"[^A-Za-z0-9+/]+"))
_HEX_SIGN: Final = re.compile(r"\\x|0[xX]")
_HEX_DIGITS: Final = re.compile(r"[0-9a-fA-F](?:[^\w]|_|[0-9a-fA-F]){12,}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/_-]{4,}")
_MAX_TOKENS: Final = 40
_READABLE: Final = re.compile(
    rb"(?:[\0\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}){7,}"
)
_PACKED: Final = re.compile(rb"\x1f\x8b\x08|BZh[1-9]|\xfd7zXZ|\x78[\x01\x5e\x9c\xda]")
_OTHERS: Final = re.compile(r"[\u2020-\u7e7e]{3,}")
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
    yield from seen_as_others(text)
    if not text.isascii():
        yield fold(text)
    spots = spotted(text)
    if spots & ESCAPED:
        yield from unescaped(text)
    if spots & ENCODED:
        for data in _bytes_in(text):
            for found in texts_in(data):
                if found != text:
                    yield found


def seen_as_others(text: str) -> Iterator[str]:
    """Yield the ASCII text that stands behind characters of other scripts, two letters in each."""
    if text.isascii():
        return
    for codec in ("utf-16-le", "utf-16-be"):
        for match in _OTHERS.finditer(text):
            raw = match[0].encode(codec, "ignore")
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
    for order in (text, text[::-1]):
        yield from _squeezed(order)
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


def _squeezed(text: str) -> Iterator[bytes]:
    """Yield what is readable or packed in base 64 and hex, whatever stands between their letters."""
    for between in _BETWEEN:
        letters = between.sub("", text)
        for data in _base64(letters):
            yield from _stretches(data)
    for digits in _HEX_DIGITS.findall(_HEX_SIGN.sub("", text)):
        letters = re.sub(r"\W|_", "", digits)
        for skipped in range(2):
            whole = letters[skipped : len(letters) - (len(letters) - skipped) % 2]
            yield from _stretches(bytes.fromhex(whole))
    # Plain deflate has no sign of its own: it is tried from the beginning of each token on.
    for match in islice(_TOKEN.finditer(text), _MAX_TOKENS):
        yield from islice(_base64(_BETWEEN[0].sub("", text[match.start() :])), 1)


def _stretches(data: bytes) -> Iterator[bytes]:
    for match in _READABLE.finditer(data):
        yield match[0].replace(b"\0", b"")
    for match in _PACKED.finditer(data):
        yield data[match.start() :]


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


def spotted(text: str, *, lone: bool = False) -> int:
    """Say of one text, or of one id or digest, what may be hidden in it, as `spot_rows` does."""
    data = text.encode("utf-8", "replace")
    found = np.zeros(1, np.uint8)
    kind = np.array([lone], np.uint8)
    offsets = np.array([0, len(data) + 1], np.int64)
    spot_rows(np.frombuffer(data, np.uint8), offsets, np.array([0, 1], np.int64), kind, found)
    return int(found[0])
