"""An embedded database has room for transactions of thousands of rows while a migration runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import event

from lightwell.base.db import Database

# What a portion touches lies scattered over every index: with less room, pages are written again and again.
_ROOM: Final = ("cache_size=-131072", "wal_autocheckpoint=131072")


@contextmanager
def roomy(*databases: Database) -> Iterator[None]:
    """Let connections keep 128 MB of pages, and 512 MB of the log before pages leave it.

    Durability stays as it is: a commit still waits for the disk.
    """
    embedded = [database for database in databases if database.is_sqlite]
    for database in embedded:
        event.listen(database.engine, "connect", _give)
        # Only connections that are opened from now on have it.
        database.dispose()
    try:
        yield
    finally:
        for database in embedded:
            event.remove(database.engine, "connect", _give)
            database.dispose()


def _give(connection: Any, _: Any) -> None:
    for pragma in _ROOM:
        connection.execute(f"PRAGMA {pragma}").close()
