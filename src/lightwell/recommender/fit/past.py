"""What each viewer had done by any minute, as the record of a request made then would say it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.happened import FOLLOW, Events, number_of
from lightwell.recommender.integers import Ints
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.record import (
    MOST_HIDDEN,
    MOST_LIKES,
    MOST_SEEN,
    MOST_WATCHED,
    Request,
    SlateInputs,
    Viewer,
)
from lightwell.recommender.snapshot import Snapshot

WATCH, SKIP, LIKE, SHARE, HIDE = map(number_of, ("watch", "skip", "like", "share", "hide"))


@dataclass(frozen=True)
class Past:
    """Events sorted by viewer, and by time for each of them.

    Attributes:
        ids: of all videos, ascending, shape (videos,).
        names: the same in hex.
        viewer: numbers from 0, ascending. video: positions in `ids`. minute: whole minutes since 1970.
        kind, strength: as `happened.EVENT`. tab: number of the page. Shape (events,).
        starts: where each viewer's events begin, shape (viewers + 1,).
    """

    ids: NDArray[np.uint64]
    names: list[str]
    viewer: Ints
    video: Ints
    minute: Ints
    kind: Ints
    strength: Ints
    tab: Ints
    starts: Ints

    @classmethod
    def of(
        cls, ids: NDArray[np.uint64], events: Events, video: Ints, tab: NDArray[np.integer] | None = None
    ) -> "Past":
        """Sort events.

        Args:
            ids: of all videos, ascending.
            events: in the order in which they were accepted.
            video: the position in `ids` of each event's video, shape (events,).
            tab: the number of the page of each, shape (events,); by default 1.
        """
        _, viewer = np.unique(events["viewer"], return_inverse=True)
        order = np.lexsort((events["minute"], viewer))
        pages = np.ones(events.size, dtype=np.int64) if tab is None else tab.astype(np.int64)
        sorted_viewers = viewer[order].astype(np.int64)
        count = int(sorted_viewers[-1]) + 1 if order.size else 0
        return cls(
            ids,
            [f"{number:016x}" for number in ids.tolist()],
            sorted_viewers,
            video[order].astype(np.int64),
            events["minute"][order].astype(np.int64),
            events["kind"][order].astype(np.int64),
            events["strength"][order].astype(np.int64),
            pages[order],
            sorted_viewers.searchsorted(np.arange(count + 1)),
        )

    def is_long(self, finish: int) -> NDArray[np.bool_]:
        """Which events say that a video was watched long, or liked."""
        watched = (self.kind == WATCH) | (self.kind == SKIP)
        found: NDArray[np.bool_] = (watched & (self.strength >= finish)) | (self.kind == LIKE)
        return found

    def before(self, viewer: int, minute: int) -> slice:
        """The events of a viewer up to a minute, itself left out."""
        start, end = int(self.starts[viewer]), int(self.starts[viewer + 1])
        return slice(start, start + int(self.minute[start:end].searchsorted(minute)))

    def seen_pairs(self, until: int) -> Ints:
        """Keys viewer * videos + video of all that happened before a minute, ascending, each once."""
        done = (self.minute < until) & (self.kind != FOLLOW)
        return np.unique(self.viewer[done] * self.ids.size + self.video[done])

    def inputs(
        self,
        viewer: int,
        minute: int,
        snapshot: Snapshot,
        policy: RankingPolicy,
        *,
        k: int = 1,
        hour: int = -1,
    ) -> SlateInputs:
        """The record of a request that a viewer made at a minute.

        Args:
            viewer: its number; -1 for someone unknown.
            minute: what happened from then on is not in the record.
            snapshot, policy: those ranked with.
            k: places. hour: whole hours since 1970 of the request, by default that of `minute`.
        """
        mine = slice(0, 0) if viewer < 0 else self.before(viewer, minute)
        kind, names = self.kind[mine], self.names
        video, strength = self.video[mine].tolist(), self.strength[mine].tolist()
        watched = np.flatnonzero((kind == WATCH) | (kind == SKIP)).tolist()[-MOST_WATCHED:]
        shown = np.flatnonzero(kind != FOLLOW).tolist()
        # A video stands where it was seen last.
        seen = list(dict.fromkeys(video[at] for at in reversed(shown)))[:MOST_SEEN][::-1]
        liked = dict.fromkeys(video[at] for at in np.flatnonzero(kind == LIKE).tolist()[::-1])
        hidden = dict.fromkeys(video[at] for at in np.flatnonzero(kind == HIDE).tolist()[::-1])
        return SlateInputs(
            cell="fit",
            snapshot=snapshot.digest,
            policy=policy.digest,
            seed="0" * 32,
            request=Request(k=k, hour=minute // 60 if hour < 0 else hour),
            viewer=Viewer(
                region="",
                watched=[(names[video[at]], strength[at]) for at in watched],
                seen=[names[at] for at in seen],
                likes=[names[at] for at in list(liked)[:MOST_LIKES]],
                hidden=[names[at] for at in list(hidden)[:MOST_HIDDEN]],
            ),
        )
