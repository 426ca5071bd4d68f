"""What each viewer had done by any minute, as the record of a request made then would say it."""

from dataclasses import dataclass, field
from typing import Final

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

Minutes = NDArray[np.int32]

NEVER: Final = (1 << 31) - 1
"""A minute that is after every other."""


@dataclass(frozen=True)
class Pairs:
    """Each viewer and video that met, once, in order of both, with the first minute of what came of it.

    Attributes:
        viewer, video: as in `Past`. shown: when they met. long: when the video was watched long or liked.
        hidden: when it was hidden; `NEVER` for what did not come. Shape (pairs,).
    """

    viewer: NDArray[np.int32]
    video: NDArray[np.int32]
    shown: Minutes
    long: Minutes
    hidden: Minutes

    def evidence(
        self, until: int, *, long: int, other: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
        """Viewers, videos and evidence of what happened before a minute; what a viewer hid says nothing.

        Args:
            until: whole minutes since 1970; that minute itself is left out.
            long, other: evidence of a video watched long or liked, and of any other that was shown.
        """
        there = np.flatnonzero((self.shown < until) & (self.hidden >= until))
        given = np.where(self.long[there] < until, long, other).astype(np.uint8)
        return self.viewer[there], self.video[there], given


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
    video: NDArray[np.int32]
    minute: Minutes
    kind: NDArray[np.uint8]
    strength: NDArray[np.uint8]
    tab: NDArray[np.uint8]
    starts: Ints
    _pairs: dict[int, Pairs] = field(default_factory=dict, repr=False, compare=False)

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
        pages = np.ones(events.size, dtype=np.uint8) if tab is None else tab.astype(np.uint8)
        sorted_viewers = viewer[order].astype(np.int64)
        count = int(sorted_viewers[-1]) + 1 if order.size else 0
        return cls(
            ids,
            [f"{number:016x}" for number in ids.tolist()],
            sorted_viewers,
            video[order].astype(np.int32),
            events["minute"][order].astype(np.int32),
            events["kind"][order],
            events["strength"][order],
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

    def pairs(self, finish: int) -> Pairs:
        """Who met which video, sorted once and kept.

        Args:
            finish: the strength from which a watch is long.
        """
        if finish not in self._pairs:
            self._pairs[finish] = self._paired(finish)
        return self._pairs[finish]

    def _paired(self, finish: int) -> Pairs:
        shown = np.flatnonzero(self.kind != FOLLOW)
        keys = self.viewer[shown] * max(self.ids.size, 1) + self.video[shown]
        # Stable: of each pair, what happened first stands first.
        order = np.argsort(keys, kind="stable")
        keys, shown = keys[order], shown[order]
        del order
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        minute, never = self.minute[shown], np.int32(NEVER)
        came = {"long": self.is_long(finish)[shown], "hidden": self.kind[shown] == HIDE}
        # Where there is nothing there is nothing to reduce either.
        when = {
            name: np.minimum.reduceat(np.where(so, minute, never), first) if first.size else minute
            for name, so in came.items()
        }
        viewer, video = np.divmod(keys[first], max(self.ids.size, 1))
        return Pairs(viewer.astype(np.int32), video.astype(np.int32), minute[first], **when)

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
                adult=True,
                watched=[(names[video[at]], strength[at]) for at in watched],
                seen=[names[at] for at in seen],
                likes=[names[at] for at in list(liked)[:MOST_LIKES]],
                hidden=[names[at] for at in list(hidden)[:MOST_HIDDEN]],
            ),
        )
