"""Every process of a cell shows that it runs, so that work which needs the cell to itself finds out."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, event, inspect, select, text

from lightwell.base.clock import now_s
from lightwell.base.db import Database, WriteSession
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.presence_models import Reservation

_LOCK: Final = "running.lock"
_LEAVING_SECONDS: Final = 2.0
# Who else is connected: a dump that is being made counts, machinery of the server itself does not.
_OTHERS: Final = text(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
)
_shown: Final[dict[Path, int]] = {}


class NotAloneError(ValueError):
    """Another process works on the cell; the message is one line for its operator."""


def show(folder: Path) -> None:
    """Show, until this process ends, that it runs on the cell in `folder`.

    Raises:
        CellError: somebody has the cell to itself just now.
    """
    if folder in _shown:
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CellError(
            f"{folder}: a migration has this cell to itself; start this when it has ended"
        ) from None
    _shown[folder] = lock


def require_free(cell: Cell) -> None:
    """Refuse to start while unfinished work has the cell to itself, on whichever machine it was begun.

    Raises:
        CellError: saying which.
    """
    if not inspect(cell.database.engine).has_table(Reservation.__tablename__):
        return
    with cell.database.read() as session:
        work = session.scalar(select(Reservation.work).limit(1))
    if work is not None:
        raise CellError(f"an unfinished {work} has cell {cell.settings.cell} to itself: finish that first")


def reserve(session: WriteSession, work: str) -> None:
    """Let no process of the cell start from the commit on; done twice, it is one reservation."""
    if session.get(Reservation, work) is None:
        session.add(Reservation(work=work, since=now_s()))


def release(session: WriteSession, work: str) -> None:
    """Let processes start again from the commit on; without a reservation it is no error."""
    session.execute(delete(Reservation).where(Reservation.work == work))


class Alone:
    """The cell to oneself, as `alone` gave it; `check` says whether that still holds."""

    def __init__(self, cell: Cell, own: set[int]) -> None:
        self._cell, self._own = cell, own

    def check(self) -> None:
        """Look again whether others are connected to the cell's database.

        Nobody on this machine can be, for the lock; a server of databases is reached from others too.

        Raises:
            NotAloneError: somebody is.
        """
        database = self._cell.database
        if database.is_sqlite:
            return
        until = time.monotonic() + _LEAVING_SECONDS
        while others := self._others(database):
            # Who has just gone is listed for a moment more.
            if time.monotonic() > until:
                raise NotAloneError(
                    f"{others} others are connected to the database of cell {self._cell.settings.cell}:"
                    " stop its processes first"
                )
            time.sleep(0.05)

    def _others(self, database: Database) -> int:
        with database.engine.connect() as connection:
            return sum(row[0] not in self._own for row in connection.execute(_OTHERS))


@contextmanager
def alone(cell: Cell) -> Iterator[Alone]:
    """Have a cell to oneself: no process that called `show` runs on it, and none starts meanwhile.

    Args:
        cell: open in this process, which has not called `show` for it.

    Raises:
        NotAloneError: some process works on it.
    """
    folder = cell.settings.folder
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    own: set[int] = set()

    def remember(connection: Any, _: Any) -> None:
        own.add(connection.info.backend_pid)

    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotAloneError(
                f"processes of cell {cell.settings.cell} run on {folder}: stop them first"
            ) from None
        if not cell.database.is_sqlite:
            event.listen(cell.database.engine, "connect", remember)
            # Connections from before would be taken for somebody else's.
            cell.database.dispose()
        found = Alone(cell, own)
        found.check()
        yield found
    finally:
        if not cell.database.is_sqlite and event.contains(cell.database.engine, "connect", remember):
            event.remove(cell.database.engine, "connect", remember)
        os.close(lock)
