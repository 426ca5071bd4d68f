"""The stored form of the sounds library: everything in it is public."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from lightwell.base.db import Model
from lightwell.base.labels import label


class SoundRow(Model):
    """One piece of music that a video can be set to."""

    __tablename__ = "sounds"

    sound_id: Mapped[str] = mapped_column(String(16), primary_key=True, info=label("system", "public"))
    title: Mapped[str] = mapped_column(String(80), info=label("user.content.public", "public"))
    artist: Mapped[str] = mapped_column(String(80), info=label("user.content.public", "public"))
    style: Mapped[str] = mapped_column(String(40), info=label("user.content.public", "public"))
    duration_ms: Mapped[int] = mapped_column(Integer, info=label("system", "public"))
    bpm: Mapped[int] = mapped_column(Integer, info=label("system", "public"))
    size_bytes: Mapped[int] = mapped_column(Integer, info=label("system", "public"))
    digest: Mapped[str] = mapped_column(String(64), info=label("system", "public"))
    added_at: Mapped[int] = mapped_column(BigInteger, info=label("system.operations", "public"))
