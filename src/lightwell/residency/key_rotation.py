"""The cell key changes while the cell serves: every account key is wrapped anew before the old version goes.

A rotation has four states, each durable before the next begins, so that it can stop anywhere and go on:
the new version is made and becomes `current`, the old one is `retiring` while account keys are wrapped anew
in portions, `retired` when none is left under it, and after a pause for whoever still reads, `destroyed`.
Data keys stay as they are, so nothing sealed is touched. Once a version is destroyed, a copy of the database
from before opens nowhere, neither for erased accounts nor for others.
"""

import threading
import time
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from lightwell.base.clock import now_ms, now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.residency.cell import Cell
from lightwell.residency.key_versions import current_version
from lightwell.residency.keys_models import AccountKey, CellKey
from lightwell.residency.root_keys import VaultError
from lightwell.wire.entries import CellKeyChanged

PORTION: Final = 1000
PAUSE_SECONDS: Final = 30.0
"""From `retired` to `destroyed`: longer than any read that can still hold a row from before."""
LOOK_SECONDS: Final = 1.0
_log = log("keys")


class RotationError(ValueError):
    """A rotation is under way already."""


class Version(Struct, frozen=True):
    """One version of the cell key: its state, how many accounts it wraps, and its times in milliseconds."""

    version: int
    state: str
    accounts: int
    made_at: int
    retired_at: int | None
    destroyed_at: int | None


def begin(cell: Cell) -> int:
    """Make a new version of the cell key and let it wrap everything from now on; return its number.

    The worker takes over what the old version wraps. The key is durable before anything relies on it; one
    that was made by a rotation which got no further is taken, nothing was ever wrapped by it.

    Raises:
        RotationError: the last rotation is not finished.
        VaultError: the back-end makes no key.
    """
    with cell.database.write() as session:
        # Waits for every transaction that is making an account under the old version.
        old = current_version(session, to_change=True)
        unfinished = session.scalar(select(CellKey.version).where(CellKey.state.in_(("retiring", "retired"))))
        if unfinished is not None:
            raise RotationError(f"version {unfinished} of the cell key is still being rotated out")
        new = old + 1
        cell.vault.root.make_version(new)
        session.execute(update(CellKey).where(CellKey.version == old).values(state="retiring"))
        session.add(CellKey(version=new, state="current", made_at=now_ms()))
        enqueue(session, CellKeyChanged(at=now_s(), version=new, change="made"))
    return new


def versions(session: ReadSession) -> list[Version]:
    """Return every version that this cell's key ever had, oldest first."""
    grouped = select(AccountKey.cell_key, func.count()).group_by(AccountKey.cell_key)
    counted = {row[0]: row[1] for row in session.execute(grouped)}
    rows = session.scalars(select(CellKey).order_by(CellKey.version)).all()
    return [
        Version(
            row.version, row.state, counted.get(row.version, 0), row.made_at, row.retired_at, row.destroyed_at
        )
        for row in rows
    ]


def work(cell: Cell, portion: int = PORTION, pause_seconds: float = PAUSE_SECONDS) -> bool:
    """Take a rotation one step further; say whether there is more to do right now.

    Any number of processes may do this at once, and any of them may be killed at any point.

    Args:
        cell: the open cell.
        portion: how many account keys are wrapped anew in one transaction.
        pause_seconds: how long a version is kept after it has become empty.
    """
    with cell.database.read() as session:
        old = session.scalar(
            select(CellKey).where(CellKey.state.in_(("retiring", "retired"))).order_by(CellKey.version)
        )
        current = session.scalar(select(CellKey.version).where(CellKey.state == "current"))
        if old is None or current is None:
            return False
        state, version, retired_at = old.state, old.version, old.retired_at or 0
        rows = session.execute(
            select(AccountKey.account_id, AccountKey.generation, AccountKey.wrapped)
            .where(AccountKey.cell_key == version)
            .limit(portion)
        ).all()
    if rows:
        _take_over(cell, [(row[0], row[1], row[2]) for row in rows], current)
        return True
    if state == "retiring":
        return _retire(cell, version)
    if now_ms() - retired_at < pause_seconds * 1000:
        return False
    # The key goes first: if this ends in between, it is destroyed again, and then written down.
    cell.vault.root.destroy_version(version)
    with cell.database.write() as session:
        # Another process may have been quicker: it is recorded once.
        row = session.scalar(
            select(CellKey).where(CellKey.version == version, CellKey.state == "retired").with_for_update()
        )
        if row is not None:
            row.state, row.destroyed_at = "destroyed", now_ms()
            enqueue(session, CellKeyChanged(at=now_s(), version=version, change="destroyed"))
    _log.info("a version of the cell key is destroyed", version=version)
    return False


def run(cell: Cell, stop: threading.Event, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Take rotations further until `stop` is set; meant for a thread of the worker."""
    while not stop.is_set():
        try:
            more = work(cell, pause_seconds=pause_seconds)
        except (SQLAlchemyError, VaultError, OSError) as error:
            _log.error("a rotation of the cell key came to a halt, trying again", error)
            more = False
        if not more:
            stop.wait(LOOK_SECONDS)


def forget_destroyed(cell: Cell, known: set[int]) -> None:
    """Drop from this process's memory the versions that were destroyed since it last looked.

    Args:
        cell: the open cell.
        known: those that were dropped before; added to.
    """
    with cell.database.read() as session:
        gone = set(session.scalars(select(CellKey.version).where(CellKey.state == "destroyed")))
    for version in gone - known:
        cell.vault.root.forget_version(version)
    known |= gone


def wait_until_done(cell: Cell, seconds: float, seen: Any = None) -> bool:
    """Wait until no rotation is under way, at most so long; say whether that came to be.

    Args:
        cell: the open cell; another process does the work.
        seconds: how long at most.
        seen: called with the versions each time they are looked at.
    """
    until = time.monotonic() + seconds
    while True:
        with cell.database.read() as session:
            found = versions(session)
        if seen is not None:
            seen(found)
        if not any(one.state in ("retiring", "retired") for one in found):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.2)


def _take_over(cell: Cell, rows: list[tuple[str, int, bytes]], version: int) -> None:
    # Wrapping is done before the transaction, which then only replaces what is still as it was read: an
    # account erased meanwhile stays erased, and nobody waits for a slow key module.
    changed = [
        {
            "whose": account_id,
            "before": wrapped,
            "after": cell.vault.rewrap(account_id, generation, wrapped, version),
        }
        for account_id, generation, wrapped in rows
    ]
    table: Any = AccountKey.__table__
    statement = (
        update(table)
        .where(table.c.account_id == bindparam("whose"), table.c.wrapped == bindparam("before"))
        .values(cell_key=version, wrapped=bindparam("after"))
    )
    with cell.database.write() as session:
        session.connection().execute(statement, changed)


def _retire(cell: Cell, version: int) -> bool:
    """Retire a version under which nothing was found; say whether something is there after all."""
    with cell.database.write() as session:
        # Waits for every transaction that began to make an account while this version was current.
        _lock(session, version)
        if session.scalar(select(func.count()).where(AccountKey.cell_key == version)):
            return True
        session.execute(
            update(CellKey)
            .where(CellKey.version == version, CellKey.state == "retiring")
            .values(state="retired", retired_at=now_ms())
        )
    return False


def _lock(session: WriteSession, version: int) -> None:
    session.execute(select(CellKey.version).where(CellKey.version == version).with_for_update())
