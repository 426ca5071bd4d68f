"""The ledger's tables: entries with their place in the tree, the writer's state, and what witnesses said."""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import label

# Entries are public by design: they hold commitments and codes, never personal data.
_PUBLIC = label("system.operations", "public")


class LedgerEntry(Model):
    """An entry, written with the fact it records; the sequencer gives it its index later, once.

    Whoever reads `entry_index` may not take the entry for integrated: it is so when the index is below
    `LedgerState.integrated_size`.
    """

    __tablename__ = "ledger_entries"

    entry_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True, info=_PUBLIC)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32), index=True, info=_PUBLIC)
    entry: Mapped[bytes] = mapped_column(LargeBinary, info=_PUBLIC)
    entry_index: Mapped[int | None] = mapped_column(BigInteger, unique=True, info=_PUBLIC)


Index(
    "ix_ledger_entries_waiting",
    LedgerEntry.entry_id,
    sqlite_where=LedgerEntry.entry_index.is_(None),
    postgresql_where=LedgerEntry.entry_index.is_(None),
)


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
    holder: Mapped[str] = mapped_column(String(200), default="", info=_PUBLIC)
    """The process that holds the lease: host:pid:random; empty if none."""
    lease_until: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    """Milliseconds since the epoch."""


class WitnessState(Model):
    """What the sequencer last heard from one witness."""

    __tablename__ = "ledger_witnesses"

    vkey: Mapped[str] = mapped_column(String(300), primary_key=True, info=_PUBLIC)
    cosigned_size: Mapped[int] = mapped_column(BigInteger, default=0, info=_PUBLIC)
    cosigned_at: Mapped[int | None] = mapped_column(BigInteger, info=_PUBLIC)
    """Seconds since the epoch, as the witness said."""
    problem: Mapped[str | None] = mapped_column(Text, info=_PUBLIC)
    """Why its last answer was no cosignature; None if it was one."""
