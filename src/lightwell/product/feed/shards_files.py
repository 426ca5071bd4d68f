"""The files of a split snapshot: written once whichever process comes first, whole or not there at all."""

import fcntl
import hashlib
import mmap
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lightwell.base.shard_files import INDEX, Index, folder_of, index_bytes, update_of
from lightwell.product.feed import snapshot_files
from lightwell.recommender.shards_front import Front
from lightwell.recommender.shards_split import split
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell

_KEPT: Final = 2
_UPDATES_KEPT: Final = 8


def shards_folder(cell: Cell) -> Path:
    """The folder that shards read from, and in which their sockets are; nobody else may look into it."""
    folder = cell.settings.path("shards")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def open_cover(cell: Cell, base: str) -> Front:
    """What a front needs of a base, which is split first if nobody has done that yet.

    Raises:
        SnapshotError, Problem, OSError: as `snapshot_files.open_base`.
    """
    shards = cell.settings.shards
    folder = folder_of(shards_folder(cell), base, shards)
    with _locked(shards_folder(cell)):
        if not (folder / INDEX).exists():
            held = snapshot_files.open_base(cell, base)
            try:
                write_parts(held.snapshot, shards, folder)
            finally:
                if held.file is not None:
                    held.file.close()
            _drop_old(folder.parent, _KEPT, folder.name, "base-")
    return read_cover(folder)


def put_update(cell: Cell, digest: str) -> bytes:
    """Lay an update where shards find it, and return it.

    Raises:
        Problem, OSError: the store has none or is away.
    """
    data = cell.objects.get(snapshot_files.update_key(digest))
    file = update_of(shards_folder(cell), digest)
    if not file.exists():
        draft = file.with_name(f"draft-{secrets.token_hex(4)}")
        draft.write_bytes(data)
        draft.replace(file)
        _drop_old(file.parent, _UPDATES_KEPT, file.name, "update-")
    return data


def write_parts(snapshot: Snapshot, shards: int, folder: Path) -> None:
    """Split a base into files of a folder, which is there whole or not at all.

    Raises:
        SnapshotError: as `split`.
    """
    draft = folder.with_name(f"draft-{secrets.token_hex(4)}")
    draft.mkdir()
    try:
        digests = {}
        for number, pieces in split(snapshot, shards):
            seen = hashlib.sha256()
            with (draft / ("cover" if number < 0 else str(number))).open("wb") as file:
                for piece in pieces:
                    seen.update(piece)
                    file.write(piece)
            digests[number] = seen.hexdigest()
        parts = [digests[number] for number in range(shards)]
        (draft / INDEX).write_bytes(index_bytes(Index(cover=digests[-1], parts=parts)))
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_cover(folder: Path) -> Front:
    """Map the cover of a base that was split.

    Raises:
        SnapshotError: altered or cut short.
        OSError: it is not there.
    """
    with (folder / "cover").open("rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Front.from_bytes(memoryview(whole), Index.read(folder).cover)


def _drop_old(folder: Path, kept: int, newest: str, prefix: str) -> None:
    """Remove all but the newest; what is still mapped stays readable to whoever maps it."""
    found = sorted(folder.glob(f"{prefix}*"), key=os.path.getmtime, reverse=True)
    for old in found[kept:]:
        if old.name == newest:
            continue
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
