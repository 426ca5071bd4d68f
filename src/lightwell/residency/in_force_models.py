"""The orders a cell has taken, in the order it took them, and which process has obeyed which."""

from sqlalchemy import BigInteger, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_PUBLIC = label("system.operations", "public")


class TakenOrder(Model):
    """One valid order; its text is public and is kept as it was signed."""

    __tablename__ = "orders"
    __table_args__ = (UniqueConstraint("signer", "sequence"),)

    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True, info=_PUBLIC)
    order_id: Mapped[str] = mapped_column(String(16), unique=True, info=_PUBLIC)
    verb: Mapped[str] = mapped_column(String(16), info=_PUBLIC)
    scope: Mapped[str] = mapped_column(String(40), info=_PUBLIC)
    cell: Mapped[str] = mapped_column(String(40), info=_PUBLIC)
    sequence: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
    issued_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
    expires_at: Mapped[int | None] = mapped_column(BigInteger, info=_PUBLIC)
    lifts: Mapped[str | None] = mapped_column(String(16), info=_PUBLIC)
    reason: Mapped[str] = mapped_column(Text, info=_PUBLIC)
    signer: Mapped[str] = mapped_column(String(200), info=_PUBLIC)
    role: Mapped[str] = mapped_column(String(16), info=_PUBLIC)
    digest: Mapped[str] = mapped_column(String(64), info=_PUBLIC)
    text: Mapped[str] = mapped_column(Text, info=_PUBLIC)
    taken_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)


class ObeyedOrder(Model):
    """One process has seen one order; from then on its every check obeys it."""

    __tablename__ = "orders_obeyed"

    order_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_PUBLIC)
    process: Mapped[str] = mapped_column(String(40), primary_key=True, info=_PUBLIC)
    seen_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)


class RefusedOrder(Model):
    """The digest of a paper that was refused, so that sending it again adds no second entry."""

    __tablename__ = "orders_refused"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True, info=_PUBLIC)
    reason: Mapped[str] = mapped_column(String(40), primary_key=True, info=_PUBLIC)
    refused_at: Mapped[int] = mapped_column(BigInteger, info=_PUBLIC)
