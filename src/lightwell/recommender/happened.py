"""What viewers did, as columns, and which of it counts: each thing once for a viewer, a video and an hour."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.integers import Ints

KINDS: Final = ("watch", "skip", "like", "share", "hide", "follow")
"""Kinds of events that training reads, by number."""
_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)}
FOLLOW: Final = _NUMBERS["follow"]

EVENT: Final = np.dtype(
    [("viewer", "<u8"), ("video", "<u8"), ("minute", "<u4"), ("kind", "u1"), ("strength", "u1")]
)
"""One event: opaque viewer, video id, whole minutes since 1970, number in `KINDS`, strength 0..255."""

Events = NDArray[np.void]
"""Events in the order in which they were accepted, of type `EVENT`."""


def number_of(kind: str) -> int:
    """The number of a kind, -1 for one that training does not read."""
    return _NUMBERS.get(kind, -1)


def events_of(rows: list[tuple[int, int, int, int, int]]) -> Events:
    """Make columns of rows (viewer, video, minute, kind, strength)."""
    return np.array(rows, dtype=EVENT)


def _facts(events: Events, long: int) -> Mapping[str, NDArray[np.bool_]]:
    """What each event says of its video, by the counters' names."""
    kind, strength = events["kind"], events["strength"]
    return {
        "views": kind != FOLLOW,
        "longs": (kind != FOLLOW) & (strength >= long),
        "likes": kind == _NUMBERS["like"],
        "shares": kind == _NUMBERS["share"],
        "skips": (kind == _NUMBERS["skip"]) | (kind == _NUMBERS["hide"]),
    }


def counted(events: Events, long: int) -> dict[str, Ints]:
    """Which events count, by the counters' names: the first of its kind of a viewer, a video and an hour.

    Args:
        events: all there are.
        long: the strength from which a watch is long.

    Returns:
        Positions of events, ascending.
    """
    if not events.size:
        return {name: np.zeros(0, dtype=np.int64) for name in _facts(events, long)}
    hour = events["minute"] // 60
    order = np.lexsort((hour, events["video"], events["viewer"]))
    viewer, video, hour = events["viewer"][order], events["video"][order], hour[order]
    change = np.ones(order.size, dtype=np.bool_)
    change[1:] = (viewer[1:] != viewer[:-1]) | (video[1:] != video[:-1]) | (hour[1:] != hour[:-1])
    del viewer, video, hour
    group = change.cumsum()
    found = {}
    for name, is_so in _facts(events, long).items():
        # The order is stable: the first of a group is the one accepted first.
        at = order[is_so[order]]
        of = group[is_so[order]]
        first = np.ones(at.size, dtype=np.bool_)
        first[1:] = of[1:] != of[:-1]
        found[name] = np.sort(at[first])
    return found


class Recent:
    """Decides the same as `counted`, batch by batch, knowing the events of the last two hours only.

    An event that comes in more than two hours after its time may count again.
    """

    def __init__(self, long: int) -> None:
        self._long = long
        self._seen: dict[int, dict[int, int]] = {}

    def counted(self, events: Events) -> dict[str, Ints]:
        """Which events of the next batch count, as `counted`."""
        facts = _facts(events, self._long)
        bits = sum(np.where(is_so, 1 << at, 0) for at, is_so in enumerate(facts.values()))
        fresh = np.zeros(events.size, dtype=np.int64)
        columns: list[list[Any]] = [
            (events["minute"] // 60).tolist(), events["viewer"].tolist(), events["video"].tolist(),
            np.asarray(bits).tolist(),
        ]  # fmt: skip
        for at, (hour, viewer, video, says) in enumerate(zip(*columns, strict=True)):
            seen = self._seen.get(hour)
            if seen is None:
                seen = self._seen[hour] = {}
            key = viewer << 64 | video
            before = seen.get(key, 0)
            if says & ~before:
                fresh[at] = says & ~before
                seen[key] = before | says
        for hour in sorted(self._seen)[:-2]:
            del self._seen[hour]
        return {name: np.flatnonzero(fresh & (1 << at)) for at, name in enumerate(facts)}
