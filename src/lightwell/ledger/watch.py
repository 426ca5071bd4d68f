"""Follows a ledger from outside: each checkpoint taken is signed, has its quorum and extends the last.

The last one is kept in a file, as the signed note itself, so that whoever watches again tomorrow holds the
ledger to what it said today. A checkpoint that breaks its word is kept beside it as evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lightwell.ledger.download import UnreadableError
from lightwell.ledger.durable_file import save
from lightwell.ledger.reader import Ledger
from lightwell.ledger.signed_tree import SignedTree, TreeError
from lightwell.wire import merkle, trust
from lightwell.wire.checkpoint import Checkpoint, CheckpointError, OpenedCheckpoint
from lightwell.wire.keys import NoteError
from lightwell.wire.note import NOTE_LIMIT
from lightwell.wire.tiles import CHECKPOINT_PATH, WIDTH
from lightwell.wire.trust import TrustError, TrustPolicy


class BrokenWordError(ValueError):
    """The ledger showed what it must not; `evidence` is the file that holds its note."""

    def __init__(self, why: str, evidence: Path) -> None:
        super().__init__(why)
        self.evidence = evidence


class StateError(ValueError):
    """The state file holds no checkpoint of a log that the policy names."""


@dataclass(frozen=True)
class Seen:
    """A checkpoint that was taken."""

    opened: OpenedCheckpoint
    before: Checkpoint | None
    """The one it was shown to extend; None if it is the first."""

    @property
    def grown(self) -> int:
        """Entries since the one before; 0 for the first."""
        return self.opened.checkpoint.size - self.before.size if self.before else 0


class Watcher:
    """Watches one ledger; one thread at a time may use it.

    Args:
        ledger: where it is read.
        policy: whose checkpoints they must be, and who must have cosigned them.
        state: the file that keeps the last checkpoint; made with the first.

    Raises:
        StateError: it is there and not the signed checkpoint of a known log, or it could not be made.
    """

    def __init__(self, ledger: Ledger, policy: TrustPolicy, state: Path) -> None:
        self._ledger = ledger
        self._policy = policy
        self._state = state
        self._note = b""
        self._last: Checkpoint | None = None
        if not state.parent.is_dir():
            raise StateError(f"{state.parent} is no folder")
        if state.exists():
            self._load()

    def look(
        self,
        on_seen: Callable[[Seen], None],
        on_entry: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """Read the ledger once, and keep its checkpoint if it holds.

        Args:
            on_seen: told the checkpoint, once it is shown to hold and before its entries.
            on_entry: told index and bytes of each entry since the one before, each held to the tree; of the
                first checkpoint none.

        Raises:
            BrokenWordError: it is not signed or cosigned as it must be, is smaller than the last one or
                forks from it, or the files do not make its tree. The state stays as it was.
            UnreadableError: nothing answers, or a file is missing.
        """
        note = self._ledger.read(CHECKPOINT_PATH)
        if note is None:
            raise UnreadableError(f"{self._ledger.where}: there is no checkpoint")
        try:
            opened = self._policy.open(note.decode())
        except (NoteError, CheckpointError, TrustError, UnicodeDecodeError) as error:
            raise self._broken(note, str(error)) from None
        try:
            tree = self._extend(note, opened.checkpoint)
            on_seen(Seen(opened, self._last))
            if on_entry is not None and self._last is not None:
                _tell(tree, self._last.size, on_entry)
        except TreeError as error:
            raise self._broken(note, str(error)) from None
        if note != self._note:
            save(self._state, note)
        self._note, self._last = note, opened.checkpoint

    def _extend(self, note: bytes, new: Checkpoint) -> SignedTree:
        """Show that the tree of `new` extends that of the last checkpoint."""
        tree = SignedTree(self._ledger.read, new)
        old = self._last
        if old is None:
            tree.check()
            return tree
        if new.origin != old.origin:
            raise self._broken(note, f"it is of {new.origin}, the last one was of {old.origin}")
        if new.size < old.size:
            raise self._broken(note, f"rolled back: its size is {new.size}, that of the last one {old.size}")
        if new.size == old.size:
            if new.root != old.root:
                raise self._broken(
                    note, f"forked: another root than the last one, of the same size {old.size}"
                )
            return tree
        if old.size == 0:
            tree.check()
            return tree
        proof = merkle.consistency_proof(tree.node, old.size, new.size)
        try:
            merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)
        except merkle.ProofError:
            why = f"forked: the first {old.size} of its {new.size} entries are not those of the last one"
            raise self._broken(note, why) from None
        return tree

    def _load(self) -> None:
        with self._state.open("rb") as file:
            note = file.read(NOTE_LIMIT + 1)
        # What was taken under an older policy stands: only the log itself must have signed it.
        known = TrustPolicy(trust.NO_QUORUM, self._policy.logs)
        try:
            self._last = known.open(note.decode()).checkpoint
        except (NoteError, CheckpointError, TrustError, UnicodeDecodeError) as error:
            raise StateError(f"{self._state}: {error}") from None
        self._note = note

    def _broken(self, note: bytes, why: str) -> BrokenWordError:
        # Named by its content, so that the same note seen again is not kept again.
        name = f"{self._state.name}.evidence-{hashlib.sha256(note).hexdigest()[:16]}"
        evidence = self._state.with_name(name)
        save(evidence, note)
        return BrokenWordError(why, evidence)


def _tell(tree: SignedTree, first: int, on_entry: Callable[[int, bytes], None]) -> None:
    for index in range(first // WIDTH, -(-tree.checkpoint.size // WIDTH)):
        for at, entry in enumerate(tree.bundle(index), index * WIDTH):
            if at >= first:
                on_entry(at, entry)
