"""A snapshot's arrays in the exact types that kernels take, and working memory that requests reuse."""

from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels
from lightwell.recommender.audience import Audiences
from lightwell.recommender.kernels.asked import FEATURES as MOST_FEATURES
from lightwell.recommender.kernels.compiled import FACTS
from lightwell.recommender.ranker import Ranker, RankerError, depths
from lightwell.recommender.snapshot import Snapshot

_STEP: Final = 1 << 16
_MOST_FREE: Final = 4
_MOST_SIZES: Final = 8
_MOST_LEAVES: Final = 32
_LARGEST: Final = 32_767  # of a feature
_STEP_FIRST: Final = 256

_free: dict[int, list[NDArray[np.int32]]] = {}


class Forest:
    """The trees of a ranker, packed for walking; see `kernels.trees.pack`."""

    def __init__(self, ranker: Ranker) -> None:
        self.outcomes = ranker.outcomes
        self.starts: list[int] = ranker.tree_starts.tolist()
        self.root = ranker.root
        self.depth = depths(ranker)
        self.nodes, self.values = kernels.trees.pack(
            ranker.root, ranker.feature, ranker.threshold, ranker.left, ranker.right, ranker.value
        )
        self.questions = _questions(ranker)

    def answer(self, outcome: int, columns: NDArray[np.int16], weight: int, raw: NDArray[np.int64]) -> None:
        """Add what the trees of one outcome answer, in 1/1024 log-odds, times a weight.

        Args:
            outcome: its number.
            columns: features, shape (features, n or more).
            weight: of the outcome.
            raw: what to add to, shape (n,).
        """
        first, last = self.starts[outcome], self.starts[outcome + 1]
        if self.questions is not None:
            kernels.trees.vote(*self.questions, first, last, columns, weight, raw)
        else:
            rows = np.ascontiguousarray(columns[:, : raw.size].T)
            kernels.trees.walk(self.nodes, self.values, self.root, self.depth, first, last, rows, weight, raw)


Questions = tuple[
    NDArray[np.int64], NDArray[np.int32], NDArray[np.int16], NDArray[np.uint16], NDArray[np.int32]
]


def _questions(ranker: Ranker) -> Questions | None:
    """The questions of trees as `kernels.trees.vote` puts them; None where it cannot put one.

    It cannot if a tree has more than 32 leaves, or a threshold is below all that a feature may be.
    """
    starts, found = [0], list[tuple[int, int, int]]()
    values = np.zeros(32 * ranker.trees, dtype=np.int32)
    feature, threshold = ranker.feature.tolist(), ranker.threshold.tolist()
    left, right = ranker.left.tolist(), ranker.right.tolist()
    for tree, root in enumerate(ranker.root.tolist()):
        leaf, ways = 0, [(root, -1)]
        halves: tuple[list[tuple[int, int, int]], ...] = ([], [])
        # Left before right; coming to a right child says which leaves stand left of its question.
        opened: dict[int, int] = {}
        while ways:
            node, asked = ways.pop()
            if asked >= 0:
                struck = (1 << leaf) - (1 << opened[asked])
                for number, half in enumerate(halves):
                    own = struck >> 16 * number & 0xFFFF
                    # No feature exceeds the largest it may be: such a question strikes nothing.
                    if own and threshold[asked] < _LARGEST:
                        half.append((feature[asked], threshold[asked], 0xFFFF & ~own))
            if feature[node] >= 0:
                opened[node] = leaf
                ways += [(right[node], node), (left[node], -1)]
                continue
            if leaf >= _MOST_LEAVES:
                return None
            values[32 * tree + kernels.trees.leaf_place(leaf)] = ranker.value[node]
            leaf += 1
        for half in halves:
            found += half
            starts.append(len(found))
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    if table.size and int(table[:, 1].min()) < -_LARGEST - 1:
        return None
    return (
        np.array(starts, dtype=np.int64), np.ascontiguousarray(table[:, 0], dtype=np.int32),
        np.ascontiguousarray(table[:, 1], dtype=np.int16), np.ascontiguousarray(table[:, 2], dtype=np.uint16),
        values,
    )  # fmt: skip


