"""Every file of a ledger held to the signed root and to its entries: the one that is wrong is named.

From the top each tile must lead to the hash that the tile above has for it, and the unfinished tiles to the
signed root; from below each leaf tile must be that of its bundle. A file is blamed where those two ways
first part. Where the way from the top is broken itself, what the entries say decides. Files are read in the
order of `reading_order`, each once, and no more than one bundle and a tile a level are held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lightwell.ledger.signed_tree import (
    MissingError,
    TreeError,
    edges,
    read_bundle,
    read_tile,
    root_of_edges,
)
from lightwell.wire import merkle, tiles
from lightwell.wire.audit import Read
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.tiles import WIDTH

Hashes = list[bytes] | None
"""The hashes of a tile, None if it cannot be known what they are."""


class EnoughError(Exception):
    """So many problems were found that no more are looked for."""


def reading_order(size: int) -> Iterator[str]:
    """Return the path of every file of a tree of `size` in the order in which `check_tree` reads them."""
    unfinished = edges(size)
    for level, index, width in unfinished:
        yield tiles.tile_path(level, index, width)
    for level, index, width in reversed(unfinished):
        yield from _below(level, index, width)


def _below(level: int, index: int, width: int) -> Iterator[str]:
    if level == 0:
        yield tiles.bundle_path(index, width)
        return
    for child in range(index * WIDTH, index * WIDTH + width):
        yield tiles.tile_path(level - 1, child)
        yield from _below(level - 1, child, WIDTH)


def check_tree(
    read: Read,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    on_entry: Callable[[int, bytes], None],
    on_bundle: Callable[[int], None],
) -> None:
    """Check every file that a checkpoint covers.

    Args:
        read: reads a file of the ledger by its path.
        checkpoint: opened; its signatures are the caller's to check.
        report: told each problem, a line that begins with the file's path; may raise `EnoughError`.
        on_entry: told each entry's index and bytes, in order, those of unreadable bundles left out.
        on_bundle: told after each bundle how many entries are done.

    Raises:
        UnreadableError: a file cannot be read, and it is not known whether it is there.
        EnoughError: from `report`.
    """
    _Check(read, checkpoint, report, on_entry, on_bundle).run()


class _Check:
    def __init__(
        self,
        read: Read,
        checkpoint: Checkpoint,
        report: Callable[[str], None],
        on_entry: Callable[[int, bytes], None],
        on_bundle: Callable[[int], None],
    ) -> None:
        self.read, self.checkpoint = read, checkpoint
        self.report, self.on_entry, self.on_bundle = report, on_entry, on_bundle

    def run(self) -> None:
        size, root = self.checkpoint.size, self.checkpoint.root
        unfinished = edges(size)
        stored = {level: self._tile(level, index, width) for level, index, width in unfinished}
        vouched = _root(stored, size) == root
        made: dict[int, Hashes] = {}
        leaves: Hashes = None
        for level, index, width in reversed(unfinished):
            hashes = stored[level]
            if level:
                made[level] = self._children(level, index, width, hashes, vouched)
            else:
                leaves = made[0] = self._bundle(index, width)
        if vouched:
            # What is below a vouched tile was blamed there, but for the entries of the last bundle.
            self._compare_last(stored, leaves)
            return
        self._settle(stored, made)

    def _settle(self, stored: dict[int, Hashes], made: dict[int, Hashes]) -> None:
        """Say which unfinished tile is wrong when together they do not make the signed root."""
        size, root = self.checkpoint.size, self.checkpoint.root
        best = {level: stored[level] if made[level] is None else made[level] for level in made}
        by_tile = {**best, 0: stored[0]} if 0 in stored else best
        if _root(best, size) != root and _root(by_tile, size) == root:
            # All is well if the last leaf tile is right, so that its bundle is what is wrong.
            self._compare_last(stored, made[0])
            best = by_tile
        for level, index, width in edges(size):
            if stored[level] is not None and best[level] != stored[level]:
                self._wrong_tile(level, index, width)
            elif stored[level] is not None and made[level] is None and _root(best, size) != root:
                self._astray(level, index, width)
        if _root(best, size) == root:
            return
        if 0 in made and made[0] is not None and made[0] != stored[0]:
            path = tiles.bundle_path(*divmod(size, WIDTH))
            self.report(f"{path}: neither its entries nor its tile lead to the checkpoint's root")
        # What is below a file that is missing or cut short, which was said, cannot speak against the root.
        if None not in made.values():
            self.report("checkpoint: its root is not that of the entries")

    def _compare_last(self, stored: dict[int, Hashes], leaves: Hashes) -> None:
        index, width = divmod(self.checkpoint.size, WIDTH)
        hashes = stored.get(0)
        if hashes is not None and leaves is not None and hashes != leaves:
            self._wrong_bundle(index, width, hashes, leaves)

    def _children(self, level: int, index: int, width: int, hashes: Hashes, vouched: bool) -> Hashes:
        """Check all below a tile, and return its hashes as they should be."""
        first = index * WIDTH
        made: list[bytes] = []
        unknown = False
        for at in range(width):
            root = self._full(level - 1, first + at, None if hashes is None else hashes[at], vouched)
            unknown = unknown or root is None
            made.append(root or merkle.EMPTY_ROOT)
        return None if unknown else made

    def _full(self, level: int, index: int, expected: bytes | None, vouched: bool) -> bytes | None:
        """Check a full tile and all below; return the root over it as it should be, None if not known.

        Args:
            expected: the root by the tile above, None if that is not known.
            vouched: `expected` leads to the signed root.
        """
        hashes = self._tile(level, index, WIDTH)
        sound = hashes is not None and merkle.root(hashes) == expected
        if level:
            made = self._children(level, index, WIDTH, hashes, vouched and sound)
        else:
            made = self._leaves(index, hashes, expected, vouched, sound)
        if sound:
            return expected
        if hashes is not None and made is None and expected is None:
            path = tiles.tile_path(level, index)
            self.report(f"{path}: cannot be checked, the files above and below it are missing or malformed")
        elif hashes is not None and (vouched or made is None):
            below = made is None or merkle.root(made) != expected
            self._astray(level, index, WIDTH, ", nor do the files below it" if below else "")
        elif hashes is not None and made != hashes:
            self._wrong_tile(level, index, WIDTH)
        if vouched:
            return expected
        known = hashes if made is None else made
        return None if known is None else merkle.root(known)

    def _leaves(
        self, index: int, hashes: Hashes, expected: bytes | None, vouched: bool, sound: bool
    ) -> Hashes:
        """Check a full bundle against its leaf tile; return the leaf hashes as they should be."""
        leaves = self._bundle(index, WIDTH)
        if leaves is None or (sound and leaves == hashes):
            return leaves
        if sound and hashes is not None:
            self._wrong_bundle(index, WIDTH, hashes, leaves)
            return hashes
        elsewhere = hashes is not None if expected is None else merkle.root(leaves) != expected
        if elsewhere and (vouched or leaves != hashes):
            self.report(f"{tiles.bundle_path(index)}: its entries do not lead to what the tiles above have")
        return leaves

    def _bundle(self, index: int, width: int) -> Hashes:
        try:
            entries = read_bundle(self.read, index, width)
        except (MissingError, TreeError) as error:
            self.report(str(error))
            entries = []
        for at, entry in enumerate(entries):
            self.on_entry(index * WIDTH + at, entry)
        self.on_bundle(index * WIDTH + width)
        return [merkle.leaf_hash(entry) for entry in entries] or None

    def _tile(self, level: int, index: int, width: int) -> Hashes:
        try:
            return read_tile(self.read, level, index, width)
        except (MissingError, TreeError) as error:
            self.report(str(error))
            return None

    def _wrong_bundle(self, index: int, width: int, hashes: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        at = next(at for at in range(width) if hashes[at] != leaves[at])
        path = tiles.bundle_path(index, width)
        self.report(f"{path}: entry {index * WIDTH + at} is not the one in the tree")

    def _astray(self, level: int, index: int, width: int, more: str = "") -> None:
        path = tiles.tile_path(level, index, width)
        self.report(f"{path}: its hashes do not lead to the checkpoint's root{more}")

    def _wrong_tile(self, level: int, index: int, width: int) -> None:
        self.report(f"{tiles.tile_path(level, index, width)}: differs from what the entries make")


def _root(tails: dict[int, Hashes], size: int) -> bytes | None:
    known = {level: hashes for level, hashes in tails.items() if hashes is not None}
    return root_of_edges(known, size) if len(known) == len(tails) else None
