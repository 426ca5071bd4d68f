"""Events are durable before they are acknowledged, counted once, and folded into the viewer's state."""

import re
from collections import Counter, OrderedDict, defaultdict
from threading import Lock
from typing import Literal

import msgspec
from sqlalchemy import bindparam, insert, select

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import Problem
from lightwell.product import videos
from lightwell.product.accounts import AccountRow
from lightwell.product.social.models import ViewerEventRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.keys import KeyDestroyedError

EventKind = Literal["watch", "skip", "like", "unlike", "follow", "unfollow", "share", "hide"]
MAX_BATCH = 200
MAX_WATCH_MS = 10 * 60 * 1000
MAX_WATCHED = 100
MAX_SEEN = 1000
MAX_LIKES = 100
MAX_HIDDEN = 200
MAX_FOLLOWS = 2000
_FULL = 255
_CACHE_VIEWERS = 20_000
_EVENT_ID = re.compile(r"[0-9a-f]{32}")


class Event(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser reports; `event_id` is 32 hex characters it chose at random, so a repeat is known."""

    event_id: str
    kind: EventKind
    video_id: str
    watch_ms: int = 0


class StoredEvent(msgspec.Struct, array_like=True):
    """What stands inside the seal; `creator` is `cell:handle`, `strength` 0..255, `at` milliseconds."""

    kind: str
    video_id: str
    creator: str
    strength: int
    watch_ms: int
    at: int


class ViewerState(msgspec.Struct):
    """The fold of one viewer's events: all that the feed knows of them. Newest last everywhere."""

    watched: dict[str, int] = {}
    seen: dict[str, None] = {}
    likes: dict[str, None] = {}
    follows: dict[str, None] = {}
    hidden: dict[str, None] = {}
    events: int = 0


# Written once, on the table itself: this runs for every slate, and the ORM's way costs three times as much.
_EVENTS = ViewerEventRow.__table__.c
_NEWER = (
    select(_EVENTS.sequence, _EVENTS.event_id, _EVENTS.sealed)
    .where(_EVENTS.account_id == bindparam("account_id"), _EVENTS.sequence > bindparam("last"))
    .order_by(_EVENTS.sequence)
)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredEvent).decode


def record(cell: Cell, session: WriteSession, account_id: str, events: list[Event]) -> tuple[int, int]:
    """Store a batch of one viewer's events; public counts move in the same transaction.

    Args:
        cell: the viewer's home cell.
        session: the transaction.
        account_id: who did it.
        events: at most 200.

    Returns:
        How many were new, and how many had been stored before.

    Raises:
        Problem: 422 for an event about no published video, an absurd watch time or a malformed id;
            then none of the batch is stored.
    """
    _check(events)
    # One writer a viewer at a time: their events become visible in the order of their numbers.
    session.execute(
        select(AccountRow.account_id).where(AccountRow.account_id == account_id).with_for_update()
    ).one()
    wanted = {event.video_id for event in events}
    facts = videos.published_facts(session, wanted)
    missing = sorted(wanted - facts.keys())
    if missing:
        raise Problem(422, "unknown-video", "An event names a video that is not there.", videos=missing[:5])
    ids = {event.event_id for event in events}
    known = set(
        session.scalars(
            select(ViewerEventRow.event_id).where(
                ViewerEventRow.account_id == account_id, ViewerEventRow.event_id.in_(ids)
            )
        )
    )
    state = _copy(viewer_state(cell, session, account_id))
    at = now_ms()
    rows = []
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if event.event_id in known:
            continue
        known.add(event.event_id)
        fact = facts[event.video_id]
        creator = f"{fact.origin_cell}:{fact.creator_handle}"
        strength = _strength(event, fact.duration_ms)
        stored = StoredEvent(event.kind, event.video_id, creator, strength, event.watch_ms, at)
        for counter, change in _counts(state, stored).items():
            tallies[event.video_id][counter] += change
        _fold(state, stored)
        sealed = cell.vault.seal(
            session, account_id, "viewer_events", "sealed", event.event_id, _encode(stored)
        )
        rows.append({"account_id": account_id, "event_id": event.event_id, "sealed": sealed})
    if rows:
        session.execute(insert(ViewerEventRow), rows)
    for video_id, tally in tallies.items():
        videos.count(session, video_id, **tally)
    return len(rows), len(events) - len(rows)


def viewer_state(cell: Cell, session: ReadSession, account_id: str) -> ViewerState:
    """Return the fold of all of a viewer's events up to this moment; callers must not change it.

    Args:
        cell: the viewer's home cell.
        session: where to read the events that are newer than the fold kept in memory.
        account_id: whose.
    """
    last, state = _folds.get(account_id) or (0, ViewerState())
    rows = session.connection().execute(_NEWER, {"account_id": account_id, "last": last}).all()
    if rows:
        state = _copy(state)
        permit = _permit(cell, "feed", "rank", account_id)
        for sequence, event_id, sealed in rows:
            _fold(state, _open(cell, permit, session, account_id, event_id, sealed))
            last = sequence
        with _folds_lock:
            _folds[account_id] = (last, state)
            while len(_folds) > _CACHE_VIEWERS:
                _folds.popitem(last=False)
    return state


