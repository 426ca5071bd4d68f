"""An entry is queued in the very transaction of the fact it records: both happen or neither does."""

from collections.abc import Iterable

from sqlalchemy import insert

from lightwell.base.db import WriteSession
from lightwell.ledger.models import LedgerEntry
from lightwell.wire import entries as wire_entries
from lightwell.wire.entries import Entry
from lightwell.wire.merkle import leaf_hash

# Through the table, not the mapped class: this way the driver sends all rows at once.
_INSERT = insert(LedgerEntry.__table__)  # type: ignore[arg-type]


def enqueue(session: WriteSession, entry: Entry) -> bytes:
    """Queue an entry and return its 32-byte leaf hash, by which promises and proofs name it.

    A promise may be given out only after the session has committed.

    Raises:
        EntryError: the entry does not keep to its schema.
    """
    return enqueue_many(session, (entry,))[0]


def enqueue_many(session: WriteSession, entries: Iterable[Entry]) -> list[bytes]:
    """Queue entries, which keep their order, and return their leaf hashes; errors as in `enqueue`."""
    rows: list[dict[str, bytes]] = []
    for entry in entries:
        data = wire_entries.encode(entry)
        rows.append({"leaf_hash": leaf_hash(data), "entry": data})
    if rows:
        session.connection().execute(_INSERT, rows)
    return [row["leaf_hash"] for row in rows]
