"""The stored form of uploads and videos: a draft is sealed, what is published is public."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import Sealed, label


class UploadRow(Model):
    """One resumable upload; its bytes lie in sealed parts, of which `received` are durable."""

    __tablename__ = "uploads"

    upload_id: Mapped[str] = mapped_column(
        String(16), primary_key=True, info=label("system.operations", "interop")
    )
    account_id: Mapped[str] = mapped_column(String(16), index=True, info=label("user.unique_id", "interop"))
    length: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    received: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    described: Mapped[bytes | None] = mapped_column(Sealed, info=label("user.content.private", "protected"))
    expires_at: Mapped[int] = mapped_column(
        BigInteger, index=True, info=label("system.operations", "interop")
    )


class UploadPartRow(Model):
    """One sealed part of an upload: `length` bytes from `start` on."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[str] = mapped_column(
        ForeignKey("uploads.upload_id", ondelete="CASCADE"),
        primary_key=True,
        info=label("system.operations", "interop"),
    )
    start: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, info=label("system.operations", "interop")
    )
    length: Mapped[int] = mapped_column(Integer, info=label("system.operations", "interop"))
    object_key: Mapped[str] = mapped_column(String(80), info=label("system.operations", "interop"))


class VideoRow(Model):
    """One video, local or received from another cell.

    `status` is `processing`, `ready`, `published` or `refused`. Until it is published, what its maker
    wrote lies in `draft`, sealed, and the public columns are empty. `media` maps a file's name to its
    `size` and `sha256`. `adult` says that only adults may see it, `regions` where it may be shown, none for
    everywhere. Only the worker moves a row out of `processing`.
    """

    __tablename__ = "videos"
    # With an index on each, an embedded database may walk all that is published to find the newest of it.
    __table_args__ = (Index("videos_by_time", "status", "published_at"),)

    video_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=label("system", "public"))
    account_id: Mapped[str | None] = mapped_column(
        String(16), index=True, info=label("user.unique_id", "interop")
    )
    upload_id: Mapped[str | None] = mapped_column(
        String(16), unique=True, info=label("system.operations", "interop")
    )
    status: Mapped[str] = mapped_column(String(12), info=label("system.operations", "interop"))
    publish: Mapped[bool] = mapped_column(Boolean, info=label("system.operations", "interop"))
    problem_title: Mapped[str | None] = mapped_column(String(80), info=label("system.operations", "interop"))
    problem_detail: Mapped[str | None] = mapped_column(
        String(300), info=label("system.operations", "interop")
    )
    created_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "interop"))
    draft: Mapped[bytes | None] = mapped_column(Sealed, info=label("user.content.private", "protected"))
    opening: Mapped[bytes | None] = mapped_column(Sealed, info=label("user.content.private", "protected"))

    origin_cell: Mapped[str] = mapped_column(String(40), info=label("system", "public"))
    creator_handle: Mapped[str] = mapped_column(
        String(24), index=True, info=label("user.account.username", "public")
    )
    creator_name: Mapped[str] = mapped_column(String(50), info=label("user.account.settings", "public"))
    caption: Mapped[str] = mapped_column(String(300), default="", info=label("user.content.public", "public"))
    hashtags: Mapped[list[str]] = mapped_column(
        JSON, default=list, info=label("user.content.public", "public")
    )
    sound_id: Mapped[str | None] = mapped_column(String(16), info=label("user.content.public", "public"))
    sound_title: Mapped[str | None] = mapped_column(String(80), info=label("user.content.public", "public"))
    sound_artist: Mapped[str | None] = mapped_column(String(80), info=label("user.content.public", "public"))
    duration_ms: Mapped[int] = mapped_column(Integer, default=0, info=label("system", "public"))
    width: Mapped[int] = mapped_column(Integer, default=0, info=label("system", "public"))
    height: Mapped[int] = mapped_column(Integer, default=0, info=label("system", "public"))
    adult: Mapped[bool] = mapped_column(Boolean, default=False, info=label("user.content.public", "public"))
    regions: Mapped[list[str]] = mapped_column(
        JSON, default=list, info=label("user.content.public", "public")
    )
    media: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, info=label("system", "public"))
    published_at: Mapped[int | None] = mapped_column(BigInteger, info=label("system", "public"))


class VideoCountRow(Model):
    """How often a published video was viewed, liked and shared in this cell."""

    __tablename__ = "video_counts"
    # An embedded database then finds a row by one search, not by one for its number and one for the row.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own form

    video_id: Mapped[str] = mapped_column(
        ForeignKey("videos.video_id", ondelete="CASCADE"),
        primary_key=True,
        info=label("system", "public"),
    )
    views: Mapped[int] = mapped_column(BigInteger, default=0, info=label("system", "public"))
    likes: Mapped[int] = mapped_column(BigInteger, default=0, info=label("system", "public"))
    shares: Mapped[int] = mapped_column(BigInteger, default=0, info=label("system", "public"))


class WithdrawnVideoRow(Model):
    """What opens the entry of a withdrawal: all that is kept of a video that was published and taken back."""

    __tablename__ = "withdrawn_videos"

    video_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=label("system", "public"))
    commitment: Mapped[bytes] = mapped_column(
        LargeBinary, unique=True, info=label("system.operations", "public")
    )
    opening: Mapped[bytes] = mapped_column(LargeBinary, info=label("system.operations", "interop"))
