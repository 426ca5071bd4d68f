"""The stored form of what viewers do: one sealed row an event, and one a viewer that folds them."""

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import Sealed, label


class ViewerEventRow(Model):
    """One event of one viewer; which video, what and how long is inside the seal.

    Sequence numbers grow in the order in which the rows become visible, and none is given twice, even when
    the newest rows are erased: whoever has read up to a number never has to look below it again.
    """

    __tablename__ = "viewer_events"
    # The constraint's index begins with the account, so that it finds an account's events too.
    __table_args__ = (UniqueConstraint("account_id", "event_id"), {"sqlite_autoincrement": True})

    sequence: Mapped[int] = mapped_column(
        COUNTER,
        primary_key=True,
        autoincrement=True,
        info=label("system.operations", "interop"),
    )
    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.account_id", ondelete="CASCADE"),
        info=label("user.unique_id", "interop"),
    )
    event_id: Mapped[str] = mapped_column(String(32), info=label("system.operations", "interop"))
    sealed: Mapped[bytes] = mapped_column(Sealed, info=label("user.behavior", "protected"))


class ViewerStateRow(Model):
    """The fold of one viewer's events up to `sequence`, written in the transaction that stores the events."""

    __tablename__ = "viewer_states"
    # An embedded database then finds a row by one search, not by one for its number and one for the row.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own form

    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.account_id", ondelete="CASCADE"),
        primary_key=True,
        info=label("user.unique_id", "interop"),
    )
    sequence: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    sealed: Mapped[bytes] = mapped_column(Sealed, info=label("user.behavior", "protected"))
