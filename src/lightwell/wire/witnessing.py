"""The body of a witness's `add-checkpoint` request (C2SP tlog-witness), written and read in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightwell.wire import base64_strict, decimal_strict
from lightwell.wire.merkle import HASH_SIZE
from lightwell.wire.note import NOTE_LIMIT

PROOF_LINES_LIMIT = 63
"""Proof lines in one request (C2SP tlog-witness)."""

SIZE_CONTENT_TYPE = "text/x.tlog.size"
"""Content type of a 409 answer, whose body is the size the witness last cosigned and a newline."""


class RequestError(ValueError):
    """The body is not an add-checkpoint request; the witness answers 400."""


@dataclass(frozen=True)
class AddCheckpoint:
    """A log's request that a witness cosign its checkpoint."""

    old_size: int
    """Size of the checkpoint of this log the witness last cosigned, 0 if none."""
    proof: tuple[bytes, ...]
    """Consistency proof from `old_size`: 32-byte hashes, none if the old size is 0."""
    note: str
    """The signed checkpoint."""


def encode_request(old_size: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the request body: `old N`, a Base 64 line a hash, a blank line, the signed checkpoint."""
    lines = "".join(f"{base64_strict.encode(step)}\n" for step in proof)
    return f"old {old_size}\n{lines}\n{note}".encode()


def parse_request(body: bytes) -> AddCheckpoint:
    """Parse a request body; nothing in it is verified yet.

    Raises:
        RequestError: malformed in any way.
    """
    if len(body) > NOTE_LIMIT:
        raise RequestError("request is too long")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise RequestError("request is not UTF-8") from None
    head, blank, note = text.partition("\n\n")
    first, *steps = head.split("\n")
    if not blank or not first.startswith("old "):
        raise RequestError("a request is an old size line, proof lines, a blank line and a checkpoint")
    if len(steps) > PROOF_LINES_LIMIT:
        raise RequestError("too many proof lines")
    try:
        old_size = decimal_strict.decode(first.removeprefix("old "))
    except ValueError:
        raise RequestError("old size is not a decimal number") from None
    try:
        proof = tuple(base64_strict.decode(step) for step in steps)
    except ValueError as error:
        raise RequestError(f"proof line: {error}") from None
    if any(len(step) != HASH_SIZE for step in proof):
        raise RequestError("a proof line is not a 32-byte hash")
    return AddCheckpoint(old_size, proof, note)
