"""The bytes of snapshots: kept in the object store, and mapped from one local copy that processes share.

A local copy is made because a file that is cut short while it is mapped ends the process that reads it: what
happens to the store's own files then harms nobody who serves.
"""

import mmap
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem, not_found
from lightwell.base.labels import declare_prefix
from lightwell.base.settings import MIB
from lightwell.product.feed.models import SnapshotRow
from lightwell.recommender import live
from lightwell.recommender.snapshot import Snapshot, SnapshotError
from lightwell.residency.cell import Cell

# Learned from behaviour, about no one person: it stays at home.
declare_prefix("models", "system.operations", "interop")
declare_prefix("updates", "system.operations", "interop")

SMALL_BYTES: Final = 8 * MIB
"""Up to this size a snapshot is read as it is: sooner done than a thread is woken."""
_PIECE: Final = 16 * MIB
_COPIES_KEPT: Final = 3

UNREADABLE: Final = (SnapshotError, Problem, OSError)
"""What reading a snapshot may raise: it is altered, it is gone, or the store is away."""


def model_key(digest: str, name: str = "snapshot") -> str:
    """Where a file of a model lies: `snapshot`, `manifest.json`, `card.md`."""
    return f"models/{digest}/{name}"


def update_key(digest: str) -> str:
    """Where an update lies."""
    return f"updates/{digest}"


def key_of(digest: str, base: str) -> str:
    """Where the bytes of a snapshot of this digest and base lie."""
    return model_key(digest) if digest == base else update_key(digest)


def published_base(session: ReadSession, digest: str) -> str:
    """Return the base of a snapshot that was published: its own digest, if it is one.

    Raises:
        Problem: 404, none of this digest was published; 410, its bytes are kept no longer.
    """
    published = select(SnapshotRow).where(SnapshotRow.digest == digest)
    row = session.scalar(published.order_by(SnapshotRow.number.desc()).limit(1))
    if row is None:
        raise not_found("snapshot")
    if row.dropped_at is not None:
        day = datetime.fromtimestamp(row.dropped_at / 1000, UTC).date()
        detail = f"This snapshot is kept no longer: no slate could need it when it was deleted on {day}."
        raise Problem(410, "snapshot-not-kept", detail)
    return row.base


@dataclass(frozen=True, eq=False)
class Base:
    """A base snapshot that was checked, and the local file it is mapped from, if it is mapped."""

    snapshot: Snapshot
    file: IO[bytes] | None

    def with_update(self, data: bytes, expect: str) -> Snapshot:
        """The base and an update of it; what does not change stays shared with other processes.

        Raises:
            SnapshotError: as `live.apply`.
        """
        if self.file is None:
            return live.apply(self.snapshot, data, expect=expect)
        size = self.snapshot.rows_bytes
        rows = mmap.mmap(self.file.fileno(), size, access=mmap.ACCESS_COPY)
        return live.apply(self.snapshot, data, memoryview(rows), expect)


def open_base(cell: Cell, digest: str) -> Base:
    """Read a base and check every byte of it.

    Raises:
        SnapshotError: altered or cut short.
        Problem: 404, the store has none.
        OSError: the store or the disk fails.
    """
    size = cell.objects.size(model_key(digest))
    if size <= SMALL_BYTES:
        return Base(Snapshot.from_bytes(cell.objects.get(model_key(digest)), expect=digest), None)
    folder = cell.settings.path("serving")
    folder.mkdir(exist_ok=True)
    copy = folder / digest
    if not copy.exists() or copy.stat().st_size != size:
        _copy(cell, digest, size, copy)
        _drop_old(folder, keep=copy)
    file = copy.open("rb")
    try:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return Base(Snapshot.from_bytes(memoryview(whole), expect=digest), file)
    except (SnapshotError, ValueError) as error:
        file.close()
        # The next to ask copies it anew: it may be the copy alone that is bad.
        copy.unlink(missing_ok=True)
        raise SnapshotError(str(error)) from error


def _copy(cell: Cell, digest: str, size: int, copy: Path) -> None:
    draft = copy.with_name(f"{digest}.{secrets.token_hex(4)}")
    try:
        with draft.open("wb") as file:
            for start in range(0, size, _PIECE):
                file.write(cell.objects.get_range(model_key(digest), start, min(size, start + _PIECE)))
        draft.replace(copy)
    finally:
        draft.unlink(missing_ok=True)


def _drop_old(folder: Path, keep: Path) -> None:
    """Remove all copies but the newest; those still mapped stay readable to whoever maps them."""
    copies = sorted(folder.iterdir(), key=os.path.getmtime, reverse=True)
    for copy in copies[_COPIES_KEPT:]:
        if copy != keep:
            with suppress(OSError):
                copy.unlink()
