"""The ledger's tables: the queue, what was taken from it, where published entries stand, the writer's state.

An entry is in the queue until the checkpoint over it is published and in the public files from then on; the
database keeps its place, not its bytes.
"""

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import label

# Entries are public by design: they hold commitments and codes, never personal data.
_PUBLIC = label("system.operations", "public")


class LedgerEntry(Model):
    """A queued entry, written with the fact it records; gone from here once published."""

    __tablename__ = "ledger_entries"

    entry_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True, info=_PUBLIC)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32), info=_PUBLIC)
    entry: Mapped[bytes] = mapped_column(LargeBinary, info=_PUBLIC)


class LedgerBatch(Model):
    """Entries that have been given their indices, and are under no public checkpoint yet."""

    __tablename__ = "ledger_batches"

    first_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, info=_PUBLIC)
    entry_ids: Mapped[bytes] = mapped_column(LargeBinary, info=_PUBLIC)
    """Their ids in index order, 8 bytes each, little-endian."""


class LedgerRecent(Model):
    """Leaf hashes of the newest published entries, a row a batch, until there are enough for places."""

    __tablename__ = "ledger_recent"

    first_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, info=_PUBLIC)
    leaves: Mapped[bytes] = mapped_column(LargeBinary, info=_PUBLIC)
    """32 bytes each."""


class LedgerPlaces(Model):
    """Where the older published entries stand: those of some thousand whose hash begins with one byte.

    Rows are written many entries at a time, and joined into larger ones later, so that a table of millions
    costs an append what one of thousands does, and a lookup reads few rows.
    """

    __tablename__ = "ledger_places"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own form

    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, info=_PUBLIC)
    """The first byte of the leaf hash."""
    first_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, info=_PUBLIC)
    is_joined: Mapped[bool] = mapped_column(Boolean, info=_PUBLIC)
    """Whether the row was made of several."""
    records: Mapped[bytes] = mapped_column(LargeBinary, info=_PUBLIC)
    """The next 11 bytes of each hash and its index in 6, big-endian."""


class LedgerState(Model):
    """The one row that says how far the ledger is and which process may write it."""

    __tablename__ = "ledger_state"

    state_id: Mapped[int] = mapped_column(Integer, primary_key=True, info=_PUBLIC)
    assigned_size: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    """Indices below this are given: what they hold never changes, whoever writes the files."""
    integrated_size: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    """Size of the last checkpoint this database knows to be published."""
    root: Mapped[bytes] = mapped_column(LargeBinary(32), info=_PUBLIC)
    """Its root."""
    integrated_at: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    """When it was published, milliseconds since the epoch."""
    waits_for: Mapped[str] = mapped_column(Text, default="", info=_PUBLIC)
    """Why the newest tree is not public yet, in words; empty if it is."""
    holder: Mapped[str] = mapped_column(String(200), default="", info=_PUBLIC)
    """The process that holds the lease: host:pid:random; empty if none."""
    term: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    """Grows by one with each new holder: what an earlier holder remembers is void."""
    lease_until: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    """Milliseconds since the epoch."""


class WitnessState(Model):
    """What the sequencer last heard from one witness."""

    __tablename__ = "ledger_witnesses"

    url: Mapped[str] = mapped_column(String(300), primary_key=True, info=_PUBLIC)
    cosigned_size: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    cosigned_at: Mapped[int | None] = mapped_column(BigInteger, info=_PUBLIC)
    """Seconds since the epoch, as the witness said."""
    problem: Mapped[str | None] = mapped_column(Text, info=_PUBLIC)
    """Why its last answer was no cosignature; None if it was one."""
