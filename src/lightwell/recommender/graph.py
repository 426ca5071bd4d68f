"""The item-to-item co-watch graph: who finishes this also finishes that, as integers, from watches alone."""

from dataclasses import dataclass

import numpy as np

from lightwell.recommender.integers import Ints, isqrt, sum_by_key

_CHUNK_PAIRS = 4_000_000
_MOST_WATCHES = 200


@dataclass(frozen=True)
class Graph:
    """Neighbours of each video, strongest first, as a compressed table with weights 1..255."""

    starts: Ints
    near: Ints
    weight: Ints


def build_graph(viewer: Ints, video: Ints, weight: Ints, *, videos: int, most: int, shrink: int) -> Graph:
    """Build the graph of shrunken cosines between videos.

    Args:
        viewer, video, weight: one row a watch, sorted by viewer, at most one row a pair, weight 1..15.
        videos: size of the catalogue.
        most: neighbours kept for each video.
        shrink: added to the denominator, so that one shared viewer proves little.

    Returns:
        weight = floor(255 * sum(w_i * w_j) / (floor(sqrt(n_i * n_j)) + shrink)), n = sum of squares over
        the viewers of each; edges of weight 0 are left out; equal weights are ordered by position.
    """
    viewer, video, weight = _cap_viewers(viewer, video, weight)
    norm = np.zeros(videos, dtype=np.int64)
    np.add.at(norm, video, weight * weight)
    pairs, sums = _shared(viewer, video, weight, videos)
    left, right = pairs // max(videos, 1), pairs % max(videos, 1)
    strength = 255 * sums // (isqrt(norm[left] * norm[right]) + shrink)
    keep = (left != right) & (strength > 0)
    left, right, strength = left[keep], right[keep], np.minimum(strength[keep], 255)
    order = np.lexsort((right, -strength, left))
    left, right, strength = left[order], right[order], strength[order]
    first = left.searchsorted(np.arange(videos))
    within = np.arange(left.size, dtype=np.int64) - first[left] < most
    left, right, strength = left[within], right[within], strength[within]
    return Graph(left.searchsorted(np.arange(videos + 1)), right, strength)


def _cap_viewers(viewer: Ints, video: Ints, weight: Ints) -> tuple[Ints, Ints, Ints]:
    """Keep each viewer's strongest watches, ties by video: one viewer cannot fill the graph with pairs."""
    order = np.lexsort((video, -weight, viewer))
    viewer, video, weight = viewer[order], video[order], weight[order]
    first = viewer.searchsorted(viewer)
    keep = np.arange(viewer.size, dtype=np.int64) - first < _MOST_WATCHES
    return viewer[keep], video[keep], weight[keep]


def _shared(viewer: Ints, video: Ints, weight: Ints, videos: int) -> tuple[Ints, Ints]:
    """Sum w_i * w_j over viewers for every ordered pair, keyed i * videos + j; in bounded pieces."""
    begin = viewer.searchsorted(viewer)
    count = viewer.searchsorted(viewer, side="right") - begin
    cuts = np.searchsorted(
        count.cumsum(), np.arange(0, int(count.sum()), _CHUNK_PAIRS), side="right"
    ).tolist()
    keys = np.zeros(0, dtype=np.int64)
    sums = np.zeros(0, dtype=np.int64)
    if not viewer.size:
        return keys, sums
    for low, high in zip(cuts, [*cuts[1:], viewer.size], strict=True):
        rows = np.arange(low, high, dtype=np.int64)
        left = rows.repeat(count[rows])
        before = count[rows].cumsum() - count[rows]
        right = np.arange(left.size, dtype=np.int64) + (begin[rows] - before)[left - low]
        key = video[left] * videos + video[right]
        keys, sums = sum_by_key(
            np.concatenate((keys, key)), np.concatenate((sums, weight[left] * weight[right]))
        )
    return keys, sums
