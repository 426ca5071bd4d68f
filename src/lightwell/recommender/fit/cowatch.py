"""Who watched what, both ways round, and the sums of shared evidence that follow: one whole row at a time."""

# The widths of integers are numba's in the kernels, which read no annotations.
# mypy: disable-error-code="arg-type, assignment, operator, return-value"

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.graph import Graph
from lightwell.recommender.integers import Ints
from lightwell.recommender.kernels.compiled import (
    I4S,
    I8,
    I8S,
    TO_I4S,
    TO_I8_TABLE,
    TO_I8S,
    U1S,
    inner,
    kernel,
    warm,
)

_ROWS: Final = 512
_MOST_WEIGHT: Final = 127
_FARTHEST: Final = 3_000_000_000
"""Its square is still one of 64 bits."""

Videos = NDArray[np.int32]
Bytes = NDArray[np.uint8]
Whole = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Watches:
    """One row a viewer and video, by viewer and by video.

    Attributes:
        number: place of each video in the head, -1 for those outside, shape (videos,).
        starts, splits: where each viewer's videos begin, and where those of the head begin among them; shape
            (viewers + 1,) and (viewers,).
        video, evidence: by viewer. begin: where each video's viewers begin, shape (videos + 1,).
        viewer, given: by video; what each of its viewers gave.
        norm: sum of squares of the evidence, by video.
    """

    number: Videos
    starts: Ints
    splits: Ints
    video: Videos
    evidence: Bytes
    begin: Ints
    viewer: Videos
    given: Bytes
    norm: Ints

    @classmethod
    def of(cls, viewer: Whole, video: Whole, evidence: Whole, head: Ints, videos: int) -> "Watches":
        """Turn rows into tables.

        Args:
            viewer, video, evidence: one row a viewer and video, sorted by viewer, evidence 1..15.
            head: positions of the videos of the head, ascending.
            videos: size of the catalogue.
        """
        # Kernels take their exact types only, and are ready before they are called.
        warm()
        number = np.full(videos, -1, dtype=np.int32)
        number[head] = np.arange(head.size, dtype=np.int32)
        first = np.flatnonzero(np.diff(viewer, prepend=-1))
        starts = np.append(first, viewer.size).astype(np.int64)
        by_viewer = np.ascontiguousarray(video, dtype=np.int32)
        strength = np.ascontiguousarray(evidence, dtype=np.uint8)
        splits = np.empty(first.size, dtype=np.int64)
        ordered, given = np.empty_like(by_viewer), np.empty(video.size, dtype=np.int32)
        _outside_first(number, starts, by_viewer, strength, splits, ordered, given)
        begin = np.zeros(videos + 1, dtype=np.int64)
        np.cumsum(np.bincount(by_viewer, minlength=videos)[:videos], out=begin[1:])
        watched_by, taken = np.empty(video.size, dtype=np.int32), np.empty(video.size, dtype=np.int32)
        norm = np.zeros(videos, dtype=np.int64)
        _turn(starts, ordered, given, begin.copy(), watched_by, taken, norm)
        return cls(
            number, starts, splits, ordered, given.astype(np.uint8),
            begin, watched_by, taken.astype(np.uint8), norm,
        )  # fmt: skip


def shared_in_head(watches: Watches, head: Ints) -> NDArray[np.float64]:
    """Sum, over viewers, the products of their evidence for each two videos of the head.

    Returns:
        A symmetric matrix, shape (head, head); whole numbers, exact below 2^53.
    """
    shared = np.empty((head.size, head.size))
    block = np.empty((_ROWS, head.size), dtype=np.int64)
    for low in range(0, head.size, _ROWS):
        rows = head[low : low + _ROWS].astype(np.int32)
        _sum_rows(
            rows, watches.number, watches.starts, watches.splits, watches.video, watches.evidence,
            watches.begin, watches.viewer, watches.given, block,
        )  # fmt: skip
        shared[low : low + _ROWS] = block[: rows.size]
    return shared


