"""A ledger as anybody reads it, in a folder or over HTTP: answers are bounded, and none is believed."""

from __future__ import annotations

import contextlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import msgspec

from lightwell.ledger.download import Download, UnreadableError
from lightwell.wire import tiles
from lightwell.wire.audit import Read
from lightwell.wire.merkle import HASH_SIZE
from lightwell.wire.note import NOTE_LIMIT

_CONNECTIONS = 4
"""Files fetched at once when reading ahead over HTTP."""
_AHEAD_FILES = 16
_AHEAD_BYTES = 32 * 1024 * 1024
"""Read ahead, at most so many files and (but for those on their way) bytes wait to be asked for."""


def limit(path: str) -> int:
    """Return how many bytes the file at `path` (below the log's prefix) has at most, by its format."""
    if path.startswith("tile/entries/"):
        return tiles.WIDTH * (2 + tiles.ENTRY_LIMIT)
    return tiles.WIDTH * HASH_SIZE if path.startswith("tile/") else NOTE_LIMIT


class Ledger(ABC):
    """The files of one ledger; whoever opened it closes it."""

    where: str
    """The folder or the address, as it was given."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return the bytes at a path below the log's prefix, None if there is nothing.

        Of a file longer than its format allows one byte too many is returned, so that it shows.

        Raises:
            UnreadableError: it cannot be said whether it is there, or what is in it.
        """

    @contextlib.contextmanager
    def reading(self, paths: Iterable[str]) -> Iterator[Read]:
        """Give a reader that is fast if asked for `paths` in their order, and right in any case."""
        del paths
        yield self.read

    def hint(self, leaf_hash: bytes) -> int | None:
        """Return where the ledger says the entry of a leaf hash is, None if it does not say.

        Only a hint: no proof comes with it.
        """
        del leaf_hash
        return None

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""


class Folder(Ledger):
    """A ledger's files in a folder.

    Args:
        path: the ledger's folder, or that of a cell, whose log is below `ledger`.

    Raises:
        UnreadableError: there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise UnreadableError(f"{path} is no folder")
        self.where = str(path)
        below = path / "ledger"
        inner = not (path / tiles.CHECKPOINT_PATH).exists() and (below / tiles.CHECKPOINT_PATH).is_file()
        self.path = below if inner else path

    def read(self, path: str) -> bytes | None:
        """As `Ledger.read`; what is no regular file is not there."""
        try:
            # Opening a pipe would wait for its writer.
            handle = os.open(self.path / path, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror}") from None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            with open(handle, "rb", closefd=False) as file:
                return file.read(limit(path) + 1)
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror}") from None
        finally:
            os.close(handle)

    def close(self) -> None:
        """As `Ledger.close`: nothing is open."""

    def files(self) -> Iterator[str]:
        """Return the path of every file in the folder, below it, in no order."""
        for folder, _, names in os.walk(self.path):
            below = os.path.relpath(folder, self.path)
            for name in names:
                yield name if below == "." else f"{below}/{name}"


class Address(Ledger):
    """A ledger over HTTP.

    Args:
        url: the prefix of the log, or the address of a cell, whose log is below `/ledger`.
        tries: how often a file is asked for while the server is busy or does not answer.

    Raises:
        UnreadableError: no address of a log.
    """

    def __init__(self, url: str, tries: int = 3) -> None:
        self.where = url
        self._given = url.rstrip("/")
        self._prefix: str | None = None
        self._download = Download(url, tries)

    def read(self, path: str) -> bytes | None:
        """As `Ledger.read`."""
        if path == tiles.CHECKPOINT_PATH and self._prefix is None:
            return self._find()
        prefix = self._given if self._prefix is None else self._prefix
        return self._download.get(f"{prefix}/{path}", limit(path))

    @contextlib.contextmanager
    def reading(self, paths: Iterable[str]) -> Iterator[Read]:
        """As `Ledger.reading`, over a few connections."""
        ahead = _ReadAhead(self.read, paths)
        try:
            yield ahead
        finally:
            ahead.close()

    def hint(self, leaf_hash: bytes) -> int | None:
        """As `Ledger.hint`: what a cell answers at `proof?leaf=`; a log of plain files has no such answer."""
        address = f"{self._prefix or self._given}/proof?leaf={leaf_hash.hex()}"
        try:
            answer = self._download.get(address, 2 * NOTE_LIMIT)
            return None if answer is None else _decode_hint(answer).index
        except (UnreadableError, msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def close(self) -> None:
        """Close the connections."""
        self._download.close()

    def _find(self) -> bytes | None:
        """Return the checkpoint, and remember under which of the two prefixes it is."""
        first: bytes | None = None
        trouble: UnreadableError | None = None
        for prefix in (self._given, f"{self._given}/ledger"):
            try:
                data = self._download.get(f"{prefix}/{tiles.CHECKPOINT_PATH}", NOTE_LIMIT)
            except UnreadableError as error:
                trouble = trouble or error
                continue
            if data is not None and b"\n\n\xe2\x80\x94 " in data:
                self._prefix = prefix
                return data
            first = data if first is None else first
        if trouble is not None and first is None:
            raise trouble
        return first


def open_ledger(where: str, tries: int = 3) -> Ledger:
    """Open the ledger at an address (`http://`, `https://`) or in a folder.

    Args:
        where: the log's, or the cell's whose log it is.
        tries: how often a file is asked for over HTTP before it counts as unreadable.

    Raises:
        UnreadableError: no such folder, or no address of this kind.
    """
    if where.startswith(("http://", "https://")):
        return Address(where, tries)
    if "://" in where:
        raise UnreadableError(f"{where}: only http and https addresses are read")
    return Folder(Path(where))


class _Hint(msgspec.Struct):
    index: Annotated[int, msgspec.Meta(ge=0)]


_decode_hint = msgspec.json.Decoder(_Hint).decode


class _ReadAhead:
    """Reads files on a few threads before they are asked for; whoever asks gets them in any order."""

    def __init__(self, read: Read, paths: Iterable[str]) -> None:
        self._read = read
        self._paths = iter(paths)
        self._pending: dict[str, Future[bytes | None]] = {}
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "read-ahead")

    def __call__(self, path: str) -> bytes | None:
        self._fill()
        future = self._pending.pop(path, None)
        return self._read(path) if future is None else future.result()

    def close(self) -> None:
        """Ask for nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _fill(self) -> None:
        while len(self._pending) < _AHEAD_FILES and (not self._pending or self._waiting() < _AHEAD_BYTES):
            path = next(self._paths, None)
            if path is None:
                return
            self._pending[path] = self._threads.submit(self._read, path)

    def _waiting(self) -> int:
        done = (one for one in self._pending.values() if one.done() and not one.exception())
        return sum(len(one.result() or b"") for one in done)
