"""Events are durable before they are acknowledged, counted once, and folded into the viewer's state."""

import hashlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select

from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem
from lightwell.product import videos
from lightwell.product.accounts import AccountRow
from lightwell.product.social import event_log, folds
from lightwell.product.social.reported import Batch, Event, check, strength_of
from lightwell.product.social.sealed_events import seal_event
from lightwell.product.social.state import FULL, Fold, StoredEvent
from lightwell.residency.cell import Cell
from lightwell.residency.keys import KeyDestroyedError

_ACCOUNTS = AccountRow.__table__
_HOLD = (
    select(_ACCOUNTS.c.account_id)
    .where(_ACCOUNTS.c.account_id.in_(bindparam("accounts", expanding=True)))
    .order_by(_ACCOUNTS.c.account_id)
    .with_for_update(key_share=True)
)


Outcome = tuple[int, int] | Problem


def record(cell: Cell, session: WriteSession, account_id: str, events: Sequence[Event]) -> tuple[int, int]:
    """Store a batch of one viewer's events; fold and public counts move in the same transaction.

    Args:
        cell: the viewer's home cell.
        session: the transaction.
        account_id: who did it.
        events: at most 200.

    Returns:
        How many were new, and how many had been stored before.

    Raises:
        Problem: 401 the account is gone; 422 an event about no published video, an absurd watch time or a
            malformed id; 429 more than one viewer may report. None of the batch is stored then.
    """
    check(events)
    outcome = record_batches(cell, session, [Batch(account_id, events)])[0]
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


def record_batches(cell: Cell, session: WriteSession, batches: Sequence[Batch]) -> list[Outcome]:
    """Store many viewers' batches in one transaction, each whole or not at all.

    Args:
        cell: the viewers' home cell.
        session: the transaction; events are durable when it has committed.
        batches: each passed `check`; a viewer may have several.

    Returns:
        For each batch how many events were new and how many had been stored before, or why it is refused.
    """
    asked = [(batch.account_id, event.event_id) for batch in batches for event in batch.events]
    writing = _Writing(cell, session, batches, asked)
    outcomes: list[Outcome] = []
    for batch in batches:
        try:
            outcomes.append(writing.take(batch))
        except Problem as problem:
            outcomes.append(problem)
        except KeyDestroyedError:
            outcomes.append(_gone())
    writing.finish()
    return outcomes


def choose_profiling(cell: Cell, session: WriteSession, account_id: str, event_id: str, *, on: bool) -> None:
    """Keep whether the viewer's feed may use what they did; the choice is an event like any other.

    Args:
        cell: the viewer's home cell.
        session: the transaction.
        account_id: whose feed.
        event_id: 32 fresh hex characters.
        on: False for a feed without profiling.

    Raises:
        Problem: 401 the account is gone; 429 as `record`.
    """
    writing = _Writing(cell, session, [Batch(account_id, [])], [])
    writing.add(account_id, [(event_id, StoredEvent("profiling", "", "", FULL if on else 0, 0, 0))])
    writing.finish()


def import_past(cell: Cell, session: WriteSession, account_id: str, events: Sequence[StoredEvent]) -> int:
    """Store what a viewer did elsewhere or long ago, as if it had been reported then.

    An event is known by all that is in it: importing the same again adds nothing. No limit of floods applies.

    Args:
        cell: the viewer's home cell.
        session: the transaction.
        account_id: who did it; an account of this cell.
        events: in the order of their times, about videos of this cell.

    Returns:
        How many were new.

    Raises:
        Problem: 401 there is no such account.
    """
    named = {_name(account_id, event): event for event in events}
    writing = _Writing(cell, session, [Batch(account_id, [])], [(account_id, event_id) for event_id in named])
    new = [one for one in named.items() if not writing.knows(account_id, one[0])]
    writing.add(account_id, new, past=True)
    writing.finish()
    return len(new)


def _name(account_id: str, event: StoredEvent) -> str:
    content = msgspec.msgpack.encode((account_id, event.kind, event.video_id, event.creator, event.at))
    return hashlib.sha256(b"lightwell/past-event/v1" + content).hexdigest()[:32]


