"""Keyed marks of the protected values that the gateway looks for."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import BlindIndex, label


class GuardedValue(Model):
    """One value of one account, as marks that only this cell's key can compute."""

    __tablename__ = "guarded_values"

    value_index: Mapped[bytes] = mapped_column(
        BlindIndex, primary_key=True, info=label("user.contact", "protected")
    )
    """The mark of the value, 8 bytes; its length, 1; the mark of its first bytes, 3."""
    account_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, index=True, info=label("user.unique_id", "interop")
    )
    guarded_at: Mapped[int] = mapped_column(BigInteger, index=True, info=label("system.operations", "public"))
    """Milliseconds since the epoch: what is newer than what a process holds is read again."""