def shares_outside(watches: Watches, *, most: int, shrink: int) -> Graph:
    """Shrunken cosines of all pairs of which at least one video is outside the head.

    Args:
        watches: who watched what.
        most: neighbours kept of each video, equal weights by position.
        shrink: added to the denominator, so that one shared viewer proves little.

    Returns:
        weight = floor(127 * sum(w_i * w_j) / (floor(sqrt(n_i * n_j)) + shrink)), at most 127, n = `norm`;
        the strongest first, weight 0 is none. `near` is int32, `weight` int8.
    """
    videos = watches.norm.size
    sums = np.zeros(videos, dtype=np.int64)
    touched = np.empty(videos, dtype=np.int32)
    keys = np.empty(videos, dtype=np.int64)
    kept = np.zeros(videos, dtype=np.int64)
    near: list[Any] = [np.zeros(0, dtype=np.int32)]
    weight: list[Any] = [np.zeros(0, dtype=np.int8)]
    room = np.empty(_ROWS * most, dtype=np.int64)
    for low in range(0, videos, _ROWS):
        high = min(low + _ROWS, videos)
        used = _best_of_rows(
            low, high, watches.number, watches.starts, watches.splits, watches.video, watches.evidence,
            watches.begin, watches.viewer, watches.given, watches.norm, shrink, most,
            sums, touched, keys, kept, room,
        )  # fmt: skip
        near.append((room[:used] & 0xFFFFFFFF).astype(np.int32))
        weight.append((_MOST_WEIGHT - (room[:used] >> 32)).astype(np.int8))
    return Graph(np.append(0, kept.cumsum()), np.concatenate(near), np.concatenate(weight))


