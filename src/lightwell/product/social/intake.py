"""Many viewers' events, one fsync: what waits is written together, and acknowledged after the commit."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue

from lightwell.base.errors import Problem
from lightwell.product.social.reported import Batch, Event, check
from lightwell.product.social.service import record_batches
from lightwell.residency.cell import Cell

MAX_GROUP = 256
MAX_WAITING = 10_000
_MOST_REFUSED = 50_000
Answer = asyncio.Future[tuple[int, int]]
Waiting = tuple[Batch, Answer]


class Intake:
    """Takes events of this process's viewers.

    Args:
        cell: the viewers' home cell.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._waiting: SimpleQueue[Waiting | None] = SimpleQueue()
        self._refused: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="event-intake", daemon=True)
        self._thread.start()

    async def durable(self, account_id: str, events: Sequence[Event]) -> tuple[int, int]:
        """Return how many events were new and how many known, once the new ones are on disk.

        Args:
            account_id: who did it.
            events: at most 200.

        Raises:
            Problem: as `service.record`; 503 when more waits than can be written soon.
        """
        check(events)
        self._refuse_again(account_id)
        if self._waiting.qsize() > MAX_WAITING:
            busy = Problem(503, "too-busy", "Too many events wait here; send these again in a moment.")
            busy.headers["retry-after"] = "1"
            raise busy
        done: Answer = asyncio.get_running_loop().create_future()
        self._waiting.put((Batch(account_id, events), done))
        return await done

    def close(self) -> None:
        """Write what waits, then stop."""
        self._waiting.put(None)
        self._thread.join(timeout=10)

    def _refuse_again(self, account_id: str) -> None:
        """Refuse whoever was told to come back later and has come sooner, before it costs any work."""
        until = self._refused.get(account_id)
        if until is None:
            return
        left = until - time.monotonic()
        if left <= 0:
            self._refused.pop(account_id, None)
            return
        problem = Problem(
            429, "too-many-events", "More events than one person makes; send these again later."
        )
        problem.headers["retry-after"] = str(int(left) + 1)
        raise problem

    def _run(self) -> None:
        while True:
            item = self._waiting.get()
            group: list[Waiting] = []
            while item is not None:
                group.append(item)
                if len(group) >= MAX_GROUP or self._waiting.empty():
                    break
                item = self._waiting.get()
            if group:
                self._write(group)
            if item is None:
                return

    def _write(self, group: Sequence[Waiting]) -> None:
        outcomes: Sequence[tuple[int, int] | BaseException]
        try:
            with self._cell.database.write() as session:
                outcomes = record_batches(self._cell, session, [batch for batch, _ in group])
        except Problem as problem:
            outcomes = [problem] * len(group)
        except Exception as error:  # noqa: BLE001  every waiter must learn that it failed
            if len(group) > 1:
                # Nothing of the group is stored: each is tried alone, so that one cannot fail the others.
                for one in group:
                    self._write([one])
                return
            outcomes = [error] * len(group)
        answers: dict[asyncio.AbstractEventLoop, list[tuple[Answer, tuple[int, int] | BaseException]]] = {}
        for (batch, done), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Problem) and outcome.status == 429:
                self._remember_refusal(batch.account_id, int(outcome.headers["retry-after"]))
            answers.setdefault(done.get_loop(), []).append((done, outcome))
        for loop, some in answers.items():
            # One wake-up for the whole group. A loop that has ended has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer, some)

    def _remember_refusal(self, account_id: str, seconds: int) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[account_id] = time.monotonic() + seconds


def _answer(answers: Sequence[tuple[Answer, tuple[int, int] | BaseException]]) -> None:
    for done, outcome in answers:
        # Whoever has gone no longer waits.
        if done.done():
            continue
        if isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
