"""The stored form of what viewers do: one sealed row an event, in the order they were accepted."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import Sealed, label


class ViewerEventRow(Model):
    """One event of one viewer; which video, what and how long is inside the seal."""

    __tablename__ = "viewer_events"
    __table_args__ = (UniqueConstraint("account_id", "event_id"),)

    sequence: Mapped[int] = mapped_column(
        COUNTER,
        primary_key=True,
        autoincrement=True,
        info=label("system.operations", "interop"),
    )
    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.account_id", ondelete="CASCADE"),
        index=True,
        info=label("user.unique_id", "interop"),
    )
    event_id: Mapped[str] = mapped_column(String(32), info=label("system.operations", "interop"))
    sealed: Mapped[bytes] = mapped_column(Sealed, info=label("user.behavior", "protected"))
