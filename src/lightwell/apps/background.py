"""Named threads of one process that start together and end together."""

import os
import threading
from collections.abc import Callable

from lightwell.base.telemetry import log

_log = log("background")
_LATER, _LAST = 5, 19


class Background:
    """Runs functions of the form `run(stop)` in threads until `end`."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.failed = False
        self._threads: list[threading.Thread] = []

    def start(self, name: str, run: Callable[[threading.Event], object], *, gives_way: bool = False) -> None:
        """Run `run(stop)` in a thread; an exception it lets out stops the whole process's background.

        Args:
            name: of the thread.
            run: what it does.
            gives_way: whether the thread, and the processes it starts, go after others where the processor is
                short. It must not be one that others wait for.
        """
        thread = threading.Thread(target=self._guard, args=(name, run, gives_way), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def end(self, timeout: float = 10.0) -> None:
        """Ask every thread to stop and wait for each at most `timeout` seconds."""
        self.stop.set()
        for thread in self._threads:
            thread.join(timeout)

    def _guard(self, name: str, run: Callable[[threading.Event], object], gives_way: bool) -> None:
        try:
            if gives_way:
                # Of this thread alone, as Linux counts.
                thread = threading.get_native_id()
                own = os.getpriority(os.PRIO_PROCESS, thread)
                os.setpriority(os.PRIO_PROCESS, thread, min(own + _LATER, _LAST))
            run(self.stop)
        except BaseException as error:  # noqa: BLE001  a half-working process is worse than a stopped one
            _log.error("a background thread failed", error, thread=name)
            self.failed = True
            self.stop.set()
