"""The item graph of a catalogue: ridge regression among videos many watched, co-watching for the rest."""

from typing import Annotated

import msgspec
import numpy as np

from lightwell.recommender.fit.ease import MOST_WEIGHT, regress, shared_evidence, to_graph
from lightwell.recommender.graph import Graph, build_graph
from lightwell.recommender.integers import Ints

_MOST_WATCHES = 200


class GraphSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the item graph follows from evidence.

    head: the most watched videos, at most so many, whose weights come from ridge regression: its time grows
    with the cube of this, its memory with the square (10,000: a minute of one core and 3 GiB).
    support: viewers that a video of the head has at least. ridge: see `regress`, in squares of evidence.
    shrink: see `build_graph`, for pairs outside the head.
    neighbours: kept of each video. edges: of all videos together, at most.
    """

    head: Annotated[int, msgspec.Meta(ge=0, le=20_000)] = 10_000
    support: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    ridge: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 5_000
    shrink: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 250
    neighbours: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    edges: Annotated[int, msgspec.Meta(ge=1, le=300_000_000)] = 200_000_000

    def most(self, videos: int) -> int:
        """How many neighbours of each video there is room for."""
        return min(self.neighbours, max(self.edges // max(videos, 1), 1))


def fit_graph(viewer: Ints, video: Ints, evidence: Ints, *, videos: int, settings: GraphSettings) -> Graph:
    """Fit the item graph.

    Args:
        viewer, video, evidence: one row a viewer and video in any order, evidence 1..15: more for a long
            watch or a like than for any other showing. One viewer's strongest 200 count, ties by video.
        videos: size of the catalogue.

    Returns:
        Signed weights, the strongest first, equal ones by position; those of the row's video for a viewer who
        watched it. 127 is the largest regression weight; co-watch weights are shares of certainty, 127 = 1.
    """
    viewer, video, evidence = _strongest(viewer, video, evidence)
    head = _head(video, videos, settings)
    most = settings.most(videos)
    if not head.size:
        return _shares(viewer, video, evidence, videos=videos, most=most, shrink=settings.shrink)
    number = np.full(videos, -1, dtype=np.int64)
    number[head] = np.arange(head.size)
    inside = number[video] >= 0
    shared = shared_evidence(viewer[inside], number[video[inside]], evidence[inside], head.size)
    regressed = to_graph(regress(shared, float(settings.ridge)), most=most)
    if head.size == videos:
        return regressed
    rows = head.repeat(np.diff(regressed.starts))
    columns = head[regressed.near]
    watched = _shares(viewer, video, evidence, videos=videos, most=most, shrink=settings.shrink)
    left = np.arange(videos, dtype=np.int64).repeat(np.diff(watched.starts))
    outside = (number[left] < 0) | (number[watched.near] < 0)
    return _strongest_first(
        np.concatenate((rows, left[outside])),
        np.concatenate((columns, watched.near[outside])),
        np.concatenate((regressed.weight, watched.weight[outside])),
        videos=videos,
        most=most,
    )


def _strongest(viewer: Ints, video: Ints, evidence: Ints) -> tuple[Ints, Ints, Ints]:
    """Sort by viewer, the strongest evidence first, and cap what one viewer can say."""
    order = np.lexsort((video, -evidence, viewer))
    viewer, video, evidence = viewer[order], video[order], evidence[order]
    keep = np.arange(viewer.size, dtype=np.int64) - viewer.searchsorted(viewer) < _MOST_WATCHES
    return viewer[keep], video[keep], evidence[keep]


def _head(video: Ints, videos: int, settings: GraphSettings) -> Ints:
    """The most watched videos, ties by position; all that have enough viewers if there is room for them."""
    viewers = np.bincount(video, minlength=videos)[:videos]
    order = np.lexsort((np.arange(videos), -viewers))[: settings.head]
    return np.sort(order[viewers[order] >= settings.support])


def _shares(viewer: Ints, video: Ints, evidence: Ints, *, videos: int, most: int, shrink: int) -> Graph:
    graph = build_graph(viewer, video, evidence, videos=videos, most=most, shrink=shrink)
    return Graph(graph.starts, graph.near, np.minimum(graph.weight, MOST_WEIGHT))


def _strongest_first(left: Ints, right: Ints, weight: Ints, *, videos: int, most: int) -> Graph:
    weight = weight.astype(np.int64)
    order = np.lexsort((right, -np.abs(weight), left))
    left, right, weight = left[order], right[order], weight[order]
    keep = np.arange(left.size, dtype=np.int64) - left.searchsorted(left) < most
    left, right, weight = left[keep], right[keep], weight[keep]
    return Graph(left.searchsorted(np.arange(videos + 1)), right, weight)
