"""What the ranker foresees of each candidate, mixed as the policy says, and divided exactly into reasons."""

import numpy as np

from lightwell.recommender import kernels
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.features import GROUP_OF, GROUPS, Group
from lightwell.recommender.integers import Ints
from lightwell.recommender.kernels import measure
from lightwell.recommender.measured import Measured, creator_reason, finish_code, sound_reason


def points(measured: Measured) -> Ints:
    """Sum over outcomes of the policy's weight times the trees' log-odds in 1/1024, shape (n,)."""
    found = np.zeros(measured.candidates.videos.shape, dtype=np.int64)
    for outcome, weight in _weights(measured):
        _add(measured, outcome, weight, found)
    return found


def raw(measured: Measured, outcome: int) -> Ints:
    """What the trees of one outcome answer, in 1/1024 log-odds, shape (n,)."""
    found = np.zeros(measured.candidates.videos.shape, dtype=np.int64)
    _add(measured, outcome, 1, found)
    return found


def _add(measured: Measured, outcome: int, weight: int, points: Ints) -> None:
    forest = measured.context.tables.forest
    if forest is not None:
        forest.answer(outcome, measured.columns, weight, points)


def describe(measured: Measured, at: int, total: int) -> list[Contribution]:
    """Divide a candidate's points by what the trees asked about; the rest is where every video starts."""
    forest = measured.context.tables.forest
    sums = np.zeros(len(GROUPS) + 1, dtype=np.int64)
    for outcome, weight in _weights(measured):
        assert forest is not None  # noqa: S101 - there are weights only for a ranker's outcomes
        parts = np.zeros(len(GROUPS) + 1, dtype=np.int64)
        kernels.trees.attribute(
            forest.nodes, forest.values, forest.root, forest.depth,
            forest.starts[outcome], forest.starts[outcome + 1], measured.features[at], GROUP_OF, parts,
        )  # fmt: skip
        sums += weight * parts
    found = [
        _say(measured, at, group, part) for group, part in zip(GROUPS, sums.tolist(), strict=False) if part
    ]
    start = total - sum(part.points for part in found)
    return [*found, Contribution("start", start)] if start else found


def _weights(measured: Measured) -> list[tuple[int, int]]:
    """The outcomes the ranker knows and the policy weighs: number and signed weight."""
    forest = measured.context.tables.forest
    if forest is None:
        return []
    mix = measured.context.policy.outcomes
    weights = [(number, mix.signed(name)) for number, name in enumerate(forest.outcomes)]
    return [(number, weight) for number, weight in weights if weight]


_CODES: dict[Group, str] = {
    "popular": "popular",
    "length": "length",
    "habit": "habit",
    "hour": "hour",
}


def _say(measured: Measured, at: int, group: Group, points: int) -> Contribution:
    """The contribution of one group, in words that are true of this video and viewer."""
    if group == "near":
        near = points > 0 and int(measured.signals[measure.GRAPH, at]) > 0
        return Contribution("co-watch" if near else "co-watch-other", points)
    if group == "creator":
        return creator_reason(measured, at, points)
    if group == "sound":
        return sound_reason(measured, at, points)
    if group == "finish":
        return Contribution(finish_code(measured, at, points), points)
    if group == "new":
        return Contribution("age", points, None, measured.age(at))
    if group == "topic":
        video = int(measured.candidates.videos[at])
        number = int(measured.context.tables.topic[video])
        about = measured.context.snapshot.topics[number] if number >= 0 else None
        return Contribution("topic", points, about)
    return Contribution(_CODES[group], points)
