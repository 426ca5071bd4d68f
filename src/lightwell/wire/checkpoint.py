"""Checkpoints (C2SP tlog-checkpoint): what a log says its tree is, as text that can be signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightwell.wire import base64_strict, decimal_strict
from lightwell.wire.keys import COSIGNATURE, NoteError, SigningKey, Verifier
from lightwell.wire.merkle import EMPTY_ROOT, HASH_SIZE, SIZE_LIMIT
from lightwell.wire.note import OpenedNote, open_note, sign_note


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
    try:
        size = decimal_strict.decode(size_text)
    except ValueError as error:
        raise CheckpointError(f"tree size: {error}") from None
    try:
        root = base64_strict.decode(root_text)
    except ValueError as error:
        raise CheckpointError(f"root: {error}") from None
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    checkpoint.text()
    return checkpoint


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the signed note of a checkpoint. Only a log's sequencer may call this."""
    return sign_note(checkpoint.text(), key)


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint its log has signed, with the note it came in."""

    checkpoint: Checkpoint
    note: OpenedNote
    log: Verifier
    """The key of the log, by which it was opened."""

    def cosigned_by(self) -> dict[str, int]:
        """Return the known witnesses that cosigned: name to seconds since the epoch."""
        signatures = (s for s in self.note.signatures if s.verifier != self.log)
        return {s.name: s.timestamp for s in signatures if s.timestamp is not None}


def open_checkpoint(
    note: str, log: Verifier, witnesses: Sequence[Verifier] = (), origin: str | None = None
) -> OpenedCheckpoint:
    """Open a checkpoint that `log` signed; a witness's word never stands in for the log's.

    Args:
        note: the signed note, as served at `checkpoint`.
        log: the log's key, of type 0x01 or 0x06.
        witnesses: cosigners' keys to look for; a bad signature of any refuses the whole.
        origin: the origin that is wanted; any if None.

    Raises:
        NoteError: malformed, a bad signature, or not signed by the log.
        CheckpointError: signed, but no checkpoint, or of another origin.
    """
    opened = open_note(note, [log, *witnesses])
    # A plain Ed25519 cosigner does not say in whose name it signs, so it is never a log's key.
    if log.algorithm == COSIGNATURE or not any(s.verifier == log for s in opened.signatures):
        raise NoteError("the log has not signed this checkpoint")
    checkpoint = parse(opened.text)
    if origin is not None and checkpoint.origin != origin:
        raise CheckpointError("checkpoint is of another log")
    return OpenedCheckpoint(checkpoint, opened, log)
