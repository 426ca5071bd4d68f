"""A commitment hides what it covers until opened, and opens to one content only.

HMAC-SHA256 keyed by a fresh random opening, so that guessing what is inside is useless, and labelled by
kind, so that a commitment to one thing can never be passed off as one to another.
"""

from __future__ import annotations

import hashlib
import hmac
import re

OPENING_SIZE = 16
"""Openings are at least this many bytes (128 bits), fresh from the system's generator for each use."""

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")


def commit(kind: str, opening: bytes, *digests: bytes) -> bytes:
    """Return the 32-byte commitment to `digests` under `opening`.

    HMAC-SHA256(opening, "lightwell/" + kind + "/v1\\n" + the digests one after another).

    Args:
        kind: what is committed to, such as "slate": a lower-case word.
        opening: at least 16 random bytes, never used twice.
        digests: one or more 32-byte SHA-256 digests.

    Raises:
        ValueError: a short opening, no digest, a digest of another length, or a bad kind.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError("kind is a lower-case word")
    if len(opening) < OPENING_SIZE:
        raise ValueError(f"an opening has at least {OPENING_SIZE} bytes")
    if not digests or any(len(digest) != hashlib.sha256().digest_size for digest in digests):
        raise ValueError("a commitment covers one or more 32-byte digests")
    message = b"lightwell/" + kind.encode("ascii") + b"/v1\n" + b"".join(digests)
    return hmac.digest(opening, message, "sha256")


def opens(commitment: bytes, kind: str, opening: bytes, *digests: bytes) -> bool:
    """Say whether `opening` opens `commitment` to `digests`; malformed input is simply False."""
    try:
        expected = commit(kind, opening, *digests)
    except ValueError:
        return False
    return hmac.compare_digest(expected, commitment)
