"""Reads of the sounds library."""

from typing import Any

from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.base.errors import not_found
from lightwell.base.labels import declare_prefix
from lightwell.product.sounds.models import SoundRow

declare_prefix("sounds", "user.content.public", "public")


def all_sounds(session: ReadSession) -> list[SoundRow]:
    """Return every sound, by title."""
    return list(session.scalars(select(SoundRow).order_by(SoundRow.title, SoundRow.sound_id)))


def get(session: ReadSession, sound_id: str) -> SoundRow:
    """Return one sound.

    Raises:
        Problem: 404, there is none with this id.
    """
    row = session.get(SoundRow, sound_id)
    if row is None:
        raise not_found("sound")
    return row


def view(row: SoundRow) -> dict[str, Any]:
    """Return a sound as `GET /api/sounds` lists it."""
    return {
        "sound_id": row.sound_id,
        "title": row.title,
        "artist": row.artist,
        "style": row.style,
        "duration_ms": row.duration_ms,
        "bpm": row.bpm,
        "url": f"/media/sounds/{row.sound_id}.m4a",
    }


def object_key(sound_id: str) -> str:
    """Return where a sound's file lies in the object store."""
    return f"sounds/{sound_id}.m4a"