def merged(one: Graph, rows: Ints, other: Graph, *, most: int) -> Graph:
    """Put two graphs without a pair in common together, the strongest of each row first, ties by position.

    Args:
        one: weights among the videos at `rows` (ascending), numbered by their place there.
        other: weights among all videos.
        most: neighbours kept of each video.
    """
    videos = other.starts.size - 1
    warm()
    first = np.zeros(videos + 1, dtype=np.int64)
    counts = np.zeros(videos, dtype=np.int64)
    counts[rows] = np.diff(one.starts)
    np.cumsum(counts, out=first[1:])
    counts = np.minimum(counts + np.diff(other.starts), most)
    starts = np.zeros(videos + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    near = np.empty(int(starts[-1]), dtype=np.int32)
    weight = np.empty(near.size, dtype=np.int32)
    _merge(
        starts,
        first, rows[one.near].astype(np.int32), one.weight.astype(np.int32),
        other.starts.astype(np.int64), other.near.astype(np.int32), other.weight.astype(np.int32),
        near, weight,
    )  # fmt: skip
    return Graph(starts, near, weight.astype(np.int8))


@kernel(I4S, I8S, I4S, U1S, TO_I8S, TO_I4S, TO_I4S)
def _outside_first(
    number: Any, starts: Any, video: Any, evidence: Any, splits: Any, ordered: Any, given: Any
) -> None:
    """Order each viewer's videos: those outside the head, then those in it."""
    for viewer in range(starts.size - 1):
        place = starts[viewer]
        for inside in range(2):
            if inside == 1:
                splits[viewer] = place
            for at in range(starts[viewer], starts[viewer + 1]):
                if (number[video[at]] >= 0) == (inside == 1):
                    ordered[place] = video[at]
                    given[place] = evidence[at]
                    place += 1


@kernel(I8S, I4S, I4S, TO_I8S, TO_I4S, TO_I4S, TO_I8S)
def _turn(starts: Any, video: Any, given: Any, place: Any, viewers: Any, taken: Any, norm: Any) -> None:
    """The same table by video; `place` is where each video's viewers begin, and is moved."""
    for viewer in range(starts.size - 1):
        for at in range(starts[viewer], starts[viewer + 1]):
            one = video[at]
            viewers[place[one]] = viewer
            taken[place[one]] = given[at]
            place[one] += 1
            norm[one] += np.int64(given[at]) * np.int64(given[at])


@kernel(I4S, I4S, I8S, I8S, I4S, U1S, I8S, I4S, U1S, TO_I8_TABLE)
def _sum_rows(
    rows: Any, number: Any, starts: Any, splits: Any, video: Any, evidence: Any,
    begin: Any, viewer: Any, given: Any, block: Any,
) -> None:  # fmt: skip
    """For each video of `rows`, all of the head: sums with every video of the head."""
    for row in range(rows.size):
        sums = block[row]
        sums[:] = 0
        for at in range(begin[rows[row]], begin[rows[row] + 1]):
            one = viewer[at]
            mine = np.int64(given[at])
            for other in range(splits[one], starts[one + 1]):
                sums[number[video[other]]] += mine * np.int64(evidence[other])


@inner
def _root(value: Any) -> Any:
    """Floor of the square root, by halving steps from above."""
    if value < 2:
        return value
    bits = np.int64(0)
    while value >> bits > 0:
        bits += 2
    root = np.int64(1) << (bits >> 1)
    while True:
        lower = (root + value // root) >> 1
        if lower >= root:
            return root
        root = lower


@kernel(
    I8, I8, I4S, I8S, I8S, I4S, U1S, I8S, I4S, U1S, I8S, I8, I8, TO_I8S, TO_I4S, TO_I8S, TO_I8S, TO_I8S
)  # fmt: skip
def _best_of_rows(
    low: Any, high: Any, number: Any, starts: Any, splits: Any, video: Any, evidence: Any,
    begin: Any, viewer: Any, given: Any, norm: Any, shrink: Any, most: Any,
    sums: Any, touched: Any, keys: Any, kept: Any, room: Any,
) -> int:  # fmt: skip
    """The strongest neighbours of videos low..high, one row after another in `room`; returns how many.

    Args:
        sums: working memory, all 0 before and after. touched, keys: working memory. Shape (videos,).
        kept: by video, how many neighbours it has.
        room: (127 - weight) << 32 | position; ascending, it is the order of a row.
    """
    used = np.int64(0)
    per = np.zeros(128, dtype=np.int64)
    for row in range(low, high):
        is_inside = number[row] >= 0
        count = np.int64(0)
        for at in range(begin[row], begin[row + 1]):
            one = viewer[at]
            mine = np.int64(given[at])
            last = splits[one] if is_inside else starts[one + 1]
            for other in range(starts[one], last):
                place = video[other]
                if sums[place] == 0:
                    touched[count] = place
                    count += 1
                sums[place] += mine * np.int64(evidence[other])
        per[:] = 0
        found = np.int64(0)
        for at in range(count):
            place = touched[at]
            total = sums[place]
            sums[place] = 0
            if place == row:
                continue
            # A weight of at least 1, asked without a root: most pairs have none.
            reach = min(127 * total - shrink + 1, _FARTHEST)
            product = norm[row] * norm[place]
            if reach > 0 and product < reach * reach:
                worth = min(127 * total // (_root(product) + shrink), 127)
                per[worth] += 1
                keys[found] = (np.int64(127) - worth) << 32 | np.int64(place)
                found += 1
        least = np.int64(127)
        reached = per[127]
        while reached < most and least > 1:
            least -= 1
            reached += per[least]
        # What is weaker than the weakest that has a place is not sorted.
        count = np.int64(0)
        for at in range(found):
            if keys[at] >> 32 <= 127 - least:
                keys[count] = keys[at]
                count += 1
        ordered = np.sort(keys[:count])
        kept[row] = min(count, most)
        for at in range(kept[row]):
            room[used] = ordered[at]
            used += 1
    return used


@kernel(I8S, I8S, I4S, I4S, I8S, I4S, I4S, TO_I4S, TO_I4S)
def _merge(
    starts: Any, first: Any, first_near: Any, first_weight: Any,
    second: Any, second_near: Any, second_weight: Any, near: Any, weight: Any,
) -> None:  # fmt: skip
    """Merge the rows of two graphs, each in order, until there is no more room."""
    for row in range(starts.size - 1):
        one, other = first[row], second[row]
        for at in range(starts[row], starts[row + 1]):
            takes_one = other == second[row + 1]
            if not takes_one and one < first[row + 1]:
                here, there = abs(first_weight[one]), abs(second_weight[other])
                takes_one = here > there or (here == there and first_near[one] < second_near[other])
            if takes_one:
                near[at], weight[at] = first_near[one], first_weight[one]
                one += 1
            else:
                near[at], weight[at] = second_near[other], second_weight[other]
                other += 1
