"""Many slates, one fsync: records and their entries are durable before any of their answers leaves."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue

import msgspec
from sqlalchemy import insert

from lightwell.base.db import Database
from lightwell.ledger.queue import PreparedEntry, enqueue_prepared
from lightwell.product.feed.models import SlateRecordRow

MAX_GROUP = 256
# On the table itself: plain rows need nothing of what the ORM's bulk insert does for each.
_INSERT = insert(SlateRecordRow.__table__)  # type: ignore[arg-type]


class Prepared(msgspec.Struct):
    """A slate that is ranked and sealed but not yet durable, and the entry that commits to it."""

    account_id: str
    commitment: bytes
    sealed: bytes
    entry: PreparedEntry


class GroupCommit:
    """One thread that writes whatever slates wait, together, in one transaction after another.

    Args:
        database: the cell's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: SimpleQueue[tuple[Prepared, Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    async def durable(self, prepared: Prepared) -> None:
        """Return once the record and its entry are on disk; raise whatever kept them from it."""
        done: Future[None] = Future()
        self._waiting.put((prepared, done))
        await asyncio.wrap_future(done)

    def close(self) -> None:
        """Write what waits, then stop."""
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            item = self._waiting.get()
            group: list[tuple[Prepared, Future[None]]] = []
            while item is not None:
                # A viewer who has gone cancels the wait; what has begun is carried through.
                if item[1].set_running_or_notify_cancel():
                    group.append(item)
                if len(group) >= MAX_GROUP or self._waiting.empty():
                    break
                item = self._waiting.get()
            if group:
                self._write(group)
            if item is None:
                return

    def _write(self, group: Sequence[tuple[Prepared, Future[None]]]) -> None:
        try:
            rows = [
                {
                    "leaf": prepared.entry.leaf_hash,
                    "commitment": prepared.commitment,
                    "account_id": prepared.account_id,
                    "sealed": prepared.sealed,
                }
                for prepared, _ in group
            ]
            with self._database.write() as session:
                session.connection().execute(_INSERT, rows)
                enqueue_prepared(session, [prepared.entry for prepared, _ in group])
        except Exception as error:  # noqa: BLE001  every waiter must learn that it failed
            for _, done in group:
                done.set_exception(error)
            return
        for _, done in group:
            done.set_result(None)
