"""A shard process: it maps a part of the catalogue and answers about it; it has no key, store or network."""

import mmap
import os
import socket
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import msgspec

from lightwell.base import frames, shard_files
from lightwell.base.labels import declare_cache
from lightwell.base.telemetry import log
from lightwell.recommender import kernels
from lightwell.recommender.shards_asked import (
    MOST_MESSAGE_BYTES,
    Ask,
    Done,
    Failed,
    Open,
    Opened,
    Question,
    Reply,
    Settle,
)
from lightwell.recommender.shards_part import AskedError, Part
from lightwell.recommender.snapshot import SnapshotError

declare_cache("apps.shard", "parts of snapshots", "system.operations", "interop")

_log = log("shard")
_BASES_KEPT: Final = 2
_HELD: Final = 4
_SEND_SECONDS: Final = 10.0
_CONNECTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"})

_encode = msgspec.msgpack.Encoder().encode
_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)


class Shard:
    """Holds one part of each of the newest snapshots that it was told to open.

    Args:
        folder: where parts and updates are; see `base.shard_files`.
        number, shards: which part of how many.
    """

    def __init__(self, folder: Path, number: int, shards: int) -> None:
        self._folder, self._number, self._shards = folder, number, shards
        self._opening = threading.Lock()
        self._bases: OrderedDict[str, Part] = OrderedDict()
        self._opened: OrderedDict[str, Part] = OrderedDict()
        self._settled: OrderedDict[str, Part] = OrderedDict()

    def reply(self, message: bytes | bytearray) -> Reply:
        """Do or answer what a message asks; whatever it holds, there is a reply."""
        try:
            question = _questions.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Failed("malformed")
        try:
            if isinstance(question, Ask):
                part = self._settled.get(question.snapshot)
                return Failed("absent") if part is None else part.answer(question)
            with self._opening:
                return self._open(question) if isinstance(question, Open) else self._settle(question)
        except AskedError as error:
            return Failed("too-long" if str(error) == "too-long" else "malformed")
        except (SnapshotError, OSError) as error:
            _log.error("a part cannot be read", error)
            return Failed("unreadable")

    def _open(self, wanted: Open) -> Reply:
        held = self._settled.get(wanted.snapshot) or self._opened.get(wanted.snapshot)
        if held is None:
            base = self._bases.get(wanted.base)
            if base is None:
                base = self._bases[wanted.base] = self._map(wanted.base)
            self._bases.move_to_end(wanted.base)
            _keep(self._bases, _BASES_KEPT)
            if wanted.snapshot == wanted.base:
                held = self._settled[wanted.snapshot] = base
            else:
                data = shard_files.update_of(self._folder, wanted.snapshot).read_bytes()
                held = self._opened[wanted.snapshot] = base.with_update(data, wanted.snapshot)
            _keep(self._opened, 1)
            _keep(self._settled, _HELD)
        return Opened(totals=held.totals())

    def _settle(self, wanted: Settle) -> Reply:
        if wanted.snapshot not in self._settled:
            opened = self._opened.get(wanted.snapshot)
            if opened is None:
                return Failed("absent")
            self._settled[wanted.snapshot] = opened.settle(wanted.totals)
            del self._opened[wanted.snapshot]
            _keep(self._settled, _HELD)
        return Done()

    def _map(self, base: str) -> Part:
        folder = shard_files.folder_of(self._folder, base, self._shards)
        digest = shard_files.Index.read(folder).parts[self._number]
        with (folder / str(self._number)).open("rb") as file:
            return Part.from_bytes(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), digest)


def serve(folder: Path, number: int, shards: int) -> None:
    """Answer fronts until the standard input ends, as it does when the process that started this one does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kernels.warm()
    sys.addaudithook(_refuse_connections)
    shard = Shard(folder, number, shards)
    with shard_files.listen(folder, number) as listener:
        while True:
            talk, _ = listener.accept()
            threading.Thread(target=_answer, args=(shard, talk), daemon=True).start()


def _answer(shard: Shard, talk: socket.socket) -> None:
    with talk:
        try:
            while (message := frames.receive(talk, MOST_MESSAGE_BYTES, None)) is not None:
                reply = _encode(shard.reply(message))
                if len(reply) > MOST_MESSAGE_BYTES:
                    reply = _encode(Failed("too-long"))
                frames.send(talk, reply, time.monotonic() + _SEND_SECONDS)
        except frames.FrameError:
            return
        except Exception as error:  # noqa: BLE001  the front is told by the end of the connection
            _log.error("a question could not be answered", error)


def _keep(kinds: OrderedDict[str, Part], most: int) -> None:
    while len(kinds) > most:
        kinds.popitem(last=False)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _refuse_connections(event: str, _args: tuple[Any, ...]) -> None:
    if event in _CONNECTS:
        raise PermissionError("a shard opens no connection")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
