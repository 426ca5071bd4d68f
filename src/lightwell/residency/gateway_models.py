"""What the gateway has sent, what it still has to deliver, and what it has received."""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label

_FACT = label("system.operations", "public")
_CONTENT = label("user.content.public", "public")


class OutgoingTransfer(Model):
    """One message to one peer, kept until the peer has accepted or finally refused it."""

    __tablename__ = "transfers_out"
    __table_args__ = (
        UniqueConstraint("flow", "peer", "content_digest"),
        Index("ix_transfers_out_due", "state", "next_try_at"),
        Index("ix_transfers_out_budget", "flow", "peer", "created_at"),
    )

    transfer_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_FACT)
    flow: Mapped[str] = mapped_column(String(60), info=_FACT)
    peer: Mapped[str] = mapped_column(String(40), info=_FACT)
    content_digest: Mapped[str] = mapped_column(String(64), info=_CONTENT)
    """sha256 of the message alone: sending the same message again is the same transfer."""
    envelope: Mapped[bytes] = mapped_column(LargeBinary, info=_CONTENT)
    media: Mapped[bytes] = mapped_column(LargeBinary, info=_CONTENT)
    """JSON object: sha256 -> key in this cell's object store."""
    size_bytes: Mapped[int] = mapped_column(BigInteger, info=_FACT)
    state: Mapped[str] = mapped_column(String(10), info=_FACT)
    """`queued`, `accepted` or `refused`."""
    reason: Mapped[str] = mapped_column(String(60), default="", info=_FACT)
    attempts: Mapped[int] = mapped_column(Integer, default=0, info=_FACT)
    next_try_at: Mapped[int] = mapped_column(BigInteger, info=_FACT)
    created_at: Mapped[int] = mapped_column(BigInteger, info=_FACT)


class IncomingTransfer(Model):
    """One message that a peer sent and this cell accepted; accepting it again changes nothing."""

    __tablename__ = "transfers_in"
    __table_args__ = (Index("ix_transfers_in_budget", "flow", "peer", "received_at"),)

    peer: Mapped[str] = mapped_column(String(40), primary_key=True, info=_FACT)
    transfer_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_FACT)
    flow: Mapped[str] = mapped_column(String(60), info=_FACT)
    digest: Mapped[str] = mapped_column(String(64), info=_FACT)
    size_bytes: Mapped[int] = mapped_column(BigInteger, info=_FACT)
    received_at: Mapped[int] = mapped_column(BigInteger, info=_FACT)


class AwaitedMedia(Model):
    """Media that a checked message has announced: no other bytes are let in."""

    __tablename__ = "media_awaited"

    peer: Mapped[str] = mapped_column(String(40), primary_key=True, info=_FACT)
    media_digest: Mapped[str] = mapped_column(String(64), primary_key=True, info=_CONTENT)
    name: Mapped[str] = mapped_column(String(60), info=_CONTENT)
    flow: Mapped[str] = mapped_column(String(60), info=_FACT)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger, info=_FACT)
    """None until the bytes are here."""
    announced_at: Mapped[int] = mapped_column(BigInteger, info=_FACT)
