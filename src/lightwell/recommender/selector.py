"""Selectors: which scored candidates take which places, with the points diversity and exploration add."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lightwell.recommender import kernels
from lightwell.recommender.context import Positions
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.draws import EXPLORE, raw_draws
from lightwell.recommender.integers import Ints
from lightwell.recommender.measured import Measured

CERTAIN = 1_000_000
_NO_IDS = np.zeros(0, dtype=np.uint64)


class Pick(NamedTuple):
    """One place of the slate.

    at: position among the candidates. added: points on top of the candidate's score.
    propensity: chance in millionths, given the places above, that the draw for this place ended like this;
    1,000,000 where nothing was drawn. It lets later statistics weigh exploration correctly.
    lift: of the points added those that raised a drawn video to its place, 0 where none was drawn.
    """

    at: int
    added: int = 0
    propensity: int = CERTAIN
    lift: int = 0


Choose = Callable[[Measured, Ints, Positions], list[Pick]]
DescribeAdded = Callable[[Measured, list[Pick], int], list[Contribution]]


@dataclass(frozen=True)
class Selector:
    """A way of filling the places.

    choose: candidates ascending by id, their scores (n,), and those of them that need first viewers, the most
    needing first -> picks, at most as many as asked for, none twice.
    describe: for the candidates, the picks and one of their places, contributions that sum to what was added.
    """

    choose: Choose
    describe: DescribeAdded


def _best(measured: Measured, scores: Ints, _pool: Positions) -> list[Pick]:
    """The highest scores, ties by id; nothing else."""
    order = np.argsort(-scores, kind="stable")[: measured.context.inputs.request.k]
    return [Pick(at) for at in order.tolist()]


def _spread(measured: Measured, scores: Ints, pool: Positions) -> list[Pick]:
    """Greedy by score less repetition, with a seeded draw for new videos at every so many places."""
    context = measured.context
    rules, explore = context.policy.diversity, context.policy.exploration
    k, unit = context.inputs.request.k, measured.unit
    draws = raw_draws(context.inputs.seed, EXPLORE, 2 * (k // explore.every))
    numbers = np.array(
        [
            k, rules.window, rules.creator * unit, rules.sound * unit, rules.topic * unit,
            rules.creator_most, rules.creator_often * unit, explore.every, explore.share, explore.pool,
        ],
        dtype=np.int64,
    )  # fmt: skip
    picks = kernels.choose.diverse(
        scores, measured.candidates.facts, context.tables.facts, context.just_shown, numbers, pool, draws
    )
    return [Pick(*row) for row in picks.tolist()]


def first_viewers(measured: Measured, fresh: int) -> Positions:
    """Candidates that the source of this number found new and hardly seen, as `Select` takes them.

    Fewest views first, then the newest, then id; none that the viewer has seen.
    """
    tables, candidates = measured.context.tables, measured.candidates
    found: Positions = kernels.choose.first_viewers(
        candidates.found_by, 1 << fresh, candidates.facts, candidates.videos, tables.views, tables.published,
        measured.context.seen if measured.again else _NO_IDS,
    )  # fmt: skip
    return found


def _describe_spread(measured: Measured, picks: list[Pick], place: int) -> list[Contribution]:
    """What diversity took and exploration gave at a place: contributions that sum to the points added."""
    context, pick, unit = measured.context, picks[place], measured.unit
    tables, rules, snapshot = context.tables, context.policy.diversity, context.snapshot
    videos = measured.candidates.videos
    parts = []
    shown = [*context.just_shown.tolist(), *(int(videos[before.at]) for before in picks[:place])]
    video = int(videos[pick.at])
    for code, words, numbers, weight in (
        ("same-creator", snapshot.creators, tables.creator, rules.creator),
        ("same-sound", snapshot.sounds, tables.sound, rules.sound),
        ("same-topic", snapshot.topics, tables.topic, rules.topic),
    ):
        number = int(numbers[video])
        for back in range(1, min(rules.window, len(shown)) + 1):
            if number >= 0 and shown[-back] >= 0 and int(numbers[shown[-back]]) == number:
                loss = weight * unit * (rules.window + 1 - back) // rules.window
                parts += [Contribution(code, -loss, words[number], back)] if loss else []
                break
    creator = int(tables.creator[video])
    of_creator = sum(int(tables.creator[int(videos[before.at])]) == creator for before in picks[:place])
    if of_creator >= rules.creator_most and rules.creator_often:
        loss = rules.creator_often * unit
        parts.append(Contribution("creator-often", -loss, snapshot.creators[creator], of_creator))
    if pick.lift:
        parts.append(Contribution("explored", pick.lift))
    return parts


def _describe_nothing(_measured: Measured, _picks: list[Pick], _place: int) -> list[Contribution]:
    return []


IN_ORDER = Selector(_best, _describe_nothing)
DIVERSE = Selector(_spread, _describe_spread)
