"""Keyed hashes of the protected values that the gateway looks for."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import BlindIndex, label


class GuardedValue(Model):
    """One value of one account, as a blind index that only this cell's key can compute."""

    __tablename__ = "guarded_values"

    value_index: Mapped[bytes] = mapped_column(
        BlindIndex, primary_key=True, info=label("user.contact", "protected")
    )
    account_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, index=True, info=label("user.unique_id", "interop")
    )
