"""One wrapped data key an account: without this row nothing sealed for the account ever opens again."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import Sealed, label


class AccountKey(Model):
    """An account's data key, wrapped by the cell key and bound to cell, account and generation."""

    __tablename__ = "account_keys"

    account_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, info=label("user.unique_id", "interop")
    )
    generation: Mapped[int] = mapped_column(Integer, info=label("system.operations", "interop"))
    wrapped: Mapped[bytes] = mapped_column(Sealed, info=label("user.authorization.credentials", "protected"))
    created_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
