"""One request against one snapshot: the viewer's ids found in it, and the tastes that follow from them."""

from functools import cached_property, lru_cache

import numpy as np

from lightwell.recommender.draws import PROMOTION, below, draw
from lightwell.recommender.integers import (
    ONE,
    Ints,
    among,
    as_ints,
    best_first,
    distinct,
    half_life_table,
    spread,
    sum_by_key,
    sum_small_by_key,
)
from lightwell.recommender.policy import Promotion, RankingPolicy
from lightwell.recommender.record import RecordError, SlateInputs
from lightwell.recommender.snapshot import Snapshot

_MOST_FRESH = 1_000

Tastes = tuple[Ints, Ints]
"""Numbers of creators, sounds, tags or videos, ascending, and the signed liking of each."""


@lru_cache(maxsize=64)
def _recency(half: int, length: int) -> Ints:
    table = half_life_table(half, length)
    table.flags.writeable = False
    return table


class Context:
    """What every stage reads; built once, read-only after, each part worked out when asked for."""

    def __init__(self, snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs) -> None:
        self.snapshot = snapshot
        self.policy = policy
        self.inputs = inputs
        viewer = inputs.viewer
        # One look-up for all lists of the record: each list is then a slice of it.
        watched_ids = [video for video, _ in viewer.watched]
        groups = (watched_ids, viewer.seen, viewer.likes, viewer.hidden, inputs.withdrawn)
        try:
            found = snapshot.find([video for group in groups for video in group])
        except ValueError as error:
            raise RecordError(f"slate inputs: {error}") from error
        cuts = np.cumsum([len(group) for group in groups]).tolist()
        watched, seen, likes, hidden, withdrawn = np.split(found, cuts[:-1])
        strength = as_ints([value for _, value in viewer.watched])
        if strength.size and (int(strength.min()) < 0 or int(strength.max()) > 255):
            raise RecordError("slate inputs: a watch strength is not in 0..255")
        age = np.arange(watched.size - 1, -1, -1)
        known = watched >= 0
        self.watched: Ints = watched[known]
        self.strength: Ints = strength[known]
        self.recency: Ints = _recency(policy.taste.half_life, max(watched.size, 100))[age[known]]
        self.seen_in_order: Ints = seen
        """Newest last; -1 where a seen video is no longer in the catalogue."""
        self.likes = _distinct(likes)
        self.hidden = _distinct(hidden)
        self.withdrawn = _distinct(withdrawn)

    @cached_property
    def seen(self) -> Ints:
        """Seen videos, ascending and distinct."""
        return _distinct(self.seen_in_order)

    @cached_property
    def seen_long_ago(self) -> Ints:
        """Seen videos that may be offered again when little else is left; none if the policy says never."""
        newest = self.policy.filters.again_after
        if not newest or self.seen_in_order.size <= newest:
            return self.seen[:0]
        recent = _distinct(self.seen_in_order[-newest:])
        return self.seen[~among(recent, self.seen)]

    @cached_property
    def follows(self) -> Ints:
        """Followed creators known to the snapshot, ascending."""
        numbers = self.snapshot.creator_numbers
        found = {numbers[key] for key in self.inputs.viewer.follows if key in numbers}
        return as_ints(sorted(found))

    @cached_property
    def own(self) -> int:
        """The viewer's own number as a creator, -1 if none."""
        return self.snapshot.creator_numbers.get(self.inputs.viewer.own or "", -1)

    @cached_property
    def evidence(self) -> tuple[Ints, Ints]:
        """Videos and what each says: watches above or below neutral by age, likes for, hides against."""
        taste = self.policy.taste
        watched = (self.strength - taste.neutral) * self.recency // ONE
        videos = np.concatenate((self.watched, self.likes, self.hidden))
        values = np.concatenate(
            (watched, np.full(self.likes.size, taste.like), np.full(self.hidden.size, -taste.hide))
        )
        return videos, values

    @cached_property
    def creator_tastes(self) -> Tastes:
        """Liking by creator."""
        videos, values = self.evidence
        return sum_by_key(self.snapshot.creator[videos].astype(np.int64), values)

    @cached_property
    def sound_tastes(self) -> Tastes:
        """Liking by sound."""
        videos, values = self.evidence
        sounds = self.snapshot.sound[videos].astype(np.int64)
        with_sound = sounds >= 0
        return sum_by_key(sounds[with_sound], values[with_sound])

    @cached_property
    def tag_tastes(self) -> Tastes:
        """Liking by hashtag; one that most videos carry says little and counts little."""
        videos, values = self.evidence
        owner, at = spread(self.snapshot.tag_starts, videos)
        tags = self.snapshot.tag[at].astype(np.int64)
        keys, sums = sum_by_key(tags, values[owner])
        return keys, sums * self.snapshot.tag_rarity[keys] // 256

    @cached_property
    def co_watched(self) -> Tastes:
        """Neighbours of what the viewer watched, by the sum of edge weight times strength times recency."""
        counts = self.strength >= self.policy.taste.neutral
        watched = self.watched[counts]
        values = (self.strength[counts] * self.recency[counts]) // ONE
        owner, at = spread(self.snapshot.near_starts, watched)
        near = self.snapshot.near[at].astype(np.int64)
        return sum_small_by_key(near, self.snapshot.near_weight[at] * values[owner])

    @cached_property
    def fresh(self) -> Ints:
        """New videos with few views, newest first: those that still need first viewers."""
        rules, most = self.policy.exploration, self.policy.limits.fresh
        videos = self.snapshot.newest[:_MOST_FRESH].astype(np.int64)
        few = (self.snapshot.views[videos] <= rules.views) & (self.age(videos) < rules.hours)
        return videos[few][:most]

    def age(self, videos: Ints) -> Ints:
        """Whole hours since the videos were published, never below 0."""
        return np.maximum(self.inputs.request.hour - self.snapshot.published[videos] // 3600, 0)

    @cached_property
    def promoted(self) -> dict[int, Promotion]:
        """Promotions that act on this request, by video; the seed draws whether the ceiling lets each act."""
        promotions = self.policy.promotions
        if not promotions:
            return {}
        hour = self.inputs.request.hour
        chances = draw(self.inputs.seed, PROMOTION, len(promotions))
        places = self.snapshot.find([promotion.video for promotion in promotions]).tolist()
        return {
            place: promotion
            for promotion, place, chance in zip(promotions, places, chances, strict=True)
            if place >= 0
            and promotion.start <= hour < promotion.end
            and below(chance, 1_000_000) < promotion.ceiling
        }


def strongest(tastes: Tastes, most: int) -> Ints:
    """The numbers liked best, at most so many, only those liked at all."""
    keys, values = tastes
    liked = values > 0
    keys, values = keys[liked], np.minimum(values[liked], (1 << 30) - 1)
    return keys[best_first(values)[:most]]


def _distinct(positions: Ints) -> Ints:
    """Known positions, ascending, each once."""
    return distinct(positions[positions >= 0])
