"""A ledger in a local folder: a file is whole and durable under its name, or not there under it at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lightwell.ledger.errors import ConflictError, DurabilityError
from lightwell.wire.tiles import CHECKPOINT_PATH

_LOCK = ".publish.lock"
_OPEN_FILES = 256


class Folder:
    """Reads and writes the files of a tlog-tiles ledger below one folder.

    Args:
        folder: the ledger's folder, made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._known_folders: set[Path] = set()

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the file at `path`, None if there is none."""
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files that never change, and return once each is durable under its name.

        Raises:
            DurabilityError: an fsync failed. After that the kernel may have dropped the data and
                say nothing the next time, so there is no second try.
            ConflictError: a file is there with other bytes; it is left as it is.
            OSError: anything else (a full disk, say); no file is then half there.
        """
        paths = list(files)
        for at in range(0, len(paths), _OPEN_FILES):
            self._write_some({path: files[path] for path in paths[at : at + _OPEN_FILES]})

    def publish(self, note: bytes, previous: bytes | None) -> None:
        """Replace the checkpoint, durably, if it still is `previous`.

        Args:
            note: the new signed checkpoint.
            previous: the bytes of the one to be replaced; None if there must be none.

        Raises:
            ConflictError: another writer has published since.
            DurabilityError, OSError: as `write`.
        """
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError("another writer is publishing") from None
            if self.read(CHECKPOINT_PATH) != previous:
                raise ConflictError("another writer has published")
            self._write_some({CHECKPOINT_PATH: note}, replace=True)
        finally:
            os.close(lock)

    def tidy(self) -> None:
        """Delete what a killed process left half written beside the checkpoint.

        Below `tile` such drafts are left: they are found by no reader, and go with their folder.
        """
        for draft in self.folder.glob("*.new"):
            draft.unlink(missing_ok=True)

    def drop_partials(self, full_paths: Iterable[str]) -> None:
        """Delete the partial files of tiles and bundles that are full now; they can be cut from these."""
        for path in full_paths:
            partial = self.folder / (path + ".p")
            # A reader may be in there, or another process may have been faster: the next one tries again.
            with contextlib.suppress(OSError):
                for file in list(partial.iterdir()):
                    os.unlink(file)
                os.rmdir(partial)
            self._known_folders.discard(partial)

    def _write_some(self, files: Mapping[str, bytes], replace: bool = False) -> None:
        folders: set[Path] = set()
        drafts: list[tuple[int, Path, Path]] = []
        try:
            for path, data in files.items():
                target = self.folder / path
                self._make_folder(target.parent, folders)
                if not replace and self._is_there(target, data):
                    folders.add(target.parent)
                    continue
                draft = target.with_name(f"{target.name}.{os.getpid()}.new")
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                descriptor = os.open(draft, flags, 0o644)
                drafts.append((descriptor, draft, target))
                _write_all(descriptor, data)
            # All are written before the first is waited for, so that the disk may take them together.
            for descriptor, _, _ in drafts:
                _sync(descriptor)
            for _, draft, target in drafts:
                os.replace(draft, target)
                folders.add(target.parent)
        except BaseException:
            for _, draft, _ in drafts:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
            raise
        finally:
            for descriptor, _, _ in drafts:
                os.close(descriptor)
        for folder in folders:
            _sync_path(folder, os.O_DIRECTORY)

    def _is_there(self, target: Path, data: bytes) -> bool:
        """Say whether `target` holds `data` already: written before a crash, or by another."""
        if not target.exists():
            return False
        if target.read_bytes() != data:
            raise ConflictError(f"{target.relative_to(self.folder)} is there with other bytes")
        # That writer may have ended before its own fsync.
        _sync_path(target, 0)
        return True

    def _make_folder(self, folder: Path, to_sync: set[Path]) -> None:
        if folder in self._known_folders:
            return
        at, new = folder, [folder]
        while at != self.folder:
            at = at.parent
            new.append(at)
        for one in reversed(new):
            if not one.is_dir():
                with contextlib.suppress(FileExistsError):
                    os.mkdir(one)
            # Even one that was there may be another writer's, not yet durable.
            to_sync.add(one.parent if one != self.folder else one)
        self._known_folders.add(folder)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise DurabilityError(f"fsync in the ledger's folder failed: {error.strerror}") from error


def _sync_path(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)
