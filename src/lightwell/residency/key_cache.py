"""Opened account keys, each for a short time after it was opened, then gone from memory.

The raw key is overwritten as soon as the cipher is made from it, and OpenSSL overwrites the cipher's own copy
when the last reference to it goes. What Python cannot promise: that a key was never copied to a swapped page,
or into a value that a back-end returned before it was overwritten.
"""

import threading
import time
from collections import OrderedDict
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lightwell.base.labels import declare_cache

declare_cache(
    "residency.keys", "opened account keys, 30 seconds", "user.authorization.credentials", "protected"
)

CACHE_SECONDS: Final = 30.0
CACHE_ACCOUNTS: Final = 20_000


class KeyCache:
    """At most `CACHE_ACCOUNTS` ciphers, each for `CACHE_SECONDS`; safe to share between threads.

    `held` is read without the lock on the way of every request: account to cipher, generation, and the
    monotonic time until which it may be used.
    """

    def __init__(self, seconds: float = CACHE_SECONDS) -> None:
        self.held: OrderedDict[str, tuple[AESGCM, int, float]] = OrderedDict()
        self._seconds = seconds
        self._lock = threading.Lock()
        self._sweep: threading.Timer | None = None

    def keep(self, account_id: str, cipher: AESGCM, generation: int) -> None:
        """Keep a cipher from now on; the oldest goes when there are too many."""
        with self._lock:
            self.held[account_id] = (cipher, generation, time.monotonic() + self._seconds)
            self.held.move_to_end(account_id)
            while len(self.held) > CACHE_ACCOUNTS:
                self.held.popitem(last=False)
            self._arm()

    def drop(self, account_id: str) -> None:
        """Forget one account's cipher."""
        with self._lock:
            self.held.pop(account_id, None)

    def clear(self) -> None:
        """Forget every cipher."""
        with self._lock:
            self.held.clear()
            if self._sweep is not None:
                self._sweep.cancel()
                self._sweep = None

    def _arm(self) -> None:
        # A key is gone after its time even if nobody asks for anything any more.
        if self._sweep is None and self.held:
            first = next(iter(self.held.values()))[2]
            self._sweep = threading.Timer(max(0.05, first - time.monotonic()), self._drop_old)
            self._sweep.daemon = True
            self._sweep.name = "keys"
            self._sweep.start()

    def _drop_old(self) -> None:
        with self._lock:
            self._sweep = None
            now = time.monotonic()
            # Kept in the order of their ends.
            while self.held and next(iter(self.held.values()))[2] <= now:
                self.held.popitem(last=False)
            self._arm()
