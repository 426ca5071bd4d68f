"""Works on parts of a training side by side, and keeps each result, sealed, until the model is made.

A part runs in a process forked from the one that trains, so that all share events and catalogue in memory.
What is kept is of people, if only in sums and rows without names: it is sealed by a key that is on no disk.
Whoever holds the key in memory can go on from there; once it is gone, so is what was kept.
"""

import multiprocessing
import os
import pickle
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lightwell.ledger.durable_file import save
from lightwell.residency import sealing
from lightwell.residency.sealing import SealError

Result = TypeVar("Result")

AT_ONCE: Final = 2
"""Parts at once: each takes up to 2 GiB where the regression is of its largest."""


class PartFailedError(RuntimeError):
    """The process that worked on a part ended without a result."""


class Keeping(msgspec.Struct, frozen=True):
    """Where results of parts are kept, one folder a training, and the key they are sealed by (32 bytes)."""

    folder: str
    key: bytes

    @classmethod
    def in_folder(cls, folder: Path) -> "Keeping":
        """Keep in a new folder, under a key drawn now."""
        return cls(str(folder), secrets.token_bytes(32))


class SideBySide:
    """A `Spread` over processes; what it returns does not depend on how many there are.

    Args:
        keeping: where to keep results, and to look for those of an earlier try; None keeps nothing.
        at_once: parts worked on at the same time, at least 1.
    """

    def __init__(self, keeping: Keeping | None, at_once: int = AT_ONCE) -> None:
        self._keeping = keeping
        self._at_once = at_once

    def __call__(self, work: Callable[[str], Result], parts: Sequence[str]) -> list[Result]:
        """Return `work(part)` of every part.

        Raises:
            PartFailedError: a process failed or was ended; the others are ended too.
            OSError: a result cannot be kept.
        """
        found: dict[str, bytes] = {}
        for part in parts:
            kept = self._read(part)
            if kept is not None:
                found[part] = kept
        waiting = [part for part in parts if part not in found]
        running: dict[Connection, tuple[BaseProcess, str]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._at_once:
                    part = waiting.pop(0)
                    reader, child = _begin(work, part)
                    running[reader] = child, part
                ready = wait(list(running))
                for reader in [one for one in running if one in ready]:
                    child, part = running.pop(reader)
                    found[part] = _result(reader, child, part)
                    self._keep(part, found[part])
        finally:
            for child, _ in running.values():
                child.kill()
                child.join()
        # These bytes are a child's own, by pipe or out of a seal that only this training's key opens.
        return [pickle.loads(found.pop(part)) for part in parts]  # noqa: S301

    def _file(self, part: str, folder: str) -> Path:
        return Path(folder) / part.replace(" ", "-")

    def _read(self, part: str) -> bytes | None:
        if self._keeping is None:
            return None
        try:
            sealed = self._file(part, self._keeping.folder).read_bytes()
            key = AESGCM(self._keeping.key)
            return sealing.unseal(key, sealed, "training", self._keeping.folder, "part", part)
        except (FileNotFoundError, SealError):
            # Not there, cut short or of another key: the part is worked on again.
            return None

    def _keep(self, part: str, data: bytes) -> None:
        if self._keeping is None:
            return
        folder = Path(self._keeping.folder)
        folder.mkdir(parents=True, exist_ok=True)
        nonce = secrets.token_bytes(sealing.NONCE_BYTES)
        key = AESGCM(self._keeping.key)
        sealed = sealing.seal(key, 0, nonce, data, "training", str(folder), "part", part)
        save(self._file(part, str(folder)), sealed)


def end_with(parent: int) -> None:
    """End this process, by a thread of its own, when the process that wants its result has ended."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _begin(work: Callable[[str], Any], part: str) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(work, part, writer, os.getpid()), daemon=True)
    child.start()
    writer.close()
    return reader, child


def _work(work: Callable[[str], Any], part: str, writer: Connection, parent: int) -> None:
    end_with(parent)
    writer.send_bytes(pickle.dumps(work(part), protocol=5))


def _result(reader: Connection, child: BaseProcess, part: str) -> bytes:
    try:
        return reader.recv_bytes()
    except (EOFError, OSError) as error:
        # Ended before it said anything, or in the middle of it.
        raise PartFailedError(f"{part}: its process ended without a result") from error
    finally:
        reader.close()
        child.join()
