"""Every text that hides inside a value, through nested encodings, within fixed limits of work."""

import base64
import binascii
import json
import re
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_DEPTH: Final = 6
MAX_PIECES: Final = 400
MAX_BYTES: Final = 1 << 20

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")
_BASE64_TO_STANDARD: Final = str.maketrans("-_", "+/")
# Letters of other scripts that are drawn like Latin ones (the confusables that matter for names and mail).
_LOOK_ALIKES: Final = str.maketrans(
    "аасԁеһіјӏкмпорԛгѕтиѵԝхуαβεηικνορτυχωϲϳıɑɡ",
    "aacdehijlkmnopqrstuvwxyabenikvoptuxwcjiag",
)
_INVISIBLE: Final = frozenset({"Cf", "Cc", "Mn", "Me"})


class TooNestedError(ValueError):
    """A value holds more, or deeper, encoded text than is looked through; that alone refuses it."""


def plain(text: str) -> str:
    """Return `text` without disguises of letters: one width, one case, Latin, nothing invisible."""
    folded = unicodedata.normalize("NFKD", text).casefold().translate(_LOOK_ALIKES)
    return "".join(char for char in folded if char in "\n\t" or unicodedata.category(char) not in _INVISIBLE)


def unfold(value: str | bytes) -> Iterator[str]:
    """Yield `value` as text, and every text that it encodes, each once.

    Looked through are JSON, percent-encoding, base 64 (both alphabets), hex, gzip, zlib and UTF-16, one
    in another.

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
            inner: Iterator[str | bytes] = _from_bytes(piece)
        else:
            yield piece
            inner = _from_text(piece)
        for found in inner:
            if depth == MAX_DEPTH:
                raise TooNestedError("the value holds too deeply encoded text")
            waiting.append((found, depth + 1))


def _from_bytes(data: bytes) -> Iterator[str | bytes]:
    if data[:2] == b"\x1f\x8b" or (data[:1] == b"\x78" and len(data) > 6):
        inflated = _inflate(data)
        if inflated:
            yield inflated
    if len(data) >= 4 and data.count(0) * 3 >= len(data):
        for codec in ("utf-16-le", "utf-16-be"):
            text = data.decode(codec, "ignore")
            if _readable(text):
                yield text
    text = data.decode("utf-8", "ignore")
    if _readable(text):
        yield text


def _from_text(text: str) -> Iterator[str | bytes]:
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        with suppress(ValueError, RecursionError):
            yield from strings(json.loads(stripped))
    if "%" in text:
        raw = unquote_to_bytes(text)
        if raw != text.encode("utf-8", "replace"):
            yield raw
    for match in _HEX.finditer(text):
        yield bytes.fromhex(match[0])
    for match in _BASE64.finditer(text):
        body = match[0].rstrip("=").translate(_BASE64_TO_STANDARD)
        body = body[: len(body) - (len(body) % 4 == 1)]
        try:
            yield base64.b64decode(body + "=" * (-len(body) % 4))
        except binascii.Error:
            continue


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


def _inflate(data: bytes) -> bytes:
    # 47 accepts both zlib and gzip headers.
    stream = zlib.decompressobj(47)
    try:
        inflated = stream.decompress(data, MAX_BYTES)
    except zlib.error:
        return b""
    if stream.unconsumed_tail:
        raise TooNestedError("the value holds compressed text that is too long")
    return inflated


def _readable(text: str) -> bool:
    """Say whether decoded bytes look like text; nearly all bytes that are no encoding do not."""
    if len(text) < 5:
        return False
    shown = sum(char.isprintable() or char in "\n\r\t" for char in text)
    return shown * 10 >= len(text) * 9
