"""A model from events: the item graph, and trees that learned from what it would have offered before."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, cast

import msgspec

from lightwell.recommender.fit.examples import (
    GRAPH_FEATURE,
    RANK_FEATURE,
    TREND_FEATURE,
    Examples,
    add_relevance,
    add_shown,
)
from lightwell.recommender.fit.items import GraphSettings, fit_graph
from lightwell.recommender.fit.past import Past
from lightwell.recommender.fit.spread import Spread, in_turn
from lightwell.recommender.fit.trees import (
    Trees,
    TreeSettings,
    blank_ranker,
    grow_trees,
    outcomes_with_enough,
    ranker_of,
)
from lightwell.recommender.graph import Graph
from lightwell.recommender.policy import Holdback, Limits, RankingPolicy
from lightwell.recommender.ranker import OUTCOMES, Ranker
from lightwell.recommender.snapshot import Snapshot

Step = Callable[[str, int, int], None]
SnapshotAt = Callable[[int, Graph, Ranker], Snapshot]

# A stretch of time teaches nothing where less than this part of its events had been counted before it.
_KNOWN_BEFORE = 4


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a model follows from events.

    long, other: evidence of a video watched long or liked, and of any other that was shown, 1..15.
    graph: see `GraphSettings`. horizon: minutes of what came next that trees learn from at once.
    horizons: how many such stretches, the newest first. candidates: neighbours considered for each viewer.
    viewers, shown: of each stretch, at most. others: candidates not watched, kept of each viewer.
    relevance, impression: how trees grow.
    """

    v: int = 1
    long: Annotated[int, msgspec.Meta(ge=1, le=15)] = 5
    other: Annotated[int, msgspec.Meta(ge=1, le=15)] = 3
    graph: GraphSettings = GraphSettings()
    horizon: Annotated[int, msgspec.Meta(ge=60, le=14 * 1440)] = 1440
    horizons: Annotated[int, msgspec.Meta(ge=0, le=30)] = 4
    candidates: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 400
    viewers: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    shown: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 50_000
    others: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 40
    relevance: TreeSettings = TreeSettings(
        trees=150, leaves=15, rate=60, least=300, smooth=20, slopes=((GRAPH_FEATURE, 10), (TREND_FEATURE, 10))
    )
    impression: TreeSettings = TreeSettings(trees=120, leaves=15, rate=80, least=200)


@dataclass(frozen=True)
class Model:
    """What was fitted, and from how many examples and positives by outcome."""

    graph: Graph
    ranker: Ranker | None
    examples: dict[str, tuple[int, int]]


def fit_model(
    past: Past,
    minute: int,
    settings: ModelSettings,
    snapshot_at: SnapshotAt,
    step: Step,
    spread: Spread = in_turn,
) -> Model:
    """Fit a model that knows what happened before a minute.

    Args:
        past: what viewers did; what happened from `minute` on is not read.
        minute: whole minutes since 1970.
        settings: see `ModelSettings`.
        snapshot_at: gives the snapshot of an earlier minute, with a graph and a ranker.
        step: told what is done, and how far it is; not of parts that other processes work on.
        spread: works on stretches of time, and then on the trees of each outcome and the graph.
    """
    starts = [minute - settings.horizon * back for back in range(settings.horizons, 0, -1)]
    starts = [start for start in starts if _known(past, start, settings.horizon)]
    # Sorted once, before processes that share memory part.
    past.pairs(RankingPolicy().taste.finish)
    stretches = {f"stretch {at + 1} of {len(starts)}": start for at, start in enumerate(starts)}

    def learn(part: str) -> Examples:
        return _stretch(past, stretches[part], settings, snapshot_at, partial(_within, step, part))

    joined = Examples.together(spread(learn, list(stretches))).joined()
    step("trees", 0, 1)
    grow = dict.fromkeys(OUTCOMES, settings.impression) | {"relevance": settings.relevance}
    unread = {outcome: (RANK_FEATURE,) for outcome in OUTCOMES if outcome != "relevance"}

    def finish(part: str) -> Graph | Trees:
        if part != "graph":
            return grow_trees(part.removeprefix("trees of "), joined, grow, unread=unread)
        step("graph", 0, 1)
        return graph_until(past, minute, settings)

    outcomes = outcomes_with_enough(joined, grow)
    # The graph takes longest.
    graph, *trees = spread(finish, ["graph", *(f"trees of {outcome}" for outcome in outcomes)])
    ranker = ranker_of(dict(zip(outcomes, cast(list[Trees], trees), strict=True)))
    counts = {name: (int(label.size), int(label.sum())) for name, (_, label) in joined.items()}
    return Model(cast(Graph, graph), ranker, counts)


def _stretch(
    past: Past, start: int, settings: ModelSettings, snapshot_at: SnapshotAt, step: Step
) -> Examples:
    """Examples of one stretch of time, from what was known when it began."""
    policy, examples = fitting_policy(settings), Examples()
    step("graph", 0, 1)
    snapshot = snapshot_at(start, graph_until(past, start, settings), blank_ranker())
    end = start + settings.horizon
    add_relevance(
        examples, past, snapshot, policy, start=start, end=end,
        viewers=settings.viewers, others=settings.others, step=partial(step, "viewers"),
    )  # fmt: skip
    add_shown(
        examples, past, snapshot, policy, start=start, end=end, most=settings.shown,
        step=partial(step, "shown"),
    )  # fmt: skip
    return examples


def _within(step: Step, part: str, what: str, done: int, total: int) -> None:
    step(f"{part}: {what}", done, total)


def fitting_policy(settings: ModelSettings) -> RankingPolicy:
    """The policy that candidates to learn from are found by: nobody is held back, and many are considered."""
    return RankingPolicy(limits=Limits(co_watch=settings.candidates), holdback=Holdback(share=0))


def graph_until(past: Past, minute: int, settings: ModelSettings) -> Graph:
    """Fit the item graph from what happened before a minute; what a viewer hid says nothing."""
    met = past.pairs(RankingPolicy().taste.finish)
    viewer, video, evidence = met.evidence(minute, long=settings.long, other=settings.other)
    return fit_graph(viewer, video, evidence, videos=past.ids.size, settings=settings.graph)


def _known(past: Past, start: int, horizon: int) -> bool:
    """Whether enough had been counted before a stretch of time for its counters to mean something."""
    before = int(((past.minute >= start - horizon) & (past.minute < start)).sum())
    after = int(((past.minute >= start) & (past.minute < start + horizon)).sum())
    return after > 0 and before * _KNOWN_BEFORE >= after
