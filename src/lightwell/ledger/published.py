"""Published entries by their leaf hashes, from the ledger's own files: each is what its hash says it is."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from lightwell.base.db import ReadSession
from lightwell.base.labels import declare_cache
from lightwell.base.settings import CellSettings
from lightwell.ledger.places import integrated
from lightwell.ledger.storage import Storage, open_storage, read_exactly
from lightwell.wire import entries, merkle, tiles
from lightwell.wire.checkpoint import CheckpointError, parse
from lightwell.wire.entries import Entry, EntryError, UnknownEntry
from lightwell.wire.keys import NoteError
from lightwell.wire.note import split_note
from lightwell.wire.tiles import CHECKPOINT_PATH, TileError

declare_cache("ledger.published", "open ledgers", "system.operations", "interop")


def published_entries(
    settings: CellSettings, session: ReadSession, leaves: Collection[bytes]
) -> dict[bytes, Entry | UnknownEntry]:
    """Return those of `leaves` that are under a published checkpoint, with the entry of each.

    A row of the database may name any leaf; only its entry says what was made public. Costs the reading of
    one bundle of 256 entries for each leaf, so ask once and keep the answer: it never changes.

    Args:
        settings: the cell's; they say where the ledger lies.
        session: any session of the cell.
        leaves: 32-byte leaf hashes, at most some hundreds.

    Returns:
        By leaf hash. One whose entry the files do not show, or show otherwise, is left out.
    """
    places = integrated(session, leaves)
    if not places:
        return {}
    storage = _opened(settings)
    size = _size(storage)
    found = {}
    for leaf, index in places.items():
        entry = _read(storage, index, size)
        if entry is not None and merkle.leaf_hash(entry) == leaf:
            try:
                found[leaf] = entries.decode(entry)
            except EntryError:
                continue
    return found


def _size(storage: Storage) -> int:
    note = storage.read(CHECKPOINT_PATH)
    try:
        return parse(split_note(note.decode())[0]).size if note else 0
    except (CheckpointError, NoteError, UnicodeDecodeError):
        return 0


def _read(storage: Storage, index: int, size: int) -> bytes | None:
    if index >= size:
        return None
    bundle, within = divmod(index, tiles.WIDTH)
    width = tiles.width_at(0, bundle, size)
    try:
        return tiles.decode_bundle(read_exactly(storage, tiles.bundle_path(bundle, width)), width)[within]
    except (FileNotFoundError, TileError):
        return None


@cache
def _opened(settings: CellSettings) -> Storage:
    return open_storage(settings)
