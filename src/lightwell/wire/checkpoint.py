"""Checkpoints (C2SP tlog-checkpoint): what a log says its tree is, as text that can be signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightwell.wire import base64_strict
from lightwell.wire.merkle import EMPTY_ROOT, HASH_SIZE, SIZE_LIMIT
from lightwell.wire.note import ED25519, NoteError, OpenedNote, SigningKey, Verifier, open_note, sign_note


class CheckpointError(ValueError):
    """The text is no checkpoint, or not one of the log it should be of."""


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the log's name, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes
    """32 bytes."""
    extensions: tuple[str, ...] = ()
    """Lines we never write; those of others are kept so that the text stays the same."""

    def text(self) -> str:
        """Return the note text: origin, size, Base 64 root, a line each.

        Raises:
            CheckpointError: a part that cannot be written.
        """
        if not self.origin or "\n" in self.origin:
            raise CheckpointError("origin is one line that is not empty")
        if not 0 <= self.size < SIZE_LIMIT:
            raise CheckpointError("tree size is out of range")
        if len(self.root) != HASH_SIZE:
            raise CheckpointError("root is not 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("the empty tree has another root")
        lines = (self.origin, str(self.size), base64_strict.encode(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> Checkpoint:
    """Parse the note text of a checkpoint.

    Raises:
        CheckpointError: malformed in any way, so that parse and `text` are exact inverses.
    """
    if not text.endswith("\n"):
        raise CheckpointError("checkpoint text ends in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise CheckpointError("a checkpoint has three or more lines, none empty")
    origin, size_text, root_text, *extensions = lines
    size = parse_decimal(size_text)
    try:
        root = base64_strict.decode(root_text)
    except ValueError as error:
        raise CheckpointError(f"root: {error}") from None
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    checkpoint.text()
    return checkpoint


def parse_decimal(text: str) -> int:
    """Return the number of ASCII decimal `text` below 2^63 without sign or leading zeroes.

    Raises:
        CheckpointError: anything else.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 19 or (text[0] == "0" and text != "0"):
        raise CheckpointError("not a decimal number")
    number = int(text)
    if number >= SIZE_LIMIT:
        raise CheckpointError("number is out of range")
    return number


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the signed note of a checkpoint. Only a log's sequencer may call this."""
    return sign_note(checkpoint.text(), key)


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint its log has signed, with the note it came in."""

    checkpoint: Checkpoint
    note: OpenedNote

    def cosigned_by(self) -> dict[str, int]:
        """Return the known witnesses that cosigned: name to seconds since the epoch."""
        return {s.name: s.timestamp for s in self.note.signatures if s.timestamp is not None}


def open_checkpoint(
    note: str, log: Verifier, witnesses: Sequence[Verifier] = (), origin: str | None = None
) -> OpenedCheckpoint:
    """Open a checkpoint that `log` signed; a witness's word never stands in for the log's.

    Args:
        note: the signed note, as served at `checkpoint`.
        log: the log's key, of type 0x01.
        witnesses: cosigners' keys to look for; a bad signature of any refuses the whole.
        origin: the origin that is wanted; any if None.

    Raises:
        NoteError: malformed, a bad signature, or not signed by the log.
        CheckpointError: signed, but no checkpoint, or of another origin.
    """
    opened = open_note(note, [log, *witnesses])
    if not any(s.verifier == log and log.algorithm == ED25519 for s in opened.signatures):
        raise NoteError("the log has not signed this checkpoint")
    checkpoint = parse(opened.text)
    if origin is not None and checkpoint.origin != origin:
        raise CheckpointError("checkpoint is of another log")
    return OpenedCheckpoint(checkpoint, opened)
