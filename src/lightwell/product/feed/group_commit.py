"""Many slates, one fsync and one signature: all are durable before any of their answers leaves."""

import asyncio
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

import msgspec
from sqlalchemy.exc import IntegrityError

from lightwell.base.clock import now_s
from lightwell.base.db import Database
from lightwell.base.errors import Problem
from lightwell.ledger.queue import PreparedEntry, write_prepared
from lightwell.product.feed.models import SlateRecordRow
from lightwell.wire.keys import SigningKey
from lightwell.wire.promise import make_promises

MAX_GROUP = 256
PROMISE_SECONDS = 10
_QUICK_SECONDS = 0.004
_INSERT = (
    f"INSERT INTO {SlateRecordRow.__tablename__} (leaf, commitment, account_id, sealed)"  # noqa: S608  no value
    " VALUES (?, ?, ?, ?)"
)


class Prepared(msgspec.Struct):
    """A slate that is ranked and sealed but not yet durable, and the entry that commits to it."""

    account_id: str
    commitment: bytes
    sealed: bytes
    entry: PreparedEntry


class _Group:
    """Slates of one event loop that came within one turn of it, each with the future that waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: list[tuple[Prepared, asyncio.Future[str]]] = []


class GroupCommit:
    """One thread that writes whatever slates wait, together, in one transaction after another.

    Args:
        database: the cell's database.
        key: the ledger's key, which signs the promises of a group.
        origin: the ledger's origin.
    """

    def __init__(self, database: Database, key: SigningKey, origin: str) -> None:
        self._database = database
        self._key = key
        self._origin = origin
        self._is_quick = False
        self._open: _Group | None = None
        self._waiting: SimpleQueue[_Group | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    async def durable(self, prepared: Prepared) -> str:
        """Return the promise for a slate once its record and entry are on disk; for one event loop only.

        Raises:
            Problem: 401, the viewer's account was erased meanwhile.
            DBAPIError: whatever else kept them from it; nothing of the slate is stored then.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        group = self._open
        if group is None or group.loop is not loop:
            # Requests that the loop has at hand are ranked before it comes to this call: they go together,
            # and one that is alone waits for nobody.
            self._open = group = _Group(loop)
            loop.call_soon(self._hand_over, group)
        group.waiting.append((prepared, answer))
        return await answer

    def close(self) -> None:
        """Write what waits, then stop."""
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _hand_over(self, group: _Group) -> None:
        if self._open is group:
            self._open = None
        if self._is_quick:
            # Where the disk answers at once, going through another thread and back takes longer than waiting.
            with self._database.turn_if_free() as is_mine:
                if is_mine:
                    self._commit([group])
                    return
        self._waiting.put(group)

    def _run(self) -> None:
        while (group := self._waiting.get()) is not None:
            groups = [group]
            last = False
            while not self._waiting.empty() and sum(len(one.waiting) for one in groups) < MAX_GROUP:
                following = self._waiting.get()
                if following is None:
                    last = True
                    break
                groups.append(following)
            self._commit(groups)
            if last:
                return

    def _commit(self, groups: Sequence[_Group]) -> None:
        # A viewer who has gone by now needs no slate; what has begun is carried through.
        kept = [[pair for pair in group.waiting if not pair[1].cancelled()] for group in groups]
        slates = [slate for waiting in kept for slate, _ in waiting]
        outcomes: list[str | Exception] = []
        for first in range(0, len(slates), MAX_GROUP):
            outcomes += self._outcomes(slates[first : first + MAX_GROUP])
        told = iter(outcomes)
        for group, waiting in zip(groups, kept, strict=True):
            answers = [(answer, next(told)) for _, answer in waiting]
            if threading.current_thread() is not self._thread:
                _tell(answers)
            # One call wakes a loop for its whole group; a loop that has ended has nobody left who waits.
            elif answers and not group.loop.is_closed():
                group.loop.call_soon_threadsafe(_tell, answers)

    def _outcomes(self, slates: Sequence[Prepared]) -> list[str | Exception]:
        """Write slates together; where one of them cannot be, each alone, so that it harms no other."""
        try:
            return [*self._write(slates)]
        except IntegrityError:
            if len(slates) == 1:
                return [Problem(401, "not-signed-in", "This account is gone.")]
            return [outcome for slate in slates for outcome in self._outcomes((slate,))]
        except Exception as error:  # noqa: BLE001  every waiter must learn that it failed
            return [error] * len(slates)

    def _write(self, group: Sequence[Prepared]) -> list[str]:
        rows = [
            (prepared.entry.leaf_hash, prepared.commitment, prepared.account_id, prepared.sealed)
            for prepared in group
        ]
        with self._database.write_rows() as write:
            began = time.monotonic()
            write(_INSERT, rows)
            write_prepared(write, [prepared.entry for prepared in group])
        self._is_quick = time.monotonic() - began < _QUICK_SECONDS
        leaves = [prepared.entry.leaf_hash for prepared in group]
        return make_promises(self._key, self._origin, leaves, now_s() + PROMISE_SECONDS)


def _tell(answers: Sequence[tuple[asyncio.Future[str], str | Exception]]) -> None:
    for answer, outcome in answers:
        if answer.cancelled():
            continue
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