def events_since(
    cell: Cell, session: ReadSession, sequence: int, limit: int
) -> list[tuple[int, str, StoredEvent]]:
    """Return `(sequence, account_id, event)` of every viewer after `sequence`, for training in this cell.

    Events of an erased account cannot be opened any more and are left out.
    """
    rows = session.execute(
        select(
            ViewerEventRow.sequence, ViewerEventRow.account_id, ViewerEventRow.event_id, ViewerEventRow.sealed
        )
        .where(ViewerEventRow.sequence > sequence)
        .order_by(ViewerEventRow.sequence)
        .limit(limit)
    ).all()
    permit = _permit(cell, "trainer", "train", None)
    found = []
    for number, account_id, event_id, sealed in rows:
        try:
            event = _open(cell, permit, session, account_id, event_id, sealed)
        except KeyDestroyedError:
            continue
        found.append((number, account_id, event))
    return found


def _open(
    cell: Cell, permit: Permit, session: ReadSession, account_id: str, event_id: str, sealed: bytes
) -> StoredEvent:
    return _decode(
        cell.vault.unseal(permit, session, account_id, "viewer_events", "sealed", event_id, sealed)
    )


def _permit(cell: Cell, process: str, action: str, account_id: str | None) -> Permit:
    # No owner means all accounts of the cell, which only a process may ask for.
    return cell.decider.decide(
        Principal(kind="process", id=process, role=process),
        action,
        Resource(category="user.behavior", residency="protected", owner=account_id),
    )


def _check(events: list[Event]) -> None:
    if not 1 <= len(events) <= MAX_BATCH:
        raise Problem(422, "bad-batch", f"A batch holds 1 to {MAX_BATCH} events.")
    for event in events:
        if not _EVENT_ID.fullmatch(event.event_id):
            raise Problem(422, "bad-event-id", "An event id is 32 small hex characters.")
        if not 0 <= event.watch_ms <= MAX_WATCH_MS:
            raise Problem(422, "absurd-watch-time", f"A watch time lies between 0 and {MAX_WATCH_MS} ms.")


def _counts(state: ViewerState, event: StoredEvent) -> dict[str, int]:
    """Return how the public counts of the event's video move; a second like of one person moves none."""
    liked = event.video_id in state.likes
    if event.kind == "like":
        return {} if liked else {"likes": 1}
    if event.kind == "unlike":
        return {"likes": -1} if liked else {}
    if event.kind == "share":
        return {"shares": 1}
    if event.kind in ("watch", "skip") and event.video_id not in state.seen:
        return {"views": 1}
    return {}


def _strength(event: Event, duration_ms: int) -> int:
    """How much of the video was watched, 0..255; a like or a share counts as all of it."""
    if event.kind in ("like", "share"):
        return _FULL
    if event.kind == "hide":
        return 0
    watched = min(_FULL, event.watch_ms * _FULL // max(1, duration_ms))
    return min(watched, _FULL // 8) if event.kind == "skip" else watched


def _fold(state: ViewerState, event: StoredEvent) -> None:
    video = event.video_id
    state.events += 1
    if event.kind in ("follow", "unfollow"):
        _put_last(state.follows, event.creator, present=event.kind == "follow")
        _trim(state.follows, MAX_FOLLOWS)
        return
    if event.kind == "unlike":
        state.likes.pop(video, None)
        return
    if event.kind == "like":
        _put_last(state.likes, video, present=True)
        _trim(state.likes, MAX_LIKES)
    if event.kind == "hide":
        _put_last(state.hidden, video, present=True)
        _trim(state.hidden, MAX_HIDDEN)
    strength = max(event.strength, state.watched.pop(video, 0)) if event.kind != "hide" else 0
    state.watched[video] = strength
    _trim(state.watched, MAX_WATCHED)
    _put_last(state.seen, video, present=True)
    _trim(state.seen, MAX_SEEN)


def _put_last(members: dict[str, None], key: str, *, present: bool) -> None:
    members.pop(key, None)
    if present:
        members[key] = None


def _trim(members: dict[str, int] | dict[str, None], most: int) -> None:
    while len(members) > most:
        del members[next(iter(members))]


def _copy(state: ViewerState) -> ViewerState:
    return ViewerState(
        dict(state.watched),
        dict(state.seen),
        dict(state.likes),
        dict(state.follows),
        dict(state.hidden),
        state.events,
    )


_folds: OrderedDict[str, tuple[int, ViewerState]] = OrderedDict()
_folds_lock = Lock()
