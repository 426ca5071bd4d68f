"""A promise is the ledger key's word that an entry will be in the tree by a time; anyone can hold it to that.

Format: a signed note (C2SP signed-note) with one signature, whose text is five lines: "lightwell/promise/v2",
the ledger's origin, a size of 1 to 256, the Base 64 RFC 6962 root over that many leaf hashes, and the time in
whole seconds since the epoch by which all of their entries are integrated. A note of size 1 is a promise by
itself: its root is the leaf hash. For any other size the note stands after a blank line, and before that are
a line "index N", the Base 64 leaf hash of the entry, and one line for each hash of its inclusion proof, as in
C2SP tlog-proof. So one signature serves all entries that became durable together, and each of those who hold
a promise learns of the others only their hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lightwell.wire import base64_strict, decimal_strict, merkle
from lightwell.wire.keys import NoteError, SigningKey, Verifier
from lightwell.wire.merkle import HASH_SIZE, ProofError
from lightwell.wire.note import open_note, sign_note

GROUP_LIMIT: Final = 256
"""Entries that one signature may promise."""

TIME_LIMIT: Final = 2**53
"""Times are below this, so that readers in any language hold them exactly."""

_HEADER = "lightwell/promise/v2"
_INDEX = "index "


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


def make_promises(key: SigningKey, origin: str, leaf_hashes: Sequence[bytes], by: int) -> list[str]:
    """Return for each leaf hash the promise that its entry is in the tree of `origin` at time `by`.

    All share one signature. The entries must be durably queued before any of these texts leaves the process.

    Args:
        key: the ledger's key.
        origin: the ledger's origin.
        leaf_hashes: 1 to 256 hashes of 32 bytes.
        by: seconds since the epoch, below 2^53.

    Raises:
        ValueError: another number of hashes, a hash of another length, an origin that is not one line, or a
            time out of range.
    """
    size = len(leaf_hashes)
    if not 1 <= size <= GROUP_LIMIT:
        raise ValueError(f"a group has 1 to {GROUP_LIMIT} entries, not {size}")
    if any(len(leaf_hash) != HASH_SIZE for leaf_hash in leaf_hashes):
        raise ValueError("leaf hash is not 32 bytes")
    if not origin or "\n" in origin or not 0 <= by < TIME_LIMIT:
        raise ValueError("origin is one line, time is from 0 to below 2^53")
    levels = _levels(leaf_hashes)
    # Each hash is written out once, for however many proofs it is in.
    lines = [[base64_strict.encode(value) + "\n" for value in level] for level in levels]
    note = sign_note(f"{_HEADER}\n{origin}\n{size}\n{lines[-1][0]}{by}\n", key)
    if size == 1:
        return [note]
    return [f"{_INDEX}{index}\n{lines[0][index]}{_proof(lines, index)}\n{note}" for index in range(size)]


def make_promise(key: SigningKey, origin: str, leaf_hash: bytes, by: int) -> str:
    """Return the promise of a single entry; arguments and errors are those of `make_promises`."""
    return make_promises(key, origin, [leaf_hash], by)[0]


def open_promise(text: str, verifier: Verifier) -> Promise:
    """Return the promise in `text`, which `verifier` signed. A promise has exactly one text.

    Raises:
        PromiseError: malformed, not signed by that key, or signed for other entries than this one.
    """
    try:
        place, note = _split(text)
        origin, size, root, by = _read_note(note, verifier)
        index, leaf_hash, *proof = place or (0, root)
        # Holds lengths, index and the number of hashes to the size; a root by itself fits the size 1 only.
        merkle.verify_inclusion(leaf_hash, index, size, proof, root)
    except (NoteError, ProofError) as error:
        raise PromiseError(str(error)) from None
    return Promise(origin, leaf_hash, by)


def claimed_origin(text: str) -> str:
    """Return the origin of the ledger that is said to promise, "" if none is; nothing is verified."""
    note = text.partition("\n\n")[2] if text.startswith(_INDEX) else text
    lines = note.split("\n", 2)
    return lines[1] if len(lines) == 3 else ""


def _levels(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return the hashes of the tree from its leaves to its root; what has no sibling rises as it is."""
    levels = [list(leaf_hashes)]
    while len(below := levels[-1]) > 1:
        level = [merkle.node_hash(left, right) for left, right in zip(below[::2], below[1::2], strict=False)]
        levels.append(level + below[len(level) * 2 :])
    return levels


def _proof(lines: list[list[str]], index: int) -> str:
    """Return the lines of the inclusion proof of one leaf: its sibling at each level where it has one."""
    found = []
    for level in lines[:-1]:
        if (sibling := index ^ 1) < len(level):
            found.append(level[sibling])
        index >>= 1
    return "".join(found)


def _split(text: str) -> tuple[tuple[int, bytes, *tuple[bytes, ...]] | None, str]:
    """Return what stands before the note, if anything: index, leaf hash, inclusion proof; and the note."""
    if not text.startswith(_INDEX):
        return None, text
    head, _, note = text.partition("\n\n")
    first, *hashes = head.split("\n")
    # A leaf and 1 to 8 hashes of its proof: a group of one has no place, a tree of 256 no longer proof.
    if not 2 <= len(hashes) <= 1 + (GROUP_LIMIT - 1).bit_length():
        raise PromiseError("not the place of an entry in a group")
    leaf_hash, *proof = map(_hash, hashes)
    return (_number(first.removeprefix(_INDEX), GROUP_LIMIT), leaf_hash, *proof), note


def _read_note(note: str, verifier: Verifier) -> tuple[str, int, bytes, int]:
    """Return origin, size, root and time of a note that `verifier` and nobody else signed."""
    opened = open_note(note, [verifier])
    # One more line would be another text of the same promise.
    if note.count("\n") != opened.text.count("\n") + 2:
        raise PromiseError("a promise has one signature")
    lines = opened.text.split("\n")
    if len(lines) != 6 or lines[0] != _HEADER or not lines[1]:
        raise PromiseError("not a promise")
    return lines[1], _number(lines[2], GROUP_LIMIT + 1), _hash(lines[3]), _number(lines[4], TIME_LIMIT)


def _number(text: str, limit: int) -> int:
    try:
        number = decimal_strict.decode(text)
    except ValueError as error:
        raise PromiseError(f"promise: {error}") from None
    if number >= limit:
        raise PromiseError("promise: number is out of range")
    return number


def _hash(text: str) -> bytes:
    try:
        return base64_strict.decode(text)
    except ValueError as error:
        raise PromiseError(f"promise: {error}") from None
