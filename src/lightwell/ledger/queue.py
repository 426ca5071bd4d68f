"""An entry is queued in the very transaction of the fact it records: both happen or neither does."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, insert, select

from lightwell.base.db import ReadSession, WriteSession
from lightwell.ledger.models import LedgerEntry, LedgerState
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


def integrated(session: ReadSession, leaf_hashes: Sequence[bytes]) -> dict[bytes, int]:
    """Return the index in the tree of each of these leaf hashes that a published checkpoint covers.

    Args:
        session: any session; what it sees is what it answers.
        leaf_hashes: 32 bytes each, at most some hundreds at once. Equal entries have equal hashes; the
            first one's index stands for all.
    """
    if not leaf_hashes:
        return {}
    size = select(LedgerState.integrated_size).scalar_subquery()
    rows = session.execute(
        select(LedgerEntry.leaf_hash, func.min(LedgerEntry.entry_index))
        .where(LedgerEntry.leaf_hash.in_(leaf_hashes), LedgerEntry.entry_index < size)
        .group_by(LedgerEntry.leaf_hash)
    )
    return {leaf: index for leaf, index in rows if index is not None}
