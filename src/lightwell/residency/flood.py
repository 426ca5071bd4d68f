"""Refusals that anybody can cause fill neither the ledger nor the disk: past a rate they get only a 429."""

import threading
import time
from collections import deque

from lightwell.base.errors import Problem


class Flood:
    """Counts refusals of one kind in this process.

    Args:
        per_minute: how many are recorded in any sixty seconds.
    """

    def __init__(self, per_minute: int) -> None:
        self._times: deque[float] = deque(maxlen=per_minute)
        self._lock = threading.Lock()

    def count(self) -> None:
        """Count one refusal that is about to be recorded.

        Raises:
            Problem: 429 `too-many-refusals`, over the rate; record nothing then.
        """
        now = time.monotonic()
        with self._lock:
            if len(self._times) == self._times.maxlen and self._times[0] > now - 60:
                raise Problem(429, "too-many-refusals", "Too many requests were refused here; wait a minute.")
            self._times.append(now)
