"""A model from real viewing, and what the serving path answers with it to everyone at one moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lightwell.apps.kuairand import MINUTE_MS, Viewing
from lightwell.recommender import kernels
from lightwell.recommender.features import FEATURES
from lightwell.recommender.fit.examples import rows_for
from lightwell.recommender.fit.model import Model, ModelSettings, Step, fit_model
from lightwell.recommender.fit.past import Past
from lightwell.recommender.graph import Graph
from lightwell.recommender.integers import Ints
from lightwell.recommender.pipeline import rank
from lightwell.recommender.policy import (
    Diversity,
    Exploration,
    Filters,
    Holdback,
    Limits,
    Outcomes,
    RankingPolicy,
    Taste,
    Weights,
)
from lightwell.recommender.ranker import Ranker
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.tables import tables_of
from lightwell.recommender.train import TrainSettings, build_base


def measured_policy(settings: ModelSettings) -> RankingPolicy:
    """The policy of a backtest: what is most likely watched long next, in order, and nothing else.

    No draws, no diversity, no points for what is new: these give up some of what is measured here.
    """
    return RankingPolicy(
        outcomes=Outcomes(relevance=255, long=0, like=0, share=0, follow=0, skip=0, hide=0),
        # Without trees: the order of the item graph, as finely as points can tell.
        weights=Weights(creator=0, tag=0, sound=0, follow=0, rising=0, finish=0, new=0, co_watch=10_000),
        taste=Taste(co_watch_half=20_000),
        limits=Limits(co_watch=settings.candidates),
        filters=Filters(own=False, again_after=0),
        diversity=Diversity(creator=0, sound=0, topic=0, creator_often=0),
        exploration=Exploration(share=0),
        holdback=Holdback(share=0),
    )


@dataclass(frozen=True)
class Fitted:
    """A snapshot with its ranker, and what viewers had done when it was made."""

    snapshot: Snapshot
    past: Past
    model: Model
    settings: ModelSettings
    users: NDArray[np.int64]


def fit(viewing: Viewing, settings: ModelSettings, step: Step, model_until: int | None = None) -> Fitted:
    """Fit a model and make the snapshot that serves with it.

    Args:
        viewing: what happened.
        settings: see `ModelSettings`.
        step: told what is done, and how far it is.
        model_until: milliseconds since 1970; graph and trees know nothing later, counters and viewers do.
    """
    past = Past.of(viewing.ids, viewing.events, viewing.at, viewing.tab)
    minute = viewing.minute if model_until is None else min(-(-model_until // MINUTE_MS), viewing.minute)
    model = fit_model(past, minute, settings, partial(snapshot_at, viewing), step)
    snapshot = snapshot_at(viewing, viewing.minute, model.graph, model.ranker)
    return Fitted(snapshot, past, model, settings, np.unique(viewing.events["viewer"]).astype(np.int64))


def snapshot_at(viewing: Viewing, minute: int, graph: Graph, ranker: Ranker | None = None) -> Snapshot:
    """Make the snapshot whose counters stand at a minute; the minute itself has not begun."""
    known = viewing.events[viewing.events["minute"] < minute]
    parts = build_base(
        viewing.facts, known, TrainSettings(), minute, ranker=ranker, features=len(FEATURES), graph=graph
    )
    return Snapshot.from_bytes(b"".join(parts))


def moved(fitted: Fitted, viewing: Viewing, minute: int) -> Fitted:
    """The same model with counters as of another minute, and viewers as of the end of `viewing`.

    Args:
        fitted: graph and trees. viewing: what happened, of the same catalogue. minute: since 1970.
    """
    past = Past.of(viewing.ids, viewing.events, viewing.at, viewing.tab)
    snapshot = snapshot_at(viewing, minute, fitted.model.graph, fitted.model.ranker)
    users = np.unique(viewing.events["viewer"]).astype(np.int64)
    return Fitted(snapshot, past, fitted.model, fitted.settings, users)


def viewers(fitted: Fitted, users: Ints) -> Ints:
    """The number of each user in the past, -1 for one of whom nothing is known."""
    if not fitted.users.size:
        return np.full(users.size, -1, dtype=np.int64)
    at = np.minimum(fitted.users.searchsorted(users), fitted.users.size - 1)
    return np.where(fitted.users[at] == users, at, -1)


def recommend(fitted: Fitted, users: Ints, k: int, minutes: Ints) -> Iterator[tuple[int, list[int]]]:
    """Rank for each user, as the feed does.

    Args:
        fitted: what is served from. users: ids, shape (n,). k: places.
        minutes: since 1970, of each request, shape (n,): what the user did from then on is not known.

    Yields:
        A user and the positions of at most `k` videos not seen before, best first.
    """
    policy = measured_policy(fitted.settings)
    known = viewers(fitted, users)
    for user, viewer, minute in zip(users.tolist(), known.tolist(), minutes.tolist(), strict=True):
        inputs = fitted.past.inputs(viewer, minute, fitted.snapshot, policy, k=k)
        slate = rank(fitted.snapshot, policy, inputs).slate
        yield user, fitted.snapshot.find([item.video for item in slate.items]).tolist()


def score_long(
    fitted: Fitted, users: Ints, at: Ints, minutes: Ints, tab: Ints, minute: int, step: Step
) -> Ints:
    """Score impressions by the trees of a long watch, in 1/1024 log-odds.

    Args:
        fitted: what is served from.
        users: ids. at: positions of videos, -1 for unknown ones. minutes: since 1970. tab: page. Shape (n,).
        minute: what happened from then on is not known.
        step: told how far it is.

    Raises:
        ValueError: there were too few examples to grow such trees.
    """
    ranker = fitted.model.ranker
    if ranker is None or "long" not in ranker.outcomes:
        raise ValueError("score: too few long watches before this time to learn from")
    policy = measured_policy(fitted.settings)
    known = at >= 0
    rows = rows_for(
        fitted.past, fitted.snapshot, policy, viewers(fitted, users[known]), at[known], minutes[known] // 60,
        tab[known], start=minute, step=lambda done, total: step("impressions", done, total),
    )  # fmt: skip
    answers = np.zeros(at.size, dtype=np.int64)
    forest, given = tables_of(fitted.snapshot).forest, np.zeros(rows.shape[0], dtype=np.int64)
    if forest is not None:
        outcome = forest.outcomes.index("long")
        begin, end = forest.starts[outcome], forest.starts[outcome + 1]
        kernels.trees.walk(forest.nodes, forest.values, forest.root, forest.depth, begin, end, rows, 1, given)
    answers[known] = given
    # Of a video that nobody knows, what is known of all.
    if known.any():
        answers[~known] = int(answers[known].mean())
    return answers


def warm() -> None:
    """Compile what is not yet compiled, so that progress is that of the work."""
    kernels.warm()
