"""The stored form of the feed: which snapshots and policies served, and every slate's sealed record."""

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import COUNTER, Model
from lightwell.base.labels import Sealed, label


class SnapshotRow(Model):
    """A snapshot that was published, the newest to serve; one may be published again, to go back to it.

    `base` is the digest of its base: its own, if it is one. `snapshot_files` says where the bytes are;
    `dropped_at`, milliseconds, is when they were deleted, for no slate is replayed from them any more.
    """

    __tablename__ = "snapshots"

    number: Mapped[int] = mapped_column(
        COUNTER,
        primary_key=True,
        autoincrement=True,
        info=label("system.operations", "interop"),
    )
    digest: Mapped[str] = mapped_column(String(64), index=True, info=label("system.operations", "public"))
    base: Mapped[str] = mapped_column(String(64), info=label("system.operations", "public"))
    leaf: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "public"))
    created_at: Mapped[int] = mapped_column(
        BigInteger, index=True, info=label("system.operations", "interop")
    )
    dropped_at: Mapped[int | None] = mapped_column(
        BigInteger, index=True, info=label("system.operations", "interop")
    )


class RankingPolicyRow(Model):
    """A version of the ranking policy; whoever replays a slate reads it from here by digest."""

    __tablename__ = "ranking_policies"

    number: Mapped[int] = mapped_column(
        COUNTER,
        primary_key=True,
        autoincrement=True,
        info=label("system.operations", "interop"),
    )
    digest: Mapped[str] = mapped_column(String(64), unique=True, info=label("system.operations", "public"))
    body: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "public"))
    leaf: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "public"))


class SlatePaddingRow(Model):
    """What opens the commitment of a slate entry that is no slate, to show that it is none."""

    __tablename__ = "slate_padding"

    commitment: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, info=label("system.operations", "public")
    )
    opening: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "interop"))
    digest: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "interop"))


class SlateRecordRow(Model):
    """All inputs of one ranking, its outcome and the opening of its commitment, sealed for its viewer."""

    __tablename__ = "slate_records"

    leaf: Mapped[bytes] = mapped_column(
        LargeBinary, primary_key=True, info=label("system.operations", "public")
    )
    commitment: Mapped[bytes] = mapped_column(
        LargeBinary, unique=True, info=label("system.operations", "public")
    )
    account_id: Mapped[str] = mapped_column(
        ForeignKey("accounts.account_id", ondelete="CASCADE"),
        index=True,
        info=label("user.unique_id", "interop"),
    )
    sealed: Mapped[bytes] = mapped_column(Sealed, info=label("user.behavior.browsing_history", "protected"))
