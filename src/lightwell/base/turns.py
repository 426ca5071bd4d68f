"""Writers of one embedded database take turns: who waits is woken by the kernel as soon as it is free."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet


class Turn:
    """A turn that threads of many processes take one after another; one that has it may take it again.

    An embedded database's own way to wait is to sleep and look again, for longer each time, and whoever looks
    first goes first: a writer among several that are busy then waits for tens of milliseconds. The turn only
    spares it that. The database's own lock still decides, also about those who take no turn.

    Args:
        file: made if it is not there, and stays empty.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._depth = 0
        self._descriptor = -1
        _TURNS.add(self)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn for a block, after waiting for it.

        Raises:
            OSError: the file cannot be made.
        """
        with self._lock:
            self._enter(fcntl.LOCK_EX)
            try:
                yield
            finally:
                self._leave()

    @contextmanager
    def taken_if_free(self) -> Iterator[bool]:
        """Have the turn for a block if nobody has it; say whether.

        Raises:
            OSError: the file cannot be made.
        """
        if not self._lock.acquire(blocking=False):
            yield False
            return
        try:
            try:
                self._enter(fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                self._leave()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the file; the next turn opens it anew."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def forget(self) -> None:
        """Have no part in what this process's parent holds: its turn must end with it, whoever it started."""
        self._lock, self._depth = threading.RLock(), 0
        self.close()

    def _enter(self, how: int) -> None:
        if not self._depth:
            if self._descriptor < 0:
                self._descriptor = os.open(self._file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._descriptor, how)
        self._depth += 1

    def _leave(self) -> None:
        self._depth -= 1
        if not self._depth:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)


_TURNS: WeakSet[Turn] = WeakSet()


def _forget_all() -> None:
    for turn in _TURNS:
        turn.forget()


os.register_at_fork(after_in_child=_forget_all)
