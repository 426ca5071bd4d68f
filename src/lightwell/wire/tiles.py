"""Tiles and entry bundles (C2SP tlog-tiles): their paths, their bytes, and proofs read from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from lightwell.wire import merkle
from lightwell.wire.merkle import HASH_SIZE, Node, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
"""Hashes in a full tile, entries in a full bundle."""

CHECKPOINT_PATH = "checkpoint"
"""Where a log's newest checkpoint is, below its prefix."""

ENTRY_LIMIT = 65_535
"""Bytes in an entry: its length is written as a uint16."""

ReadTile: TypeAlias = Callable[[int, int, int], bytes]
"""`read_tile(level, index, width)` returns at least `width` hashes of the tile, the first ones."""


class TileError(ValueError):
    """A path, tile or bundle is not what the format says."""


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Return the path of a tile below the log's prefix, such as `tile/0/x001/x234/067.p/5`."""
    if not 0 <= level <= 63:
        raise TileError("tile level is out of range")
    return f"tile/{level}/{_index_path(index)}{_partial(width)}"


def bundle_path(index: int, width: int = WIDTH) -> str:
    """Return the path of an entry bundle below the log's prefix, such as `tile/entries/067.p/5`."""
    return f"tile/entries/{_index_path(index)}{_partial(width)}"


def parse_path(path: str) -> tuple[int | None, int, int]:
    """Return (level, index, width) of a tile path; level None for an entry bundle.

    Raises:
        TileError: anything `tile_path` and `bundle_path` would not have written.
    """
    parts = path.split("/")
    if len(path) > 100 or len(parts) < 3 or parts[0] != "tile":
        raise TileError("not a tile path")
    try:
        level = None if parts[1] == "entries" else int(parts[1])
        width = WIDTH
        names = parts[2:]
        if len(names) > 1 and names[-2].endswith(".p"):
            width = int(names.pop())
            names[-1] = names[-1].removesuffix(".p")
        index = int("".join(name.removeprefix("x") for name in names))
        written = bundle_path(index, width) if level is None else tile_path(level, index, width)
    except ValueError:
        raise TileError("not a tile path") from None
    if written != path:
        raise TileError("not a tile path")
    return level, index, width


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 256 entries: each with its length before it as big-endian uint16.

    Raises:
        TileError: too many, none, or an entry over 65,535 bytes.
    """
    if not 1 <= len(entries) <= WIDTH:
        raise TileError("a bundle has 1 to 256 entries")
    if max(map(len, entries)) > ENTRY_LIMIT:
        raise TileError(f"an entry has at most {ENTRY_LIMIT} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle, which must be exactly `width`.

    Raises:
        TileError: cut short, or another number of entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise TileError("bundle is cut short")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != width:
        raise TileError(f"bundle has {len(entries)} entries, not {width}")
    return entries


def split_hashes(data: bytes, width: int) -> list[bytes]:
    """Return the first `width` hashes of a tile that has exactly or at least these.

    Raises:
        TileError: shorter, or not a whole number of hashes, or longer than a full tile.
    """
    if len(data) % HASH_SIZE or not width * HASH_SIZE <= len(data) <= WIDTH * HASH_SIZE:
        raise TileError(f"tile has {len(data)} bytes, not {width * HASH_SIZE}")
    return [data[at : at + HASH_SIZE] for at in range(0, width * HASH_SIZE, HASH_SIZE)]


def width_at(level: int, index: int, size: int) -> int:
    """Return how many hashes tile `index` of `level` has in a tree of `size`: 0 to 256.

    Level 0 serves for entry bundles too.
    """
    return min(max((size >> (HEIGHT * level)) - index * WIDTH, 0), WIDTH)


def paths(size: int) -> list[str]:
    """Return every file a log of `size` entries consists of beside its checkpoint, bundles first."""
    found = [bundle_path(index, width_at(0, index, size)) for index in range(-(-size // WIDTH))]
    level = 0
    while size >> (HEIGHT * level):
        count = -(-(size >> (HEIGHT * level)) // WIDTH)
        found += [tile_path(level, index, width_at(level, index, size)) for index in range(count)]
        level += 1
    return found


def node_reader(read_tile: ReadTile, size: int) -> Node:
    """Return a `merkle.Node` reader over the tiles of a tree of `size`, each tile read at most once.

    Raises (from the reader): TileError on a tile of a wrong length; whatever `read_tile` raises.
    """
    seen: dict[tuple[int, int], list[list[bytes]]] = {}

    def node(height: int, index: int) -> bytes:
        level, within = divmod(height, HEIGHT)
        tile = index >> (HEIGHT - within)
        rows = seen.get((level, tile))
        if rows is None:
            width = width_at(level, tile, size)
            rows = seen[level, tile] = [split_hashes(read_tile(level, tile, width), width)]
        while len(rows) <= within:
            below = rows[-1]
            rows.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
        return rows[within][index - (tile << (HEIGHT - within))]

    return node


def inclusion_proof(read_tile: ReadTile, index: int, size: int) -> list[bytes]:
    """Return the inclusion proof of entry `index` in the tree of `size`, in O(log size) tile reads."""
    return merkle.inclusion_proof(node_reader(read_tile, size), index, size)


def consistency_proof(read_tile: ReadTile, size1: int, size2: int) -> list[bytes]:
    """Return the consistency proof from `size1` to `size2`, in O(log size) tile reads."""
    return merkle.consistency_proof(node_reader(read_tile, size2), size1, size2)


def root(read_tile: ReadTile, size: int) -> bytes:
    """Return the root of the tree of `size` as its tiles say it; `audit` checks the tiles themselves."""
    return merkle.range_root(node_reader(read_tile, size), 0, size) if size else merkle.EMPTY_ROOT


def _index_path(index: int) -> str:
    if index < 0:
        raise TileError("tile index is negative")
    text = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        text = f"x{index % 1000:03d}/{text}"
    return text


def _partial(width: int) -> str:
    if not 1 <= width <= WIDTH:
        raise TileError("tile width is out of range")
    return "" if width == WIDTH else f".p/{width}"