class Few:
    """The newest videos with few views, newest first, and side by side what they are by and about."""

    def __init__(self, tables: "Tables", views: int, among: int, adult: bool, region: str) -> None:
        newest = tables.first("newest", among, adult, region)
        self.videos = newest[tables.views[newest] <= views]
        self.published = tables.published[self.videos]
        self.creator, self.sound = tables.creator[self.videos], tables.sound[self.videos]
        begin, end = tables.tag_starts[self.videos], tables.tag_starts[self.videos + 1]
        self.tag_starts = np.concatenate((np.zeros(1, dtype=np.int64), (end - begin).cumsum()))
        parts = [tables.tag[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
        self.tag = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
        self.ids = tables.ids[self.videos]

    def after(self, second: int, most: int) -> NDArray[np.int32]:
        """Those published after a second, at most so many, newest first."""
        young = self.published.size - int(self.published[::-1].searchsorted(second, side="right"))
        found: NDArray[np.int32] = self.videos[: min(young, most)]
        return found


class Tables:
    """Arrays by video position and what is found from them; see `Snapshot` for their meaning.

    They are views, not copies, so a snapshot's memory stays shared between processes.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.size = snapshot.size
        self.ids = _taken(snapshot.ids, np.uint64)
        self.near_starts = _taken(snapshot.near_starts, np.int64)
        self.base_size = snapshot.base_size
        added = np.arange(self.base_size, self.size, dtype=np.int32)
        self.added = added[self.ids[self.base_size :].argsort()]
        self.near = _taken(snapshot.near, np.int32)
        self.near_weight = _taken(snapshot.near_weight, np.int8)
        self.creator = _taken(snapshot.creator, np.int32)
        self.sound = _taken(snapshot.sound, np.int32)
        self.topic = _taken(snapshot.topic, np.int32)
        self.published = _taken(snapshot.published, np.int64)
        self.duration = _taken(snapshot.duration, np.int32)
        self.views = _taken(snapshot.views, np.int64)
        self.longs = _taken(snapshot.longs, np.int64)
        self.likes = _taken(snapshot.likes, np.int64)
        self.shares = _taken(snapshot.shares, np.int64)
        self.skips = _taken(snapshot.skips, np.int64)
        self.longs_1h = _taken(snapshot.longs_1h, np.int64)
        self.longs_6h = _taken(snapshot.longs_6h, np.int64)
        self.longs_24h = _taken(snapshot.longs_24h, np.int64)
        self.longs_week = _taken(snapshot.longs_week, np.int64)
        self.views_24h = _taken(snapshot.views_24h, np.int64)
        self.trend = _taken(snapshot.trend, np.uint16)
        self.rise = _taken(snapshot.rise, np.int16)
        self.finish = _taken(snapshot.finish, np.int16)
        self.tag_starts = _taken(snapshot.tag_starts, np.int64)
        self.tag = _taken(snapshot.tag, np.int32)
        self.tag_rarity = _taken(snapshot.tag_rarity, np.int16)
        self.by_creator_starts = _taken(snapshot.by_creator_starts, np.int64)
        self.by_creator = _taken(snapshot.by_creator, np.int32)
        self.by_sound_starts = _taken(snapshot.by_sound_starts, np.int64)
        self.by_sound = _taken(snapshot.by_sound, np.int32)
        self.by_tag_starts = _taken(snapshot.by_tag_starts, np.int64)
        self.by_tag = _taken(snapshot.by_tag, np.int32)
        self.newest = _taken(snapshot.newest, np.int32)
        self.rising = _taken(snapshot.rising, np.int32)
        self.forest = _forest_of(snapshot.ranker)
        self.audience = _taken(snapshot.audience, np.int32)
        self.audiences = Audiences(snapshot.audiences)
        self.facts = np.empty(self.size, dtype=FACTS)
        """What ranking asks of each video, side by side."""
        kernels.asked.facts(
            self.ids, self.creator, self.sound, self.topic, self.audience, self.published, self.duration,
            self.trend, self.rise, self.finish, self.views, self.longs, self.longs_1h, self.longs_6h,
            self.longs_24h, self.longs_week, self.views_24h, self.facts,
        )  # fmt: skip
        self.facts.flags.writeable = False
        self._few: dict[tuple[int, int, bool, str], Few] = {}
        self._first: dict[tuple[str, bool, str], tuple[NDArray[np.int32], int]] = {}

    def few(self, views: int, among: int, adult: bool, region: str) -> Few:
        """The videos viewed at most so often among the newest that a viewer may be shown.

        Args:
            views: how often at most.
            among: how many of the newest are looked through.
            adult, region: of the viewer.
        """
        key = (views, among, adult, region)
        found = self._few.get(key)
        if found is None:
            found = self._few[key] = Few(self, *key)
        return found

    def first(
        self, order: Literal["newest", "rising"], most: int, adult: bool, region: str
    ) -> NDArray[np.int32]:
        """The first in an order that a viewer may be shown, so that others cannot use up the places.

        Args:
            order: which one.
            most: how many at most.
            adult, region: of the viewer.
        """
        every: NDArray[np.int32] = getattr(self, order)
        barred = self.audiences.barred(adult, region)
        if barred is None:
            return every[:most]
        key = (order, adult, region)
        found, looked = self._first.get(key, (every[:0], 0))
        while found.size < most and looked < every.size:
            part = every[looked : looked + max(most, looked, _STEP_FIRST)]
            found = np.concatenate((found, part[~barred[self.audience[part]]]))
            looked += part.size
            self._first[key] = (found, looked)
        return found[:most]

    def share_heads(self, other: "Tables") -> None:
        """Keep what `few` and `first` give where other tables, of the same newest videos, keep it."""
        self._few, self._first = other._few, other._first

    def find(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Positions of ids, -1 for those not in the catalogue."""
        found: NDArray[np.int32] = kernels.gather.find(self.ids, self.base_size, self.added, ids)
        return found


_tables: WeakKeyDictionary[Snapshot, Tables] = WeakKeyDictionary()
_forests: WeakKeyDictionary[Ranker, Forest] = WeakKeyDictionary()


def tables_of(snapshot: Snapshot) -> Tables:
    """The tables of a snapshot, made once for as long as it lives.

    Raises:
        RankerError: its ranker asks for features that this code does not make.
    """
    found = _tables.get(snapshot)
    if found is None:
        kernels.warm()
        found = _tables[snapshot] = Tables(snapshot)
    return found


def hold(snapshot: Snapshot, tables: Tables) -> None:
    """Give a snapshot tables that were made for it elsewhere."""
    _tables[snapshot] = tables


def _forest_of(ranker: Ranker | None) -> Forest | None:
    if ranker is None or not ranker.trees:
        return None
    found = _forests.get(ranker)
    if found is None:
        if int(ranker.feature.max()) >= MOST_FEATURES:
            raise RankerError(f"ranker: it asks for features beyond the {MOST_FEATURES} there are")
        found = _forests[ranker] = Forest(ranker)
    return found


def borrow(size: int) -> NDArray[np.int32]:
    """Give zeroed working memory with room for every video; each request has its own, also in threads.

    Whoever borrows sets it to zero again and gives it back; what is not given back is simply freed.
    """
    room = -(-max(size, 1) // _STEP) * _STEP
    try:
        return _free[room].pop()
    except (KeyError, IndexError):
        return np.zeros(room, dtype=np.int32)


def give_back(memory: NDArray[np.int32]) -> None:
    """Keep zeroed working memory for the next request."""
    if memory.size not in _free and len(_free) >= _MOST_SIZES:
        _free.clear()  # catalogues grow: what was for smaller ones is not asked for again
    kept = _free.setdefault(memory.size, [])
    if len(kept) < _MOST_FREE:
        kept.append(memory)


def _taken(array: NDArray[Any], kind: type) -> NDArray[Any]:
    """The array itself, in the type and layout kernels were compiled for, and not to be written."""
    view: NDArray[Any] = np.ascontiguousarray(array, dtype=kind).view()
    view.flags.writeable = False
    return view
