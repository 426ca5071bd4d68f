"""Which erasures the ledger has told of so far: commitments that name nobody, and how far it was read."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_PUBLIC = label("system.operations", "public")


class ErasureRow(Model):
    """The commitment of one `AccountErased` entry, in hex."""

    __tablename__ = "erasures"

    commitment: Mapped[str] = mapped_column(String(64), primary_key=True, info=_PUBLIC)


class ErasuresReadRow(Model):
    """How many entries of the ledger were looked through; a single row.

    An older copy of the database has an older number, and what was erased since is read again.
    """

    __tablename__ = "erasures_read"

    row_id: Mapped[int] = mapped_column(Integer, primary_key=True, info=_PUBLIC)
    size: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
