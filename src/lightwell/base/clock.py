"""The time and fresh identifiers of a cell, in the units its tables and entries use."""

import secrets
import time


def now_ms() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def now_s() -> int:
    """Return whole seconds since the epoch."""
    return int(time.time())


def minute_s() -> int:
    """Return seconds since the epoch floored to the minute: as fine as an entry about a person may be."""
    return int(time.time()) // 60 * 60


def fresh_id() -> str:
    """Return 64 random bits as 16 lowercase hex characters."""
    return secrets.token_hex(8)
