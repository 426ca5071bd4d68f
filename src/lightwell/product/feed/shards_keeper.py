"""Keeps a cell's shard processes running: one that ends or answers nobody is started anew."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from lightwell.base import frames, shard_files
from lightwell.base.telemetry import log
from lightwell.recommender.shards_asked import MOST_MESSAGE_BYTES, Ask

_log = log("feed.shards")
_LOOK_SECONDS: Final = 0.25
_ASK_EVERY_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 3.0
_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 5.0
# Any question does: that nothing is held under this name is an answer too.
_ARE_YOU_THERE: Final = msgspec.msgpack.encode(Ask(snapshot="0" * 64))


class ShardKeeper:
    """Runs the shard processes of one cell while it is entered; they end with the process that entered it.

    Args:
        folder: where parts, updates and sockets are.
        shards: how many.
    """

    def __init__(self, folder: Path, shards: int) -> None:
        self._folder, self._shards = folder, shards
        self._stop = threading.Event()
        self._children: list[subprocess.Popen[bytes]] = []
        self._heard: list[float] = []
        self._threads: list[threading.Thread] = []

    @property
    def processes(self) -> list[int]:
        """The process ids, by shard."""
        return [child.pid for child in self._children]

    def __enter__(self) -> "ShardKeeper":
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._children = [self._start(shard) for shard in range(self._shards)]
        self._heard = [time.monotonic() + _START_SECONDS] * self._shards
        for run in (self._watch, self._listen):
            thread = threading.Thread(target=run, name="shards", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_END_SECONDS)
        for child in self._children:
            _end(child)

    def _start(self, shard: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lightwell.apps.shard"]
        # Its standard input ends when this process does, however that ends; so does it then.
        return subprocess.Popen(
            [*command, str(self._folder), str(shard), str(self._shards)], stdin=subprocess.PIPE
        )

    def _watch(self) -> None:
        """Start those anew that ended or were not heard of."""
        while not self._stop.wait(_LOOK_SECONDS):
            for shard, child in enumerate(self._children):
                ended = child.poll() is not None
                if not ended and time.monotonic() < self._heard[shard] + _SILENT_SECONDS:
                    continue
                _log.error("a shard is started anew", shard=shard, why="ended" if ended else "silent")
                _end(child, kill=True)
                self._children[shard] = self._start(shard)
                self._heard[shard] = time.monotonic() + _START_SECONDS

    def _listen(self) -> None:
        """Ask each whether it is there, again and again."""
        while not self._stop.wait(_ASK_EVERY_SECONDS):
            for shard in range(self._shards):
                if self._answers(shard):
                    self._heard[shard] = time.monotonic()

    def _answers(self, shard: int) -> bool:
        until = time.monotonic() + _ASK_EVERY_SECONDS
        try:
            with shard_files.connect(self._folder, shard) as link:
                frames.send(link, _ARE_YOU_THERE, until)
                return frames.receive(link, MOST_MESSAGE_BYTES, until) is not None
        except OSError:
            return False


def _end(child: "subprocess.Popen[bytes]", *, kill: bool = False) -> None:
    if kill:
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(_END_SECONDS)
