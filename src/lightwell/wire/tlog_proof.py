"""Proofs that verify offline (C2SP tlog-proof): where an entry is, the hashes to the root, the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from lightwell.wire import base64_strict, decimal_strict, merkle
from lightwell.wire.checkpoint import CheckpointError, OpenedCheckpoint
from lightwell.wire.keys import NoteError
from lightwell.wire.note import NOTE_LIMIT, split_note
from lightwell.wire.trust import TrustError, TrustPolicy

HEADER = "c2sp.org/tlog-proof@v1"


class TlogProofError(ValueError):
    """The text is no proof, or does not show what it is said to show."""


@dataclass(frozen=True)
class TlogProof:
    """One entry's proof; nothing in it is verified before `verify`."""

    index: int
    """The entry's place in the log, from 0."""
    hashes: tuple[bytes, ...]
    """Inclusion proof: 32 bytes each, from the leaf's sibling up."""
    checkpoint: str
    """The signed note, cosignatures included."""
    extra: bytes | None = None
    """What the application adds; nothing vouches for it."""

    def text(self) -> str:
        """Return the proof as a file's text."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64_strict.encode(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [base64_strict.encode(step) for step in self.hashes]
        return "\n".join([*lines, "", self.checkpoint])

    def verify(self, leaf_hash: bytes, policy: TrustPolicy) -> OpenedCheckpoint:
        """Check that the entry of `leaf_hash` is in a log that `policy` trusts; return its checkpoint.

        Raises:
            TlogProofError: a bad signature, no quorum, or an inclusion proof that leads elsewhere.
        """
        try:
            opened = policy.open(self.checkpoint)
            size, root = opened.checkpoint.size, opened.checkpoint.root
            merkle.verify_inclusion(leaf_hash, self.index, size, self.hashes, root)
        except (NoteError, CheckpointError, TrustError, merkle.ProofError) as error:
            raise TlogProofError(str(error)) from None
        return opened


def parse(text: str) -> TlogProof:
    """Parse a proof; `text` and `TlogProof.text` are exact inverses.

    Raises:
        TlogProofError: malformed.
    """
    if len(text) > 2 * NOTE_LIMIT:
        raise TlogProofError("too long")
    head, blank, note = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER or not blank:
        raise TlogProofError("not a proof")
    extra: bytes | None = None
    try:
        if lines and lines[0].startswith("extra "):
            extra = base64_strict.decode(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise TlogProofError("there is no index line")
        index = decimal_strict.decode(lines.pop(0).removeprefix("index "))
        if len(lines) > merkle.PROOF_LIMIT:
            raise TlogProofError("too many hashes")
        hashes = tuple(base64_strict.decode(line) for line in lines)
        split_note(note)
    except NoteError as error:
        raise TlogProofError(f"checkpoint: {error}") from None
    except ValueError as error:
        raise TlogProofError(str(error)) from None
    if any(len(step) != merkle.HASH_SIZE for step in hashes):
        raise TlogProofError("a hash is not 32 bytes")
    return TlogProof(index, hashes, note, extra)
