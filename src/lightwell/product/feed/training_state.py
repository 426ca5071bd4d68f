"""What the trainer knows, kept up by reading only what is new: events, videos, counts on top of a base."""

import hashlib
import time
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.base.labels import declare_cache
from lightwell.product import social, videos
from lightwell.product.social.state import StoredEvent
from lightwell.product.videos import PublishedVideo
from lightwell.recommender import live
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.counters import Counters
from lightwell.recommender.happened import EVENT, Events, Recent, events_of, number_of
from lightwell.recommender.live import FullError
from lightwell.recommender.snapshot import Snapshot, search
from lightwell.recommender.train import TrainSettings
from lightwell.residency.cell import Cell
from lightwell.residency.keys_models import AccountKey

declare_cache("feed.training_state", "events since the last model", "user.behavior", "protected")

_BATCH: Final = 5_000
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
# A video may become visible a little after the time it bears: each look goes back so far.
_OVERLAP_MS: Final = 10 * _MINUTE_MS
_RECOUNT_SECONDS: Final = 60.0
_READING_SECONDS: Final = 5.0


class TrainingState:
    """Events in their order, videos that the base has not, and the counters of both as of now.

    Args:
        cell: the cell to train for.
        settings: what a long watch is.
    """

    def __init__(self, cell: Cell, settings: TrainSettings) -> None:
        self._cell = cell
        self._settings = settings
        self._log: list[Events] = []
        self._sequence = 0
        self._is_behind = True
        self._hash = hashlib.sha256()
        self._recent = Recent(settings.finish)
        self._uncounted: list[Events] = []
        self._base: Snapshot | None = None
        self._counters = Counters(0, 0)
        self._added: dict[int, tuple[VideoFact, int]] = {}
        self._gone = 0
        self._is_forgetting = False
        self._newest_ms = 0
        self._recounted_at = 0.0

    @property
    def base(self) -> Snapshot | None:
        """The base that updates are written for."""
        return self._base

    @property
    def sequence(self) -> int:
        """The number of the last event read."""
        return self._sequence

    @property
    def is_behind(self) -> bool:
        """Whether there are more events than have been read; counters then stay those of the base."""
        return self._is_behind

    @property
    def events_digest(self) -> str:
        """SHA-256 over all events read, in their order; see `training.events_digest`."""
        return self._hash.hexdigest()

    @property
    def added(self) -> int:
        """How many videos are newer than the base."""
        return len(self._added)

    def read(self) -> None:
        """Read the events and videos that are new, and count; after some seconds leave the rest for later."""
        self._read_events()
        if self._base is not None:
            self._read_videos(self._base)
            self._count(self._base)

    def everything(self) -> tuple[list[VideoFact], Events]:
        """Every published video, and every event of those who still have an account here."""
        with self._cell.database.read() as session:
            facts = [_fact(row) for row in videos.every_published(session)]
            accounts = session.scalars(select(AccountKey.account_id)).all()
        events = np.concatenate(self._log) if self._log else events_of([])
        self._log = [events]
        here = np.sort(np.array([int(account_id, 16) for account_id in accounts], dtype=np.uint64))
        kept = events[search(here, events["viewer"]) >= 0]
        if kept.size != events.size:
            # Erased people are forgotten here too: counts begin anew on the base that is trained now.
            self._log, self._is_forgetting = [kept], True
            self._hash = hashlib.sha256(kept.tobytes())
        return facts, kept

    def rest_on(self, base: Snapshot) -> None:
        """Go on from another base: what it has is no longer new, what it lacks is."""
        before, counters, added = self._base, self._counters, self._added
        old_ids = np.zeros(0, dtype=np.uint64) if before is None else before.ids
        old_rows = np.concatenate(
            (np.arange(old_ids.size), np.array([row for _, row in added.values()], dtype=np.int64))
        ).astype(np.int64)
        old_ids = np.concatenate((old_ids, np.array(list(added), dtype=np.uint64)))
        order = old_ids.argsort()
        place = search(old_ids[order], base.ids)
        rows = np.where(place >= 0, old_rows[order][np.maximum(place, 0)], -1) if old_ids.size else place
        newer = [one for at, one in added.items() if int(search(base.ids, _ids([at]))[0]) < 0]
        rows = np.concatenate((rows, np.array([row for _, row in newer], dtype=np.int64)))
        self._base = base
        self._added = {int(fact.id, 16): (fact, base.size + at) for at, (fact, _) in enumerate(newer)}
        self._newest_ms = int(base.published.max(initial=0)) * 1000
        self._gone, self._recounted_at = 0, 0.0
        if before is None or self._is_forgetting:
            self._is_forgetting = False
            self._recent = Recent(self._settings.finish)
            self._counters = Counters(base.size + len(newer), base.minute)
            self._uncounted = list(self._log)
        else:
            self._counters = counters.rearranged(rows)

    def update(self, minute: int) -> bytes:
        """Write all that is newer than the base.

        Raises:
            FullError: the base has no room for it, or there is none.
        """
        if self._base is None:
            raise FullError("there is no base yet")
        ordered = sorted(self._added.values(), key=lambda one: (one[0].published, one[0].id))
        rows = np.concatenate(
            (np.arange(self._base.size), np.array([row for _, row in ordered], dtype=np.int64))
        ).astype(np.int64)
        found = self._counters.at(minute, rows)
        if self._is_behind:
            # Just started: what the base counted stands until all events are read again.
            for name in found:
                found[name][: self._base.size] = getattr(self._base, name)
                found[name][self._base.size :] = 0
        return live.encode_update(self._base, minute, [fact for fact, _ in ordered], found)

    def _read_events(self) -> None:
        until = time.monotonic() + _READING_SECONDS
        self._is_behind = True
        while time.monotonic() < until:
            with self._cell.database.read() as session:
                batch = social.events_since(self._cell, session, self._sequence, _BATCH)
            if batch:
                self._sequence = batch[-1][0]
                self._take(_columns((account_id, event) for _, account_id, event in batch))
            if len(batch) < _BATCH:
                self._is_behind = False
                return

    def _take(self, events: Events) -> None:
        if events.size:
            self._hash.update(events.tobytes())
            self._log.append(events)
            self._uncounted.append(events)

    def _read_videos(self, base: Snapshot) -> None:
        with self._cell.database.read() as session:
            self._add(base, videos.published_since(session, self._newest_ms - _OVERLAP_MS))
            if time.monotonic() - self._recounted_at > _RECOUNT_SECONDS:
                self._recounted_at = time.monotonic()
                self._recount(base, session)

    def _add(self, base: Snapshot, rows: Iterable[PublishedVideo]) -> None:
        found = {int(row.video_id, 16): row for row in rows}
        if not found:
            return
        self._newest_ms = max(self._newest_ms, *(row.published_at for row in found.values()))
        ids = _ids(found)
        for video_id in ids[search(base.ids, ids) < 0].tolist():
            if video_id not in self._added:
                self._added[video_id] = (_fact(found[video_id]), self._counters.size)
                self._counters.grow(self._counters.size + 1)

    def _recount(self, base: Snapshot, session: ReadSession) -> None:
        """See that no video was missed that came late, and that none is kept that was taken down."""
        if videos.count_published(session) + self._gone == base.size + len(self._added):
            return
        there = {int(row.video_id, 16): row for row in videos.every_published(session)}
        self._added = {key: one for key, one in self._added.items() if key in there}
        self._gone = int((search(np.sort(_ids(there)), base.ids) < 0).sum())
        self._add(base, there.values())

    def _count(self, base: Snapshot) -> None:
        for events in self._uncounted:
            at = search(base.ids, events["video"])
            for miss in np.flatnonzero(at < 0).tolist():
                known = self._added.get(int(events["video"][miss]))
                at[miss] = known[1] if known else -1
            for name, counted in self._recent.counted(events).items():
                chosen = counted[at[counted] >= 0]
                self._counters.add(name, at[chosen], events["minute"][chosen].astype(np.int64))
        self._uncounted = []


def _ids(numbers: Iterable[int]) -> NDArray[np.uint64]:
    return np.array(list(numbers), dtype=np.uint64)


def _columns(batch: Iterable[tuple[str, StoredEvent]]) -> Events:
    rows = []
    for account_id, event in batch:
        kind = number_of(event.kind)
        if kind >= 0 and not event.repeat:
            video, minute = int(event.video_id, 16), event.at // _MINUTE_MS
            rows.append((int(account_id, 16), video, minute, kind, event.strength))
    return np.array(rows, dtype=EVENT)


def _fact(row: PublishedVideo) -> VideoFact:
    return VideoFact(
        id=row.video_id,
        creator=f"{row.origin_cell}:{row.creator_handle}",
        sound=row.sound_id,
        tags=list(row.hashtags),
        hour=row.published_at // _HOUR_MS,
        second=row.published_at % _HOUR_MS // 1000,
        region=row.origin_cell,
        duration=row.duration_ms,
        adult=row.adult,
        regions=row.regions,
    )
