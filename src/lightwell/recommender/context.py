"""One request against one snapshot: the viewer's ids found in it, and the tastes that follow from them."""

from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels
from lightwell.recommender.draws import HOLDBACK, PROMOTION, below, draw
from lightwell.recommender.integers import Ints, half_life_table
from lightwell.recommender.lazily import lazily
from lightwell.recommender.policy import Promotion, RankingPolicy
from lightwell.recommender.ranker import RankerError
from lightwell.recommender.record import MOST_WATCHED, RecordError, SlateInputs
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.tables import borrow, give_back, tables_of

Positions = NDArray[np.int32]
Ids = NDArray[np.uint64]

Tastes = tuple[NDArray[np.int32], Ints]
"""An open table of numbers and the signed liking of each; see `kernels.measure.tastes`."""

_NONE: Final = np.zeros(0, dtype=np.int32)

RANKED_UNIT: Final = 256
"""Points of the policy in the unit of scores that a ranker takes part in."""


@lru_cache(maxsize=64)
def _recency(half: int) -> Ints:
    table = half_life_table(half, MOST_WATCHED)[::-1].copy()
    table.flags.writeable = False
    return table


class Context:
    """What every stage reads; built once, each part worked out when asked for and then kept.

    Attributes:
        personal: whether the viewer's past may bring and score videos. It may not in a feed without profiling
            nor in a request held back; filters (seen, hidden, blocked) and the spread over what was just
            shown act all the same.
    """

    def __init__(self, snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs) -> None:
        self.snapshot = snapshot
        try:
            self.tables = tables_of(snapshot)
        except RankerError as error:
            raise RecordError(
                f"slate inputs: cannot rank from snapshot {snapshot.digest}: {error}"
            ) from error
        self.policy = policy
        self.inputs = inputs
        viewer = inputs.viewer
        self.held_back = self._draw_holdback()
        self.personal = not self.held_back and inputs.request.tab != "without_profiling"
        # One reading of all lists of the record: each list is then a slice of it.
        watched_ids = [video for video, _ in viewer.watched]
        groups = (watched_ids, viewer.likes, viewer.hidden, viewer.seen, inputs.withdrawn)
        numbers = _read_ids([video for group in groups for video in group])
        ends = list(accumulate(len(group) for group in groups))
        self.seen_ids: Ids = numbers[ends[2] : ends[3]]
        """Newest last."""
        self.withdrawn: Ids = np.sort(numbers[ends[3] :])
        self.hidden: Ids = np.sort(numbers[ends[1] : ends[2]])
        self.seen: Ids = np.sort(self.seen_ids)
        """Ascending."""
        found = self.tables.find(numbers[: ends[2]])
        watched = found[: ends[0]]
        strength = np.array([value for _, value in viewer.watched], dtype=np.int64)
        if strength.size and (int(strength.min()) < 0 or int(strength.max()) > 255):
            raise RecordError("slate inputs: a watch strength is not in 0..255")
        known = watched >= 0
        self.watched: Positions = watched[known]
        self.strength: Ints = strength[known]
        self.recency: Ints = _recency(policy.taste.half_life)[MOST_WATCHED - strength.size :][known]
        self.likes: Positions = _distinct(found[ends[0] : ends[1]])
        self.hides: Positions = _distinct(found[ends[1] : ends[2]])
        self.external: dict[str, int] = {}
        """Points that a ranker by others, named in the policy, gives or takes, by video id."""
        self._table: Positions | None = None

    def _draw_holdback(self) -> bool:
        share = self.policy.holdback.share
        if not share or self.inputs.request.tab != "for_you":
            return False
        return below(draw(self.inputs.seed, HOLDBACK, 1)[0], 1_000_000) < share

    @lazily
    def seen_long_ago(self) -> Positions:
        """Seen videos that may be offered again when little else is left; none if the policy says never."""
        newest = self.policy.filters.again_after
        if not newest or self.seen_ids.size <= newest:
            return np.zeros(0, dtype=np.int32)
        recent = np.sort(self.seen_ids[-newest:])
        older = self.seen_ids[:-newest]
        return _distinct(self.tables.find(older[~kernels.gather.among_ids(recent, older)]))

    @lazily
    def just_shown(self) -> Positions:
        """The newest videos seen, as many as diversity looks back on, newest last; -1 for those gone."""
        return self.tables.find(self.seen_ids[max(self.seen_ids.size - self.policy.diversity.window, 0) :])

    @lazily
    def follows(self) -> Positions:
        """Followed creators known to the snapshot, ascending; the followed tab is asked for by name."""
        wanted = self.personal or self.inputs.request.tab == "following"
        return self._creators(self.inputs.viewer.follows if wanted else [])

    @lazily
    def blocked(self) -> Positions:
        """Blocked creators known to the snapshot, ascending."""
        return self._creators(self.inputs.viewer.blocked)

    @lazily
    def muted(self) -> Positions:
        """Muted creators known to the snapshot, ascending."""
        return self._creators(self.inputs.viewer.muted)

    @lazily
    def own(self) -> int:
        """The viewer's own number as a creator, -1 if none."""
        own = self.inputs.viewer.own
        return self.snapshot.creator_number(own) if own else -1

    @lazily
    def by_shunned(self) -> int:
        """How many videos at most are of creators that filters drop."""
        starts, tables = self.tables.by_creator_starts, self.tables
        shunned = {*self.blocked.tolist(), *self.muted.tolist(), self.own} - {-1}
        if not shunned:
            return 0
        of_base = sum(int(starts[at + 1] - starts[at]) for at in shunned if at + 1 < starts.size)
        return of_base + tables.size - tables.base_size

    def _creators(self, keys: list[str]) -> Positions:
        if not keys:
            return _NONE
        numbers = {self.snapshot.creator_number(key) for key in keys} - {-1}
        return np.array(sorted(numbers), dtype=np.int32)

    @lazily
    def evidence(self) -> tuple[Positions, Ints]:
        """Videos and what each says: watches above or below neutral and likes by age, hides against."""
        if not self.personal:
            return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        taste = self.policy.taste
        videos, values = kernels.measure.evidence(
            self.watched, self.strength, self.recency, self.likes, self.hides,
            taste.neutral, taste.like, taste.hide,
        )  # fmt: skip
        return videos, values

    @lazily
    def tastes(self) -> tuple[Positions, Ints, Positions, Ints, Positions, Ints]:
        """Liking by creator, by sound and by hashtag, each as two parts of a `Tastes`."""
        tables = self.tables
        found: tuple[Positions, Ints, Positions, Ints, Positions, Ints] = kernels.measure.tastes(
            tables.facts, tables.tag_starts, tables.tag, tables.tag_rarity, *self.evidence
        )
        return found

    @property
    def creator_tastes(self) -> Tastes:
        """Liking by creator."""
        return self.tastes[:2]

    @property
    def sound_tastes(self) -> Tastes:
        """Liking by sound."""
        return self.tastes[2:4]

    @property
    def tag_tastes(self) -> Tastes:
        """Liking by hashtag; one that most videos carry says little and counts little."""
        return self.tastes[4:]

    @lazily
    def history(self) -> tuple[Positions, Positions]:
        """The videos watched, each once, the newest last, and the kind of each; empty without the viewer."""
        videos, kinds = kernels.measure.history(
            self.watched, self.strength, self.likes, self.hides, self.policy.taste.finish
        )
        return (videos, kinds) if self.personal else (videos[:0], kinds[:0])

    @lazily
    def neighbours(self) -> tuple[Positions, Positions, int]:
        """Where the item graph leads to from what was watched: places met in a table, the table, its room.

        The table stands in working memory; see `kernels.gather.sum_neighbours` and `release`.
        """
        tables, (videos, kinds) = self.tables, self.history
        room = kernels.gather.room_for(tables.near_starts, tables.base_size, videos, tables.size)
        table = self._table = borrow(2 * room)
        met = kernels.gather.sum_neighbours(
            tables.near_starts, tables.near, tables.near_weight, tables.base_size, videos, kinds, room, table
        )
        return met, table, room

    def sums_of(self, videos: Positions) -> tuple[Ints, Ints]:
        """Sums of edges to some videos from long watches, and from others."""
        _, table, room = self.neighbours
        long, other = kernels.gather.sums_of(table, room, videos)
        return long, other

    @property
    def graph_weights(self) -> tuple[int, int]:
        """What an edge counts from a long watch, and from any other.

        Without a ranker the graph is of what is finished together, and nothing else counts in it.
        """
        taste = self.policy.taste
        return taste.graph_long, taste.graph_other if self.tables.forest is not None else 0

    @lazily
    def near_best(self) -> Positions:
        """Strongest neighbours of what the viewer watched, times their trend of today; best first."""
        tables, (met, table, _) = self.tables, self.neighbours
        found: Positions = kernels.gather.best_neighbours(
            met, table, *self.graph_weights, tables.trend, tables.ids, self.seen, self.policy.limits.co_watch
        )
        return found

    def release(self) -> None:
        """Give the working memory back; what was measured from it stays, and more can be measured anew."""
        if self._table is not None:
            met, table, _ = self.neighbours
            kernels.gather.clear(met, table)
            give_back(table)
            self._table = None
            del self.__dict__["neighbours"]

    @lazily
    def fresh(self) -> Positions:
        """New videos with few views, newest first: those that still need first viewers."""
        rules = self.policy.exploration
        oldest = (self.inputs.request.hour - rules.hours + 1) * 3600 - 1
        viewer = self.inputs.viewer
        few = self.tables.few(rules.views, rules.newest, viewer.adult, viewer.region)
        return few.after(oldest, self.policy.limits.fresh)

    def age(self, facts: NDArray[Any]) -> Ints:
        """Whole hours since videos were published, from their facts; never below 0."""
        hours: Ints = self.inputs.request.hour - facts["hour"].astype(np.int64)
        return np.maximum(hours, 0)

    @lazily
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


def _read_ids(ids: list[str]) -> Ids:
    """Read ids of 16 lowercase hex characters.

    Raises:
        RecordError: one is something else.
    """
    joined = "".join(ids)
    try:
        # Reading skips spaces and takes capitals, which would give one video two ids.
        raw = bytes.fromhex(joined)
    except ValueError as error:
        raise RecordError(f"slate inputs: {error}") from error
    if len(raw) != 8 * len(ids) or raw.hex() != joined:
        raise RecordError("slate inputs: video ids are 16 lowercase hex characters")
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64)


def _distinct(positions: Positions) -> Positions:
    """Known positions, ascending, each once."""
    if not positions.size:
        return positions
    known = np.sort(positions[positions >= 0])
    first = np.ones(known.size, dtype=np.bool_)
    first[1:] = known[1:] != known[:-1]
    return known[first]
