"""Examples to learn from: what a ranker would have been asked in the past, and what viewers then did."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import features, pipeline
from lightwell.recommender.context import Context
from lightwell.recommender.fit.past import HIDE, LIKE, SHARE, SKIP, WATCH, Past
from lightwell.recommender.happened import FOLLOW
from lightwell.recommender.integers import Ints
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.snapshot import Snapshot

Rows = NDArray[np.int16]
Whole = NDArray[np.integer[Any]]
Labels = NDArray[np.bool_]
Step = Callable[[int, int], None]

_NAMES: Final = [one.name for one in features.FEATURES]
GRAPH_FEATURE: Final = _NAMES.index("graph")
TREND_FEATURE: Final = _NAMES.index("graph_trend")
RANK_FEATURE: Final = _NAMES.index("rank")
"""A place among candidates: it says nothing of a video that was shown whether or not it was one."""


@dataclass
class Examples:
    """Rows and labels by outcome, gathered piece by piece."""

    rows: dict[str, list[Rows]] = field(default_factory=dict)
    labels: dict[str, list[Labels]] = field(default_factory=dict)

    def add(self, outcome: str, rows: Rows, labels: Labels) -> None:
        """Take some more."""
        self.rows.setdefault(outcome, []).append(rows)
        self.labels.setdefault(outcome, []).append(labels)

    @classmethod
    def together(cls, parts: "Iterable[Examples]") -> "Examples":
        """The examples of several, one after another."""
        whole = cls()
        for part in parts:
            for outcome, rows in part.rows.items():
                whole.rows.setdefault(outcome, []).extend(rows)
                whole.labels.setdefault(outcome, []).extend(part.labels[outcome])
        return whole

    def joined(self) -> dict[str, tuple[Rows, Labels]]:
        """All of them, by outcome."""
        return {
            outcome: (np.concatenate(rows), np.concatenate(self.labels[outcome]))
            for outcome, rows in self.rows.items()
        }


def scatter(values: Ints) -> NDArray[np.uint64]:
    """Spread whole numbers evenly over 64 bits (SplitMix64): an order by it is a draw that repeats."""
    mixed = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def add_relevance(
    examples: Examples,
    past: Past,
    snapshot: Snapshot,
    policy: RankingPolicy,
    *,
    start: int,
    end: int,
    viewers: int,
    others: int,
    step: Step,
) -> None:
    """Ask for candidates at `start`; those watched long for the first time before `end` were relevant.

    Args:
        examples: where rows go.
        past, policy: what viewers did, and how candidates are found.
        snapshot: as of `start`, with no knowledge of what came after.
        start, end: whole minutes since 1970.
        viewers: at most so many, by a draw, of those who watched something long.
        others: candidates not watched, kept of each viewer, by a draw.
        step: told how far it is.
    """
    videos = past.ids.size
    met = past.pairs(policy.taste.finish)
    now = np.flatnonzero((met.shown >= start) & (met.long < end))
    wanted = met.viewer[now].astype(np.int64) * videos + met.video[now]
    chosen = np.unique(wanted // max(videos, 1))
    if chosen.size > viewers:
        chosen = np.sort(chosen[np.argsort(scatter(chosen + start), kind="stable")[:viewers]])
    for done, viewer in enumerate(chosen.tolist()):
        if done % 256 == 0:
            step(done, chosen.size)
        first, last = np.searchsorted(wanted, (viewer * videos, (viewer + 1) * videos))
        relevant = wanted[first:last] - viewer * videos
        inputs = past.inputs(viewer, start, snapshot, policy)
        found, rows = pipeline.candidates_of(snapshot, policy, inputs)
        label = np.isin(found, relevant)
        if not label.any():
            continue
        rest = np.flatnonzero(~label)
        kept = rest[np.argsort(scatter(rest + viewer * 4096 + start), kind="stable")[:others]]
        at = np.sort(np.concatenate((np.flatnonzero(label), kept)))
        examples.add("relevance", rows[at], label[at])


def add_shown(
    examples: Examples,
    past: Past,
    snapshot: Snapshot,
    policy: RankingPolicy,
    *,
    start: int,
    end: int,
    most: int,
    step: Step,
) -> None:
    """Take the videos shown between two minutes, and what the viewer did with each.

    Args:
        examples: where rows go, of every outcome but relevance.
        past, snapshot, policy, start, end, step: as `add_relevance`.
        most: at most so many, by a draw.
    """
    shown = np.flatnonzero((past.minute >= start) & (past.minute < end))
    keys, group = np.unique(past.viewer[shown] * past.ids.size + past.video[shown], return_inverse=True)
    taste = policy.taste
    kind, strength = past.kind[shown], past.strength[shown]
    watched = (kind == WATCH) | (kind == SKIP)
    came = {
        "long": watched & (strength >= taste.finish),
        "like": kind == LIKE,
        "share": kind == SHARE,
        "follow": kind == FOLLOW,
        "skip": watched & (strength <= taste.skip),
        "hide": kind == HIDE,
    }
    labels = {name: np.bincount(group[is_so], minlength=keys.size) > 0 for name, is_so in came.items()}
    # What counts is the first time that it was shown within this time.
    first = np.full(keys.size, shown.size, dtype=np.int64)
    np.minimum.at(first, group, np.arange(shown.size))
    at = shown[first]
    kept = np.arange(keys.size)
    if kept.size > most:
        kept = np.sort(np.argsort(scatter(keys + start), kind="stable")[:most])
    hours = past.minute[at[kept]].astype(np.int64) // 60
    rows = impressions(past, snapshot, policy, at[kept], start=start, hours=hours, step=step)
    for name, label in labels.items():
        examples.add(name, rows, label[kept])


def impressions(
    past: Past,
    snapshot: Snapshot,
    policy: RankingPolicy,
    at: Ints,
    *,
    start: int,
    hours: Whole,
    step: Step,
) -> Rows:
    """Rows of features for events: the viewer and the counters as of `start`, the hour and page of the event.

    Args:
        at: positions of events in `past`, sorted by viewer, shape (n,).
        hours: whole hours since 1970 of each, shape (n,).
    """
    return rows_for(
        past, snapshot, policy, past.viewer[at], past.video[at], hours, past.tab[at], start=start, step=step
    )


def rows_for(
    past: Past,
    snapshot: Snapshot,
    policy: RankingPolicy,
    viewer: Whole,
    video: Whole,
    hours: Whole,
    tab: Whole,
    *,
    start: int,
    step: Step,
) -> Rows:
    """Rows of features for any viewers and videos, in their order.

    Args:
        past: what viewers did. snapshot, policy: as for ranking.
        viewer: numbers in `past`, -1 for those unknown. video: positions. hours: whole hours since 1970.
        tab: number of the page. Shape (n,) each.
        start: whole minutes since 1970; later events are not known.
        step: told how far it is.
    """
    rows = np.empty((viewer.size, len(features.FEATURES)), dtype=np.int16)
    order = np.lexsort((tab, hours, viewer))
    for done, part in enumerate(_runs(viewer[order], hours[order], tab[order])):
        if done % 256 == 0:
            step(part.start, viewer.size)
        mine = order[part]
        one = int(mine[0])
        inputs = past.inputs(int(viewer[one]), start, snapshot, policy, hour=int(hours[one]))
        context = Context(snapshot, policy, inputs)
        asked = video[mine].astype(np.int32)
        rows[mine] = features.rows(context, asked, tab=int(tab[one]))
        context.release()
    return rows


def _runs(*columns: Whole) -> Iterable[slice]:
    """Stretches in which no column changes."""
    size = columns[0].size
    if not size:
        return
    change = np.zeros(size, dtype=np.bool_)
    for column in columns:
        change[1:] |= column[1:] != column[:-1]
    edges = [0, *np.flatnonzero(change).tolist(), size]
    for low, high in pairwise(edges):
        yield slice(low, high)
