"""A promise is the ledger key's word that an entry will be in the tree by a time; anyone can hold it to that.

Format: a signed note whose text is four lines: "lightwell/promise/v1", the ledger's origin, the Base 64
leaf hash, and the time in whole seconds since the epoch by which the entry is integrated.
"""

from __future__ import annotations

from dataclasses import dataclass

from lightwell.wire import base64_strict, decimal_strict
from lightwell.wire.keys import NoteError, SigningKey, Verifier
from lightwell.wire.merkle import HASH_SIZE
from lightwell.wire.note import open_note, sign_note

_HEADER = "lightwell/promise/v1"


class PromiseError(ValueError):
    """The promise is malformed or not signed by the key it should be."""


@dataclass(frozen=True)
class Promise:
    """What the ledger's key promised."""

    origin: str
    leaf_hash: bytes
    """32 bytes: RFC 6962 hash of the entry."""
    by: int
    """Seconds since the epoch."""


def make_promise(key: SigningKey, origin: str, leaf_hash: bytes, by: int) -> str:
    """Return the signed promise that the entry of `leaf_hash` is in the tree of `origin` at time `by`.

    The entry must be durably queued before this text leaves the process.

    Raises:
        ValueError: a hash that is not 32 bytes, or an origin that is not one line.
    """
    if len(leaf_hash) != HASH_SIZE:
        raise ValueError("leaf hash is not 32 bytes")
    if not origin or "\n" in origin or by < 0:
        raise ValueError("origin is one line, time is not negative")
    return sign_note(f"{_HEADER}\n{origin}\n{base64_strict.encode(leaf_hash)}\n{by}\n", key)


def open_promise(text: str, verifier: Verifier) -> Promise:
    """Return the promise in `text`, which `verifier` signed.

    Raises:
        PromiseError: malformed, or not signed by that key.
    """
    try:
        lines = open_note(text, [verifier]).text.split("\n")
        if len(lines) != 5 or lines[0] != _HEADER or not lines[1] or lines[4]:
            raise PromiseError("not a promise")
        leaf_hash = base64_strict.decode(lines[2])
        by = decimal_strict.decode(lines[3])
    except NoteError as error:
        raise PromiseError(str(error)) from None
    except ValueError as error:
        raise PromiseError(f"promise: {error}") from None
    if len(leaf_hash) != HASH_SIZE:
        raise PromiseError("leaf hash is not 32 bytes")
    return Promise(lines[1], leaf_hash, by)
