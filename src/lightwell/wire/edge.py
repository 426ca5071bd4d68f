"""The right edge of a growing tree: all a writer keeps to append entries and to know the root.

One unfinished tile a level, and the entries of the unfinished bundle: at most 256 hashes times the height
of the tree over 256, whatever the tree's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lightwell.wire import merkle, tiles
from lightwell.wire.merkle import EMPTY_ROOT, node_hash
from lightwell.wire.tiles import HEIGHT, WIDTH


@dataclass
class Edge:
    """The right edge of a tree; the one owner of an `Edge` is the ledger's sequencer."""

    size: int = 0
    """Entries in the tree."""
    rows: list[list[bytes]] = field(default_factory=list)
    """For each tile level its unfinished tile: 0 to 255 hashes."""
    entries: list[bytes] = field(default_factory=list)
    """The entries of the unfinished bundle: 0 to 255."""

    @classmethod
    def load(cls, read: Callable[[str], bytes], size: int) -> Edge:
        """Read the edge of a tree of `size` from its files.

        Args:
            read: returns the bytes at a tile or bundle path, exactly of that width.

        Raises:
            TileError: a file is not of the form it should have; whatever `read` raises.
        """
        edge = cls(size)
        level = 0
        while size >> (HEIGHT * level):
            index, width = divmod(size >> (HEIGHT * level), WIDTH)
            row = tiles.split_hashes(read(tiles.tile_path(level, index, width)), width) if width else []
            edge.rows.append(row)
            level += 1
        index, width = divmod(size, WIDTH)
        if width:
            edge.entries = tiles.decode_bundle(read(tiles.bundle_path(index, width)), width)
            if [merkle.leaf_hash(entry) for entry in edge.entries] != edge.rows[0]:
                raise tiles.TileError("entry bundle and leaf tile differ")
        return edge

    def append(self, entries: Sequence[bytes], leaf_hashes: Sequence[bytes]) -> dict[str, bytes]:
        """Append entries and return the files to write: path to bytes, bundles and tiles alike.

        The files are the full tiles and bundles that were finished on the way and the unfinished ones at
        the end. They must be durable before a checkpoint of the new size is signed.

        Args:
            entries: bytes of each entry, at most 65,535 long.
            leaf_hashes: `merkle.leaf_hash` of each.
        """
        if len(entries) != len(leaf_hashes):
            raise ValueError("an entry has one leaf hash")
        files: dict[str, bytes] = {}
        grown: set[int] = set()
        at = 0
        while at < len(entries):
            room = WIDTH - len(self.entries)
            self.entries += entries[at : at + room]
            taken = leaf_hashes[at : at + room]
            at += len(taken)
            self.size += len(taken)
            if len(self.entries) == WIDTH:
                files[tiles.bundle_path(self.size // WIDTH - 1)] = tiles.encode_bundle(self.entries)
                self.entries = []
            self._extend(0, taken, files, grown)
        if self.entries:
            path = tiles.bundle_path(self.size // WIDTH, len(self.entries))
            files[path] = tiles.encode_bundle(self.entries)
        for level in sorted(grown):
            if row := self.rows[level]:
                index = (self.size >> (HEIGHT * level)) // WIDTH
                files[tiles.tile_path(level, index, len(row))] = b"".join(row)
        return files

    def root(self) -> bytes:
        """Return the root over all `size` entries."""
        if self.size == 0:
            return EMPTY_ROOT
        value: bytes | None = None
        for row in self.rows:
            for peak in _peaks(row):
                value = peak if value is None else node_hash(peak, value)
        assert value is not None  # noqa: S101  a tree that is not empty has a peak
        return value

    def _extend(self, level: int, hashes: Sequence[bytes], files: dict[str, bytes], grown: set[int]) -> None:
        """Add hashes that fit in the unfinished tile of `level`; finish it, and tell the level above."""
        if level == len(self.rows):
            self.rows.append([])
        row = self.rows[level]
        row += hashes
        grown.add(level)
        if len(row) == WIDTH:
            index = (self.size >> (HEIGHT * level)) // WIDTH - 1
            files[tiles.tile_path(level, index)] = b"".join(row)
            self.rows[level] = []
            self._extend(level + 1, [merkle.root(row)], files, grown)


def _peaks(row: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the complete subtrees of an unfinished tile, the smallest (rightmost) first."""
    node = merkle.in_memory(row)
    width = len(row)
    peaks = []
    for height in range(HEIGHT):
        if width >> height & 1:
            peaks.append(node(height, (width >> height) - 1))
    return peaks
