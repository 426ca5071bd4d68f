"""The item-to-item co-watch graph: who finishes this also finishes that, as integers, from watches alone."""

# The widths of integers are numba's in the kernel, which reads no annotations.
# mypy: disable-error-code="arg-type, assignment, operator, return-value"

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.integers import Ints
from lightwell.recommender.kernels.compiled import I8, I8S, inner, kernel, warm

_MOST_WATCHES = 200
_MOST_WEIGHT = 127


@dataclass(frozen=True)
class Graph:
    """Neighbours of each video, strongest first, as a compressed table with weights 1..127."""

    starts: Ints
    near: NDArray[Any]
    weight: NDArray[Any]


def build_graph(viewer: Ints, video: Ints, weight: Ints, *, videos: int, most: int, shrink: int) -> Graph:
    """Build the graph of shrunken cosines between videos.

    Args:
        viewer, video, weight: one row a watch, sorted by viewer, at most one row a pair, weight 1..15.
        videos: size of the catalogue.
        most: neighbours kept for each video.
        shrink: added to the denominator, so that one shared viewer proves little.

    Returns:
        weight = floor(127 * sum(w_i * w_j) / (floor(sqrt(n_i * n_j)) + shrink)), n = sum of squares over
        the viewers of each; edges of weight 0 are left out; equal weights are ordered by position.
    """
    # The kernel takes these types only, whatever columns come in; and it is ready before it is called.
    warm()
    viewer, video, weight = (np.asarray(column, dtype=np.int64) for column in (viewer, video, weight))
    viewer, video, weight = _cap_viewers(viewer, video, weight)
    norm = np.zeros(videos, dtype=np.int64)
    np.add.at(norm, video, weight * weight)
    # Viewers by number without gaps, and the same table turned: the viewers of each video.
    starts = np.flatnonzero(np.diff(viewer, prepend=-1))
    count = np.diff(np.append(starts, viewer.size))
    number = np.arange(starts.size, dtype=np.int64).repeat(count)
    turned = np.lexsort((number, video))
    begin = video[turned].searchsorted(np.arange(videos + 1))
    # No row has more neighbours than its viewers watched videos.
    reach = np.zeros(videos, dtype=np.int64)
    np.add.at(reach, video, count[number])
    room = np.zeros(videos + 1, dtype=np.int64)
    np.cumsum(np.minimum(reach, most), out=room[1:])
    near, strength, kept = _neighbours(
        np.append(starts, viewer.size),
        video,
        weight,
        begin,
        number[turned],
        weight[turned],
        norm,
        room,
        shrink,
    )
    used = np.arange(near.size, dtype=np.int64) - room[:-1].repeat(np.diff(room)) < kept.repeat(np.diff(room))
    return Graph(np.append(0, kept.cumsum()), near[used], strength[used])


def _cap_viewers(viewer: Ints, video: Ints, weight: Ints) -> tuple[Ints, Ints, Ints]:
    """Keep each viewer's strongest watches, ties by video: one viewer cannot fill the graph with pairs."""
    order = np.lexsort((video, -weight, viewer))
    viewer, video, weight = viewer[order], video[order], weight[order]
    first = viewer.searchsorted(viewer)
    keep = np.arange(viewer.size, dtype=np.int64) - first < _MOST_WATCHES
    return viewer[keep], video[keep], weight[keep]


@inner
def _root(value: int) -> int:
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


@kernel(I8S, I8S, I8S, I8S, I8S, I8S, I8S, I8S, I8)
def _neighbours(
    starts: Any,
    video: Any,
    weight: Any,
    begin: Any,
    viewer: Any,
    given: Any,
    norm: Any,
    room: Any,
    shrink: Any,
) -> Any:
    """The strongest neighbours of every video, row by row through one sum for each video.

    Args:
        starts, video, weight: what each viewer watched. begin, viewer, given: who watched each video.
        norm: sum of squares, by video. room: where each row begins in what is returned. shrink: as above.
    """
    near = np.empty(room[-1], dtype=np.int32)
    strength = np.empty(room[-1], dtype=np.int8)
    kept = np.zeros(norm.size, dtype=np.int64)
    sums = np.zeros(norm.size, dtype=np.int64)
    touched = np.empty(norm.size, dtype=np.int64)
    found = np.empty(norm.size, dtype=np.int8)
    for row in range(norm.size):
        count = 0
        for at in range(begin[row], begin[row + 1]):
            for other in range(starts[viewer[at]], starts[viewer[at] + 1]):
                place = video[other]
                if sums[place] == 0 and place != row:
                    touched[count] = place
                    count += 1
                if place != row:
                    sums[place] += given[at] * weight[other]
        ordered = np.sort(touched[:count])
        per = np.zeros(129, dtype=np.int64)
        for at in range(count):
            place = ordered[at]
            worth = 127 * sums[place] // (_root(norm[row] * norm[place]) + shrink)
            sums[place] = 0
            found[at] = min(worth, 127)
            per[found[at]] += 1
        # Where each weight begins, the strongest first.
        first = np.zeros(129, dtype=np.int64)
        for worth in range(126, -1, -1):
            first[worth] = first[worth + 1] + per[worth + 1]
        size = room[row + 1] - room[row]
        for at in range(count):
            worth = found[at]
            if worth > 0:
                if first[worth] < size:
                    near[room[row] + first[worth]] = ordered[at]
                    strength[room[row] + first[worth]] = worth
                first[worth] += 1
        kept[row] = min(size, count - per[0])
    return near, strength, kept
