"""Selectors: which scored candidates take which places, with the points diversity and exploration add."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.context import Context
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.draws import EXPLORE, below, draw
from lightwell.recommender.integers import Ints, among, best_first

CERTAIN = 1_000_000
_GONE = -(1 << 40)  # Below any score, so that a taken candidate is never the best.
_WHOLE = 720_720  # Divisible by 1..16, so that the first weights of the draw are exact fractions.


@dataclass(frozen=True)
class Pick:
    """One place of the slate.

    at: position among the candidates. added: contributions on top of the candidate's score.
    propensity: chance in millionths, given the places above, that the draw for this place ended like this;
    1,000,000 where nothing was drawn. It lets later statistics weigh exploration correctly.
    """

    at: int
    added: list[Contribution] = field(default_factory=list)
    propensity: int = CERTAIN
    explored: bool = False


Select = Callable[[Context, Ints, Ints], list[Pick]]
"""Context, videos (n,) ascending and their scores (n,) -> picks, at most as many as asked for, none twice."""


def in_order(context: Context, videos: Ints, scores: Ints) -> list[Pick]:
    """The highest scores, ties by id; nothing else."""
    return [Pick(at) for at in best_first(scores)[: context.inputs.request.k].tolist()]


def diverse(context: Context, videos: Ints, scores: Ints) -> list[Pick]:
    """Greedy by score less repetition, with a seeded draw for new videos at every so many places."""
    return _Selection(context, videos, scores).run()


class _Repeats:
    """When each creator, sound or topic was last shown, and what showing it again at a place costs."""

    def __init__(
        self,
        code: str,
        words: tuple[str, ...],
        numbers: NDArray[np.int32],
        videos: Ints,
        weight: int,
        window: int,
    ) -> None:
        self.code = code
        self.words = words
        self.numbers = numbers
        self.weight = weight
        self.window = window
        self.number_of: Ints = numbers[videos].astype(np.int64)
        # By number; one more at the end for -1, no sound or topic, which costs nothing.
        self.loss = np.zeros(len(words) + 1, dtype=np.int64)
        self.last: dict[int, int] = {}

    def show(self, number: int, place: int) -> None:
        """Note that a place shows it; places of earlier slates are negative; none (-1) cannot repeat."""
        if number >= 0 and self.weight and self.window:
            self.last[number] = place

    def move_to(self, place: int) -> None:
        """Work out the losses at a place: all of the weight for the video just before, less further back."""
        for number, last in list(self.last.items()):
            back = place - last
            if back > self.window:
                del self.last[number]
                self.loss[number] = 0
            else:
                self.loss[number] = self.weight * (self.window + 1 - back) // self.window

    def part(self, at: int, place: int) -> list[Contribution]:
        """The contribution of a candidate's repeat at the place moved to, if it is one."""
        number = int(self.number_of[at])
        loss = int(self.loss[number])
        if not loss:
            return []
        return [Contribution(self.code, -loss, self.words[number], place - self.last[number])]


class _Selection:
    """The state of one greedy pass; candidates keep their order by id, so the first maximum wins ties."""

    def __init__(self, context: Context, videos: Ints, scores: Ints) -> None:
        self.context = context
        self.videos = videos
        self.left = scores.copy()
        rules, snapshot = context.policy.diversity, context.snapshot
        self.rules = rules
        creator, sound, topic = (
            _Repeats(code, words, numbers, videos, weight, rules.window)
            for code, words, numbers, weight in (
                ("same-creator", snapshot.creators, snapshot.creator, rules.creator),
                ("same-sound", snapshot.sounds, snapshot.sound, rules.sound),
                ("same-topic", snapshot.topics, snapshot.topic, rules.topic),
            )
        )
        self.creator = creator
        self.repeats = (creator, sound, topic)
        self.shown_of: Counter[int] = Counter()
        # The newest videos seen count as the places just before the first.
        tail = context.seen_in_order[-rules.window :].tolist() if rules.window else []
        for place, video in enumerate(tail, start=-len(tail)):
            if video >= 0:
                for repeats in self.repeats:
                    repeats.show(int(repeats.numbers[video]), place)

    def run(self) -> list[Pick]:
        """Fill the places from the first to the last."""
        picks: list[Pick] = []
        every = self.context.policy.exploration.every
        for place in range(min(self.context.inputs.request.k, self.videos.size)):
            for repeats in self.repeats:
                repeats.move_to(place)
            creator, sound, topic = (repeats.loss[repeats.number_of] for repeats in self.repeats)
            worth = self.left - creator - sound - topic
            best = int(worth.argmax())
            pick = Pick(best, self._added(best, place))
            if place % every == every - 1:
                pick = self._explore(pick, worth, place)
            self._take(pick.at, place)
            picks.append(pick)
        return picks

    def _explore(self, best: Pick, worth: Ints, place: int) -> Pick:
        """Draw whether, and which, new video with few views gets this place instead of the best."""
        rules = self.context.policy.exploration
        pool = [at for at in self.fresh if self.left[at] > _GONE][: rules.pool]
        if not pool or not rules.share:
            return best
        block = place // rules.every
        coin, ticket = self.chances[2 * block : 2 * block + 2]
        if below(coin, CERTAIN) >= rules.share:
            return Pick(best.at, best.added, CERTAIN - rules.share)
        # The fewer its views, the likelier: weights fall as 1, 1/2, 1/3 ... in whole numbers.
        weights = [_WHOLE // (rank + 1) for rank in range(len(pool))]
        rest, rank = below(ticket, sum(weights)), 0
        while rest >= weights[rank]:
            rest -= weights[rank]
            rank += 1
        at = pool[rank]
        lift = int(worth[best.at] - worth[at]) + 1
        chance = max(rules.share * weights[rank] // sum(weights), 1)
        return Pick(at, [*self._added(at, place), Contribution("explored", lift)], chance, explored=True)

    @cached_property
    def chances(self) -> list[int]:
        """Two draws for each place that may explore: whether, and which."""
        blocks = self.context.inputs.request.k // self.context.policy.exploration.every
        return draw(self.context.inputs.seed, EXPLORE, 2 * blocks)

    @cached_property
    def fresh(self) -> list[int]:
        """Unseen candidates of the exploration source: fewest views first, then the newest, then id."""
        context, snapshot = self.context, self.context.snapshot
        wanted = among(np.sort(context.fresh), self.videos) & ~among(context.seen, self.videos)
        found = wanted.nonzero()[0]
        videos = self.videos[found]
        order = np.lexsort((videos, -snapshot.published[videos], snapshot.views[videos]))
        places: list[int] = found[order].tolist()
        return places

    def _added(self, at: int, place: int) -> list[Contribution]:
        """What diversity takes from a candidate at a place, one contribution a reason."""
        parts = [part for repeats in self.repeats for part in repeats.part(at, place)]
        number = int(self.creator.number_of[at])
        shown = self.shown_of[number]
        if shown >= self.rules.creator_most and self.rules.creator_often:
            key = self.creator.words[number]
            parts.append(Contribution("creator-often", -self.rules.creator_often, key, shown))
        return parts

    def _take(self, at: int, place: int) -> None:
        for repeats in self.repeats:
            repeats.show(int(repeats.number_of[at]), place)
        self.left[at] = _GONE
        number = int(self.creator.number_of[at])
        self.shown_of[number] += 1
        if self.shown_of[number] == self.rules.creator_most:
            self.left[self.creator.number_of == number] -= self.rules.creator_often
