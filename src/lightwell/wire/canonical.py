"""One value has one sequence of bytes: JSON by RFC 8785, restricted so that no two readers can differ.

Allowed are objects with string keys, arrays, strings, integers below 2^53 in size, booleans and null.
Floats are refused because their text differs between libraries in practice, whatever RFC 8785 says.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import msgspec

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"

INTEGER_LIMIT = 2**53
"""Integers are smaller than this in size: larger ones are not exact in JavaScript."""

DEPTH_LIMIT = 32
"""Containers nest at most this deep, so that no reader runs out of stack."""

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


class CanonicalError(ValueError):
    """The value cannot be written canonically, or the bytes are not canonical."""


def encode(value: object) -> bytes:
    """Return the canonical UTF-8 bytes of `value` (RFC 8785).

    Args:
        value: dict with str keys, list, tuple, str, int (|n| < 2^53), bool or None, nested to 32.

    Raises:
        CanonicalError: any other type, a large integer, a lone surrogate, too deep.
    """
    plain = _check(value, 0)
    try:
        return _encoder.encode(value) if plain else _write(value)
    except (UnicodeEncodeError, ValueError, TypeError) as error:
        raise CanonicalError(f"not representable: {error}") from None


def decode(data: bytes) -> Json:
    """Return the value that `data` encodes, refusing any bytes `encode` would not have made.

    Raises:
        CanonicalError: not JSON, not canonical, or outside the restricted set.
    """
    try:
        value: Json = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CanonicalError(f"not JSON: {error}") from None
    # Comparing with our own writing refuses duplicate keys, spaces, "-0" and odd escapes in one step.
    if encode(value) != data:
        raise CanonicalError("not in canonical form")
    return value


def digest(value: object) -> str:
    """Return the lower-case hex SHA-256 of the canonical bytes of `value`."""
    return hashlib.sha256(encode(value)).hexdigest()


def _check(value: object, depth: int) -> bool:
    """Refuse what is outside the set; say whether plain key order already is RFC 8785's order."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:  # type: ignore[operator]
            raise CanonicalError("integer of 2^53 or more")
        return True
    if depth >= DEPTH_LIMIT:
        raise CanonicalError(f"nested deeper than {DEPTH_LIMIT}")
    plain = True
    if kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                raise CanonicalError("object key is not a string")
            plain = _check(item, depth + 1) and plain and key.isascii()
        return plain
    if kind is list or kind is tuple:
        for item in value:  # type: ignore[attr-defined]
            plain = _check(item, depth + 1) and plain
        return plain
    raise CanonicalError(f"{kind.__name__} is not allowed")


def _write(value: object) -> bytes:
    """Write a value whose keys are not all ASCII: RFC 8785 orders keys by UTF-16 code units."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        parts = [_encoder.encode(key) + b":" + _write(item) for key, item in pairs]
        return b"{" + b",".join(parts) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b",".join(_write(item) for item in value) + b"]"
    return _encoder.encode(value)
