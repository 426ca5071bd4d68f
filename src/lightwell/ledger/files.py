"""The ledger's folder: a file is whole and durable under its name, or not there under it at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from lightwell.wire import merkle, tiles


class DurabilityError(RuntimeError):
    """The system could not say that data is on disk: the process must end, what it holds is not known."""


class LedgerFiles:
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

    def read_tile_file(self, path: str) -> bytes | None:
        """Return a tile or bundle; of a partial one whose file is gone, its part of the full one.

        Raises:
            TileError: the path is none of a tile or bundle.
        """
        level, index, width = tiles.parse_path(path)
        data = self.read(path)
        if data is not None or width == tiles.WIDTH:
            return data
        if level is None:
            full = self.read(tiles.bundle_path(index))
            if full is None:
                return None
            return tiles.encode_bundle(tiles.decode_bundle(full, tiles.WIDTH)[:width])
        full = self.read(tiles.tile_path(level, index))
        return None if full is None else full[: width * merkle.HASH_SIZE]

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Return a tile of at least `width` hashes, for `tiles.node_reader`.

        Raises:
            FileNotFoundError: it is not there.
        """
        path = tiles.tile_path(level, index, width)
        data = self.read_tile_file(path)
        if data is None:
            raise FileNotFoundError(path)
        return data

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files and return once each is durable under its name, and its folder with it.

        Raises:
            DurabilityError: an fsync failed. After that the kernel may have dropped the data and
                say nothing the next time, so there is no second try.
            OSError: anything else (a full disk, say); no file is then half there.
        """
        folders: set[Path] = set()
        drafts: list[tuple[Path, Path]] = []
        try:
            for path, data in files.items():
                target = self.folder / path
                self._make_folder(target.parent, folders)
                draft = target.with_name(f"{target.name}.{os.getpid()}.new")
                drafts.append((draft, target))
                _write_draft(draft, data)
            for draft, target in drafts:
                draft.replace(target)
                folders.add(target.parent)
        except BaseException:
            for draft, _ in drafts:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
            raise
        for folder in folders:
            _sync_folder(folder)

    def drop_drafts(self) -> None:
        """Delete what a killed process left half written beside the checkpoint.

        Below `tile` such drafts are left: they are found by no reader, and go with their folder.
        """
        for draft in self.folder.glob("*.new"):
            draft.unlink(missing_ok=True)

    def drop_partials(self, full_paths: list[str]) -> None:
        """Delete the partial files of tiles and bundles that are full now; they can be cut from these."""
        for path in full_paths:
            partial = self.folder / (path + ".p")
            # A reader may be in there, or another process may have been faster: the next one tries again.
            with contextlib.suppress(OSError):
                for file in list(partial.iterdir()):
                    file.unlink(missing_ok=True)
                partial.rmdir()
            self._known_folders.discard(partial)

    def _make_folder(self, folder: Path, to_sync: set[Path]) -> None:
        if folder in self._known_folders:
            return
        missing = []
        at = folder
        while not at.is_dir():
            missing.append(at)
            at = at.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            to_sync.add(new.parent)
        self._known_folders.add(folder)


def _write_draft(draft: Path, data: bytes) -> None:
    with draft.open("wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise DurabilityError(f"fsync of a ledger file failed: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise DurabilityError(f"fsync of a ledger folder failed: {error.strerror}") from error
    finally:
        os.close(descriptor)
