"""What the gateway stopped for what it holds: sealed, with facts about it, until its time is over."""

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import BlindIndex, Sealed, label

_INNER = label("system.operations", "interop")


class QuarantinedRow(Model):
    """One message, or one media file, that went neither out nor in.

    Sealed under the key of the account whose it is, so that it is erased with the account; without one, under
    a key of its own (`account_keys`, by `item_id`), which is destroyed when it is discarded or expires.
    """

    __tablename__ = "quarantine"
    __table_args__ = (Index("ix_quarantine_room", "peer", "outgoing"),)

    item_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=_INNER)
    account_id: Mapped[str | None] = mapped_column(
        String(16), index=True, info=label("user.unique_id", "interop")
    )
    message: Mapped[bytes | None] = mapped_column(Sealed, info=label("user.content", "protected"))
    """JSON of `quarantine.Stopped`; None once it is discarded, expired or erased."""
    content_index: Mapped[bytes | None] = mapped_column(
        BlindIndex, index=True, info=label("user.content", "protected")
    )
    """Finds the same content of the same peer, which is kept once."""
    transfer_id: Mapped[str] = mapped_column(String(16), info=_INNER)
    flow: Mapped[str] = mapped_column(String(60), info=_INNER)
    peer: Mapped[str] = mapped_column(String(40), info=_INNER)
    outgoing: Mapped[bool] = mapped_column(info=_INNER)
    reason: Mapped[str] = mapped_column(String(60), info=_INNER)
    """`tripwire` or `media-metadata`, as in the entry of the refusal."""
    found: Mapped[str] = mapped_column(String(60), info=_INNER)
    """What kind of thing was found, such as `e-mail`; never the thing."""
    media: Mapped[str] = mapped_column(String(60), info=_INNER)
    """The name of the media file in its flow; empty for a message."""
    size_bytes: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    kept_bytes: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    times: Mapped[int] = mapped_column(Integer, default=1, info=_INNER)
    looks: Mapped[int] = mapped_column(Integer, default=0, info=_INNER)
    state: Mapped[str] = mapped_column(String(10), index=True, info=_INNER)
    """`waiting`, `reported`, `discarded`, `expired` or `erased`."""
    stopped_at: Mapped[int] = mapped_column(BigInteger, info=_INNER)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True, info=_INNER)
