"""The item graph of a catalogue: ridge regression among videos many watched, co-watching for the rest."""

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.fit.cowatch import Watches, merged, shared_in_head, shares_outside
from lightwell.recommender.fit.ease import regress, to_graph
from lightwell.recommender.graph import Graph
from lightwell.recommender.integers import Ints

_MOST_WATCHES = 200

Whole = NDArray[np.integer[Any]]


class GraphSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the item graph follows from evidence.

    head: the most watched videos, at most so many, whose weights come from ridge regression: its time grows
    with the cube of this, its memory with the square (10,000: a minute of one core and 3 GiB).
    support: viewers that a video of the head has at least. ridge, dropout: see `regress`, in squares of
    evidence and in percent.
    shrink: see `shares_outside`, for pairs outside the head.
    neighbours: kept of each video. edges: of all videos together, at most.
    """

    head: Annotated[int, msgspec.Meta(ge=0, le=20_000)] = 10_000
    support: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    ridge: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 5_000
    dropout: Annotated[int, msgspec.Meta(ge=0, le=95)] = 50
    shrink: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 250
    neighbours: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    edges: Annotated[int, msgspec.Meta(ge=1, le=300_000_000)] = 200_000_000

    def most(self, videos: int) -> int:
        """How many neighbours of each video there is room for."""
        return min(self.neighbours, max(self.edges // max(videos, 1), 1))


def fit_graph(viewer: Whole, video: Whole, evidence: Whole, *, videos: int, settings: GraphSettings) -> Graph:
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
    watches = Watches.of(viewer, video, evidence, head, videos)
    del viewer, video, evidence
    weights = regress(shared_in_head(watches, head), float(settings.ridge), settings.dropout)
    regressed = to_graph(weights, most=most)
    del weights
    if head.size == videos:
        return regressed
    return merged(regressed, head, shares_outside(watches, most=most, shrink=settings.shrink), most=most)


def _strongest(viewer: Whole, video: Whole, evidence: Whole) -> tuple[Whole, Whole, Whole]:
    """Sort by viewer, and cap what one viewer can say at the strongest evidence."""
    if (viewer[1:] < viewer[:-1]).any():
        order = np.argsort(viewer, kind="stable")
        viewer, video, evidence = viewer[order], video[order], evidence[order]
    first = np.flatnonzero(np.diff(viewer, prepend=-1))
    count = np.diff(np.append(first, viewer.size))
    rows = np.flatnonzero((count > _MOST_WATCHES).repeat(count))
    if not rows.size:
        return viewer, video, evidence
    order = rows[np.lexsort((video[rows], -evidence[rows].astype(np.int64), viewer[rows]))]
    keep = np.ones(viewer.size, dtype=np.bool_)
    of = viewer[order]
    keep[order[np.arange(of.size) - of.searchsorted(of) >= _MOST_WATCHES]] = False
    return viewer[keep], video[keep], evidence[keep]


def _head(video: Whole, videos: int, settings: GraphSettings) -> Ints:
    """The most watched videos, ties by position; all that have enough viewers if there is room for them."""
    viewers = np.bincount(video, minlength=videos)[:videos]
    order = np.lexsort((np.arange(videos), -viewers))[: settings.head]
    return np.sort(order[viewers[order] >= settings.support])
