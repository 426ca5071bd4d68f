"""A receipt made from a ledger's checkpoint and tiles alone, and verified before anyone gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightwell.ledger.download import UnreadableError
from lightwell.ledger.reader import Ledger
from lightwell.ledger.signed_tree import SignedTree, TreeError, read_tile
from lightwell.wire import merkle, tiles, tlog_proof
from lightwell.wire.checkpoint import CheckpointError, OpenedCheckpoint
from lightwell.wire.keys import NoteError
from lightwell.wire.receipt import Receipt
from lightwell.wire.tiles import WIDTH
from lightwell.wire.tlog_proof import TlogProof
from lightwell.wire.trust import TrustError, TrustPolicy

Told = Callable[[int, int], None]
"""Told how many files are read, of how many."""


class AbsentError(LookupError):
    """The ledger holds together, and has no such entry."""


class UntrustedError(ValueError):
    """The checkpoint is not one that the policy accepts."""


@dataclass(frozen=True)
class Proven:
    """An entry that is in the ledger, and the text that shows it."""

    opened: OpenedCheckpoint
    index: int
    entry: bytes
    text: str
    """A receipt; a plain `tlog-proof` if the entry is not text, so that no receipt can carry it."""


def open_trusted(ledger: Ledger, policy: TrustPolicy) -> tuple[str, OpenedCheckpoint]:
    """Return the ledger's newest checkpoint, as a note and opened.

    Raises:
        UnreadableError: there is none, or nothing answers.
        UntrustedError: the policy does not accept it.
    """
    data = ledger.read(tiles.CHECKPOINT_PATH)
    if data is None:
        raise UnreadableError(f"{ledger.where}: there is no checkpoint")
    try:
        note = data.decode()
        return note, policy.open(note)
    except (NoteError, CheckpointError, TrustError, UnicodeDecodeError) as error:
        raise UntrustedError(f"checkpoint: {error}") from None


def prove_index(ledger: Ledger, policy: TrustPolicy, index: int) -> Proven:
    """Prove that entry `index` is in the ledger, in O(log size) reads.

    Raises:
        AbsentError: the ledger has fewer entries.
        UntrustedError: the checkpoint is not one that the policy accepts.
        TreeError: the ledger's files do not lead to the checkpoint.
        UnreadableError: a file is missing, or nothing answers.
    """
    note, opened = open_trusted(ledger, policy)
    size = opened.checkpoint.size
    if not 0 <= index < size:
        raise AbsentError(f"there is no entry {index}: the ledger has {size}")
    return _prove(SignedTree(ledger.read, opened.checkpoint), policy, note, opened, index)


def prove_leaf(
    ledger: Ledger, policy: TrustPolicy, leaf_hash: bytes, on_progress: Told | None = None
) -> Proven:
    """Prove that an entry of this leaf hash (32 bytes) is in the ledger.

    Where it is, the ledger may say; if it does not, or is wrong, the leaf tiles are searched from the newest
    back, which reads 32 bytes an entry.

    Raises:
        AbsentError: no leaf tile has this hash. These are not held to the checkpoint before it is found.
        UntrustedError, TreeError, UnreadableError: as `prove_index`.
    """
    note, opened = open_trusted(ledger, policy)
    hinted = ledger.hint(leaf_hash)
    if hinted is not None and hinted >= opened.checkpoint.size:
        # It may have been published since the checkpoint was read.
        note, opened = open_trusted(ledger, policy)
    tree = SignedTree(ledger.read, opened.checkpoint)
    size = opened.checkpoint.size
    if hinted is not None and hinted < size and tree.node(0, hinted) == leaf_hash:
        return _prove(tree, policy, note, opened, hinted)
    found = _search(ledger, size, leaf_hash, on_progress or (lambda *_: None))
    if found is None:
        raise AbsentError(f"none of the ledger's {size} entries has the leaf hash {leaf_hash.hex()}")
    if tree.node(0, found) != leaf_hash:
        raise TreeError(f"{tiles.tile_path(0, found // WIDTH)}: changed while it was read")
    return _prove(tree, policy, note, opened, found)


def _prove(tree: SignedTree, policy: TrustPolicy, note: str, opened: OpenedCheckpoint, index: int) -> Proven:
    entry = tree.bundle(index // WIDTH)[index % WIDTH]
    proof = TlogProof(index, tuple(merkle.inclusion_proof(tree.node, index, opened.checkpoint.size)), note)
    try:
        entry.decode()
        text = Receipt(proof, entry, None).text()
    except UnicodeDecodeError:
        text = proof.text()
    # What is given out is what was verified: the text, as its reader will read it.
    tlog_proof.parse(text).verify(merkle.leaf_hash(entry), policy)
    return Proven(opened, index, entry, text)


def _search(ledger: Ledger, size: int, leaf_hash: bytes, on_progress: Told) -> int | None:
    count = -(-size // WIDTH)
    newest_first = range(count - 1, -1, -1)
    paths = (tiles.tile_path(0, at, tiles.width_at(0, at, size)) for at in newest_first)
    with ledger.reading(paths) as read:
        for done, at in enumerate(newest_first, 1):
            hashes = read_tile(read, 0, at, tiles.width_at(0, at, size))
            if leaf_hash in hashes:
                return at * WIDTH + hashes.index(leaf_hash)
            on_progress(done, count)
    return None
