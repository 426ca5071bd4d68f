"""What a cell's ledger holds, wherever each entry is by now: in the public files or still in the queue."""

from sqlalchemy import select

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger.models import LedgerEntry
from lightwell.ledger.storage import Storage, open_storage, read_exactly
from lightwell.wire import checkpoint, tiles
from lightwell.wire.note import split_note


def published_entries(storage: Storage) -> list[bytes]:
    """Return the entries under the newest checkpoint, in order; signatures are not looked at."""
    note = storage.read(tiles.CHECKPOINT_PATH)
    size = checkpoint.parse(split_note(note.decode())[0]).size if note else 0
    found: list[bytes] = []
    for path in tiles.paths(size):
        if path.startswith("tile/entries/"):
            found += tiles.decode_bundle(read_exactly(storage, path), tiles.parse_path(path)[2])
    return found


def all_entries(settings: CellSettings, database: Database) -> list[bytes]:
    """Return every entry of a cell in order, those that wait in the queue last."""
    with database.read() as session:
        waiting = list(session.scalars(select(LedgerEntry.entry).order_by(LedgerEntry.entry_id)))
    return published_entries(open_storage(settings)) + waiting
