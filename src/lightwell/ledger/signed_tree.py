"""What a signed checkpoint covers: no hash or entry is given out before it is shown to be under the root.

Any tile is held to the hash that the tile above has for it, up to the tiles at the right edge of the tree,
which together make the signed root. So a proof made from here always verifies.
"""

from __future__ import annotations

from collections import OrderedDict

from lightwell.base.labels import declare_cache
from lightwell.ledger.download import UnreadableError
from lightwell.wire import merkle, tiles
from lightwell.wire.audit import Read
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.tiles import HEIGHT, WIDTH, TileError

declare_cache("ledger.signed_tree", "hashes of public tiles", "system.operations", "public")

_KEPT_TILES = 64

Rows = list[list[bytes]]
"""The hashes of a tile, and above them those of each complete subtree up to its own root."""


class MissingError(UnreadableError):
    """A file that the checkpoint covers is not there, which says nothing about what was in it."""


class TreeError(ValueError):
    """A file is there, and is not what the signed checkpoint covers; the text begins with its path."""


def read_tile(read: Read, level: int, index: int, width: int) -> list[bytes]:
    """Return the hashes of a tile; of a partial one that is gone, its part of the full one.

    Raises:
        MissingError: neither is there.
        TreeError: it has another length than it should.
    """
    path = tiles.tile_path(level, index, width)
    data = read(path)
    if data is not None and len(data) != width * merkle.HASH_SIZE:
        raise TreeError(f"{path}: tile has {len(data)} bytes, not {width * merkle.HASH_SIZE}")
    if data is None and width < WIDTH:
        data = read(tiles.tile_path(level, index))
    if data is None:
        raise MissingError(f"{path}: missing")
    try:
        return tiles.split_hashes(data, width)
    except TileError as error:
        raise TreeError(f"{path}: {error}") from None


def read_bundle(read: Read, index: int, width: int) -> list[bytes]:
    """Return the entries of a bundle; of a partial one that is gone, its part of the full one.

    Raises:
        MissingError: neither is there.
        TreeError: it is cut short, or has another number of entries.
    """
    path = tiles.bundle_path(index, width)
    data, found = read(path), width
    if data is None and width < WIDTH:
        data, found = read(tiles.bundle_path(index)), WIDTH
    if data is None:
        raise MissingError(f"{path}: missing")
    try:
        return tiles.decode_bundle(data, found)[:width]
    except TileError as error:
        raise TreeError(f"{path}: {error}") from None


def edges(size: int) -> list[tuple[int, int, int]]:
    """Return (level, index, width) of each unfinished tile of a tree of `size`, from level 0 up."""
    found = []
    level = 0
    while size >> (HEIGHT * level):
        index, width = divmod(size >> (HEIGHT * level), WIDTH)
        if width:
            found.append((level, index, width))
        level += 1
    return found


def complete(hashes: list[bytes]) -> Rows:
    """Return all complete subtrees over the hashes of a tile, lowest first."""
    rows = [hashes]
    while len(rows[-1]) > 1:
        below = rows[-1]
        rows.append([merkle.node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return rows


def root_of_edges(tails: dict[int, list[bytes]], size: int) -> bytes:
    """Return the root of a tree of `size` from its unfinished tiles: hashes by level."""
    rows = {level: complete(hashes) for level, hashes in tails.items()}

    def node(height: int, index: int) -> bytes:
        level, within = divmod(height, HEIGHT)
        return rows[level][within][index & ((1 << (HEIGHT - within)) - 1)]

    return merkle.range_root(node, 0, size) if size else merkle.EMPTY_ROOT


class SignedTree:
    """The tree under one opened checkpoint, read as far as it is needed.

    Args:
        read: reads a file of the ledger by its path.
        checkpoint: opened; its signatures were the caller's to check.
    """

    def __init__(self, read: Read, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._read = read
        self._edges: dict[int, Rows] | None = None
        self._kept: OrderedDict[tuple[int, int], Rows] = OrderedDict()

    def check(self) -> None:
        """See that the tiles at the edge of the tree make the signed root.

        Raises:
            MissingError, UnreadableError: one cannot be read.
            TreeError: they do not.
        """
        self._edge_rows()

    def node(self, height: int, index: int) -> bytes:
        """Return the hash of a complete subtree: a `merkle.Node` reader.

        Raises:
            MissingError, UnreadableError, TreeError: as `check`, of any tile on the way to the root.
        """
        level, within = divmod(height, HEIGHT)
        rows = self._rows(level, index >> (HEIGHT - within))
        return rows[within][index & ((1 << (HEIGHT - within)) - 1)]

    def bundle(self, index: int) -> list[bytes]:
        """Return the entries of bundle `index`, 1 to 256.

        Raises:
            MissingError, UnreadableError, TreeError: as `node`, and of the bundle.
        """
        width = tiles.width_at(0, index, self.checkpoint.size)
        entries = read_bundle(self._read, index, width)
        for at, leaf in enumerate(self._rows(0, index)[0]):
            if merkle.leaf_hash(entries[at]) != leaf:
                path = tiles.bundle_path(index, width)
                raise TreeError(f"{path}: entry {index * WIDTH + at} is not the one in the tree")
        return entries

    def _rows(self, level: int, index: int) -> Rows:
        edge = self._edge_rows()
        width = tiles.width_at(level, index, self.checkpoint.size)
        if width < WIDTH:
            return edge[level]
        rows = self._kept.get((level, index))
        if rows is None:
            above = self._rows(level + 1, index // WIDTH)[0][index % WIDTH]
            rows = complete(read_tile(self._read, level, index, WIDTH))
            if rows[-1][0] != above:
                path = tiles.tile_path(level, index)
                raise TreeError(f"{path}: its hashes do not lead to the checkpoint's root")
            self._kept[level, index] = rows
            if len(self._kept) > _KEPT_TILES:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end((level, index))
        return rows

    def _edge_rows(self) -> dict[int, Rows]:
        if self._edges is None:
            size = self.checkpoint.size
            tails = {level: read_tile(self._read, level, *place) for level, *place in edges(size)}
            if root_of_edges(tails, size) != self.checkpoint.root:
                raise TreeError("checkpoint: its root is not that of the tiles")
            self._edges = {level: complete(hashes) for level, hashes in tails.items()}
        return self._edges
