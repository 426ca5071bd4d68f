"""Base 64 (RFC 4648, section 4) in which each sequence of bytes has exactly one text."""

from __future__ import annotations

import base64
import binascii


def encode(data: bytes) -> str:
    """Return the padded standard Base 64 text of `data`."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes of `text`.

    Raises:
        ValueError: bad alphabet, missing padding, or spare bits that are not zero. Python's own decoder
            lets the last pass, so a flipped bit could go unseen.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not Base 64") from None
    if encode(data) != text:
        raise ValueError("not the one Base 64 text of these bytes")
    return data
