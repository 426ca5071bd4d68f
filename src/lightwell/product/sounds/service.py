"""The library is complete after `ensure_library`, and the same piece has the same id in every cell."""

import hashlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select

from lightwell.base import ffmpeg
from lightwell.base.clock import now_ms
from lightwell.base.confine import Limits
from lightwell.product.sounds.arrangement import Piece, perform
from lightwell.product.sounds.models import SoundRow
from lightwell.product.sounds.pieces import LIBRARY
from lightwell.product.sounds.queries import object_key
from lightwell.product.sounds.synthesis import RATE
from lightwell.residency.cell import Cell

_ENCODE = Limits(wall_seconds=60, cpu_seconds=30, memory_bytes=2 << 30, file_bytes=64 << 20)


def ensure_library(cell: Cell, progress: Callable[[int, int], None] | None = None) -> int:
    """Make and store every piece that the cell does not have; return how many were made.

    Args:
        cell: the open cell, its tables created.
        progress: called with pieces done and pieces to do, from any thread.

    Raises:
        RuntimeError: a piece could not be encoded.
    """
    with cell.database.read() as session:
        known = set(session.scalars(select(SoundRow.sound_id)))
    missing = [piece for piece in LIBRARY if sound_id(piece.slug) not in known]
    if not missing:
        return 0
    cell.settings.path("work").mkdir(mode=0o700, exist_ok=True)
    rows: list[SoundRow] = []
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda piece: _make(cell, piece), missing):
            rows.append(row)
            if progress is not None:
                progress(len(rows), len(missing))
    with cell.database.write() as session:
        # Another process may have been as fast: its rows are as good as ours.
        known = set(session.scalars(select(SoundRow.sound_id)))
        session.add_all([row for row in rows if row.sound_id not in known])
    return len(rows)


def sound_id(slug: str) -> str:
    """Return the id of a library piece: 16 hex characters that depend on its slug alone."""
    return hashlib.sha256(b"lightwell/sound/" + slug.encode()).hexdigest()[:16]


def encode(piece: Piece, folder: Path) -> bytes:
    """Perform a piece and return it as AAC in MP4.

    Args:
        piece: the score.
        folder: where temporary files may lie.

    Raises:
        RuntimeError: ffmpeg failed.
    """
    with tempfile.TemporaryDirectory(dir=folder) as made:
        inside = Path(made)
        perform(piece).tofile(inside / "loop.f32")
        # The fast coder costs a third of the thorough one; at this bit rate nobody hears which it was.
        arguments = ["-v", "error", "-y", "-f", "f32le", "-ar", str(RATE), "-ac", "2", "-i", "loop.f32"]
        arguments += ["-c:a", "aac", "-aac_coder", "fast", "-b:a", "128k", "-fflags", "+bitexact"]
        arguments += ["-flags:a", "+bitexact", "-movflags", "+faststart", "-f", "mp4", "loop.m4a"]
        finished = ffmpeg.run(arguments, inside, _ENCODE)
        if finished.code != 0:
            raise RuntimeError(f"{piece.slug} could not be encoded: {finished.stderr[-300:]}")
        return (inside / "loop.m4a").read_bytes()


def _make(cell: Cell, piece: Piece) -> SoundRow:
    data = encode(piece, cell.settings.path("work"))
    identifier = sound_id(piece.slug)
    cell.objects.put(object_key(identifier), data)
    return SoundRow(
        sound_id=identifier,
        title=piece.title,
        artist=piece.artist,
        style=piece.style,
        duration_ms=round(piece.seconds * 1000),
        bpm=piece.bpm,
        size_bytes=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        added_at=now_ms(),
    )
