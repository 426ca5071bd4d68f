"""What has a whole cell to itself, across restarts, until it is done."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_INNER = label("system.operations", "interop")


class Reservation(Model):
    """While there is one, no process of the cell starts."""

    __tablename__ = "reservations"

    work: Mapped[str] = mapped_column(String(40), primary_key=True, info=_INNER)
    """What it is for: `migration`."""
    since: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    """Seconds since the epoch."""
