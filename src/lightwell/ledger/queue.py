"""An entry is queued in the very transaction of the fact it records: both happen or neither does."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import insert

from lightwell.base.db import WriteSession
from lightwell.ledger.models import LedgerEntry
from lightwell.wire import entries as wire_entries
from lightwell.wire.entries import Entry
from lightwell.wire.merkle import leaf_hash

# Through the table, not the mapped class: this way the driver sends all rows at once.
_INSERT = insert(LedgerEntry.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True)
class PreparedEntry:
    """An entry as it will stand in the ledger, known before the transaction that queues it begins."""

    leaf_hash: bytes
    """32 bytes, by which promises and proofs name it."""
    data: bytes
    """Its canonical bytes."""


def prepare(entry: Entry) -> PreparedEntry:
    """Return an entry ready to be queued.

    Raises:
        EntryError: the entry does not keep to its schema.
    """
    data = wire_entries.encode(entry)
    return PreparedEntry(leaf_hash(data), data)


def enqueue(session: WriteSession, entry: Entry) -> bytes:
    """Queue an entry and return its 32-byte leaf hash, by which promises and proofs name it.

    A promise may be given out only after the session has committed.

    Raises:
        EntryError: the entry does not keep to its schema.
    """
    return enqueue_many(session, (entry,))[0]


def enqueue_many(session: WriteSession, entries: Iterable[Entry]) -> list[bytes]:
    """Queue entries, which keep their order, and return their leaf hashes; errors as in `enqueue`."""
    prepared = [prepare(entry) for entry in entries]
    enqueue_prepared(session, prepared)
    return [one.leaf_hash for one in prepared]


def enqueue_prepared(session: WriteSession, entries: Iterable[PreparedEntry]) -> None:
    """Queue entries that `prepare` returned, which keep their order."""
    rows = [{"leaf_hash": one.leaf_hash, "entry": one.data} for one in entries]
    if rows:
        session.connection().execute(_INSERT, rows)
