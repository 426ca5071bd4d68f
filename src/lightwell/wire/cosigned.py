"""The exact bytes that a cosigner signs (C2SP tlog-cosignature), for either of its two signature types."""

from __future__ import annotations

from lightwell.wire import base64_strict, decimal_strict

_LABEL = b"subtree/v1\n\0"


class CosignedError(ValueError):
    """The text or numbers are such that no cosigner can sign them."""


def checkpoint_message(text: str, timestamp: int) -> bytes:
    """Return what an Ed25519 cosignature (type 0x04) signs.

    Args:
        text: the checkpoint's note text, its final newline included.
        timestamp: seconds since the epoch.
    """
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def subtree_message(cosigner: str, text: str, timestamp: int) -> bytes:
    """Return what an ML-DSA-44 cosignature (type 0x06) of a whole checkpoint signs.

    The structure `cosigned_message`: label, cosigner, time, origin, start 0, end, root. Extension lines of
    the checkpoint are not in it.

    Args:
        cosigner: the cosigner's key name.
        text: the checkpoint's note text.
        timestamp: seconds since the epoch.

    Raises:
        CosignedError: the text is no checkpoint's, or a name is empty or over 255 bytes.
    """
    lines = text.split("\n")
    if len(lines) < 4:
        raise CosignedError("not the text of a checkpoint")
    try:
        size, root = decimal_strict.decode(lines[1]), base64_strict.decode(lines[2])
    except ValueError:
        raise CosignedError("not the text of a checkpoint") from None
    if len(root) != 32:
        raise CosignedError("a root is 32 bytes")
    return b"".join(
        (
            _LABEL,
            _short(cosigner),
            timestamp.to_bytes(8, "big"),
            _short(lines[0]),
            bytes(8),
            size.to_bytes(8, "big"),
            root,
        )
    )


def _short(text: str) -> bytes:
    """Return `text` with its length before it in one byte (RFC 8446, section 3.4)."""
    raw = text.encode()
    if not 1 <= len(raw) <= 255:
        raise CosignedError("a name has 1 to 255 bytes")
    return bytes([len(raw)]) + raw
