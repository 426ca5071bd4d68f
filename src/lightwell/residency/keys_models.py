"""One wrapped data key an account: without this row nothing sealed for the account ever opens again."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import Sealed, label


class AccountKey(Model):
    """An account's data key, wrapped by the cell key and bound to cell, account, generation and version."""

    __tablename__ = "account_keys"
    # An embedded database then finds a row by one search, not by one for its number and one for the row.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own form

    account_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, info=label("user.unique_id", "interop")
    )
    generation: Mapped[int] = mapped_column(Integer, info=label("system.operations", "interop"))
    cell_key: Mapped[int] = mapped_column(Integer, index=True, info=label("system.operations", "interop"))
    """Which version of the cell key wraps it; `wrapped` itself says so too."""
    wrapped: Mapped[bytes] = mapped_column(Sealed, info=label("user.authorization.credentials", "protected"))
    created_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))


class CellKey(Model):
    """A version of the cell key and how far its life has come; times in milliseconds since the epoch.

    `current` wraps new account keys. `retiring` is being taken over by the current one. `retired` wraps
    nothing any more and waits until no reader can still need it. `destroyed` is gone.
    """

    __tablename__ = "cell_keys"

    version: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, info=label("system.operations", "interop")
    )
    state: Mapped[str] = mapped_column(String(9), info=label("system.operations", "interop"))
    made_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    retired_at: Mapped[int | None] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    destroyed_at: Mapped[int | None] = mapped_column(BigInteger, info=label("system.operations", "interop"))


class KeyUse(Model):
    """How often in an hour a kind of principal opened, or tried to open, a category for a reason."""

    __tablename__ = "key_uses"

    hour: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, info=label("system.operations", "interop")
    )
    """Hours since the epoch."""
    process: Mapped[str] = mapped_column(
        String(20), primary_key=True, info=label("system.operations", "interop")
    )
    kind: Mapped[str] = mapped_column(
        String(10), primary_key=True, info=label("system.operations", "interop")
    )
    reason: Mapped[str] = mapped_column(
        String(60), primary_key=True, info=label("system.operations", "interop")
    )
    category: Mapped[str] = mapped_column(
        String(80), primary_key=True, info=label("system.operations", "interop")
    )
    opened: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    refused: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