class _Writing:
    """One transaction's worth of events, from what the database holds to what it is to hold."""

    def __init__(
        self,
        cell: Cell,
        session: WriteSession,
        batches: Sequence[Batch],
        asked: Sequence[tuple[str, str]],
    ) -> None:
        self._cell = cell
        self._session = session
        accounts = sorted({batch.account_id for batch in batches})
        # One writer a viewer at a time: their events become visible in the order of their numbers.
        self._present = set(session.connection().execute(_HOLD, {"accounts": accounts}).scalars())
        self._known = event_log.known(cell, session, asked)
        self._facts = videos.played(
            session, {event.video_id for batch in batches for event in batch.events if event.video_id}
        )
        cell.vault.open_keys(session, accounts)
        self._folds = folds.load(cell, session, accounts)
        self._at = now_ms()
        self._new: list[tuple[str, str, bytes]] = []
        self._changed: dict[str, int] = {}
        self._counts: dict[str, tuple[int, int, int]] = {}

    def take(self, batch: Batch) -> tuple[int, int]:
        account_id = batch.account_id
        missing = sorted({e.video_id for e in batch.events if e.video_id and e.video_id not in self._facts})
        if missing:
            raise Problem(
                422, "unknown-video", "An event names a video that is not there.", videos=missing[:5]
            )
        new = {event.event_id: event for event in batch.events if not self.knows(account_id, event.event_id)}
        self.add(account_id, [(event_id, self._stored(event)) for event_id, event in new.items()])
        return len(new), len(batch.events) - len(new)

    def knows(self, account_id: str, event_id: str) -> bool:
        fold = self._folds.get(account_id)
        return (account_id, event_id) in self._known or (fold is not None and event_id in fold.recent)

    def add(self, account_id: str, events: Sequence[tuple[str, StoredEvent]], *, past: bool = False) -> None:
        """Fold and seal a viewer's new events, each with its id; `past` ones keep their times, unlimited."""
        if account_id not in self._present:
            raise _gone()
        if not events:
            return
        fold = self._folds.setdefault(account_id, Fold())
        at = max(self._at, fold.at)
        if not past:
            self._spend(fold, len(events), at)
        for event_id, event in events:
            if not past:
                event.at = at
            event.repeat = fold.repeats(event.kind, event.video_id, event.at)
            sealed = seal_event(self._cell, self._session, account_id, event_id, event)
            self._new.append((account_id, event_id, sealed))
            self._changed[account_id] = len(self._new) - 1
            self._known.add((account_id, event_id))
            change = fold.counts(event)
            if any(change):
                before = self._counts.get(event.video_id, (0, 0, 0))
                moved = (before[0] + change[0], before[1] + change[1], before[2] + change[2])
                self._counts[event.video_id] = moved
            fold.take(event)
            if self._cell.stream is not None:
                fold.recall(event_id, at)

    def _stored(self, event: Event) -> StoredEvent:
        creator, duration_ms = self._facts.get(event.video_id, (event.creator, 0))
        strength = strength_of(event, duration_ms)
        return StoredEvent(event.kind, event.video_id, creator, strength, event.watch_ms, self._at)

    def finish(self) -> None:
        if not self._new:
            return
        numbers = event_log.append(self._cell, self._session, self._new)
        folds.store(
            self._cell,
            self._session,
            [(account, numbers[last], self._folds[account]) for account, last in self._changed.items()],
        )
        videos.count(self._session, self._counts)

    def _spend(self, fold: Fold, count: int, at: int) -> None:
        """Take `count` events off what the viewer may still report, which is kept in thousandths."""
        rate = self._cell.settings.viewer_events_per_second
        most = self._cell.settings.viewer_events_at_once * 1000
        left = most if fold.allowance < 0 else min(most, fold.allowance + (at - fold.at) * rate)
        if count * 1000 > left:
            seconds = -(-(count * 1000 - left) // (rate * 1000))
            problem = Problem(
                429, "too-many-events", "More events than one person makes; send these again later."
            )
            problem.headers["retry-after"] = str(seconds)
            raise problem
        fold.allowance = left - count * 1000
        fold.at = at


def _gone() -> Problem:
    return Problem(401, "not-signed-in", "This account is no longer here.")
