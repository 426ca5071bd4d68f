"""Where a ledger's public files are, a folder or a bucket, and how tiles are read from either."""

from __future__ import annotations

from typing import TypeAlias

from lightwell.base.settings import CellSettings
from lightwell.ledger.bucket import Bucket
from lightwell.ledger.folder import Folder
from lightwell.wire import merkle, tiles
from lightwell.wire.tiles import ReadTile

Storage: TypeAlias = Folder | Bucket
"""Both have `read`, `write`, `publish`, `tidy` and `drop_partials`, with the same promises."""


def open_storage(settings: CellSettings) -> Storage:
    """Open the storage of a cell's ledger: its folder's `ledger`, or the bucket the settings name."""
    if settings.ledger == "file":
        return Folder(settings.path("ledger"))
    return Bucket(settings.ledger)


def read_tile_file(storage: Storage, path: str) -> bytes | None:
    """Return a tile or bundle; of a partial one whose file is gone, its part of the full one.

    Raises:
        TileError: the path is none of a tile or bundle.
    """
    level, index, width = tiles.parse_path(path)
    data = storage.read(path)
    if data is not None or width == tiles.WIDTH:
        return data
    if level is None:
        full = storage.read(tiles.bundle_path(index))
        if full is None:
            return None
        return tiles.encode_bundle(tiles.decode_bundle(full, tiles.WIDTH)[:width])
    full = storage.read(tiles.tile_path(level, index))
    return None if full is None else full[: width * merkle.HASH_SIZE]


def read_exactly(storage: Storage, path: str) -> bytes:
    """Return what `read_tile_file` does.

    Raises:
        FileNotFoundError: it is not there.
        TileError: the path is none of a tile or bundle.
    """
    data = read_tile_file(storage, path)
    if data is None:
        raise FileNotFoundError(path)
    return data


def tile_reader(storage: Storage) -> ReadTile:
    """Return a reader for `tiles.node_reader`, which raises as `read_exactly`."""

    def read_tile(level: int, index: int, width: int) -> bytes:
        return read_exactly(storage, tiles.tile_path(level, index, width))

    return read_tile
