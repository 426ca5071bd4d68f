"""An entry is queued in the very transaction of the fact it records: both happen or neither does."""

from collections.abc import Iterable
from dataclasses import dataclass

from lightwell.base.db import Write, WriteSession, row_writer
from lightwell.ledger.models import LedgerEntry
from lightwell.wire import entries as wire_entries
from lightwell.wire.entries import Entry
from lightwell.wire.merkle import leaf_hash

# Every slate passes here: a row given to the driver as it is costs a third of one given to the toolkit.
_INSERT = f"INSERT INTO {LedgerEntry.__tablename__} (leaf_hash, entry) VALUES (?, ?)"  # noqa: S608  no value


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
    write_prepared(row_writer(session), entries)


def write_prepared(write: Write, entries: Iterable[PreparedEntry]) -> None:
    """Queue entries that `prepare` returned, which keep their order, by `Database.write_rows`."""
    if rows := [(one.leaf_hash, one.data) for one in entries]:
        write(_INSERT, rows)
