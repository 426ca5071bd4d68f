"""Ranks from a catalogue that shards hold: questions to them, and from their answers the very same slate."""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import pipeline, sources
from lightwell.recommender.context import Context, Positions
from lightwell.recommender.features import Rows
from lightwell.recommender.integers import Ints
from lightwell.recommender.kernels import measure
from lightwell.recommender.pipeline import Ranked, Stages
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.record import SlateInputs
from lightwell.recommender.shards_asked import Answer, Ask, AskedList, Kind
from lightwell.recommender.shards_front import Excerpt, Found, Front, gather, pick, unknown_rows
from lightwell.recommender.shards_split import shard_of
from lightwell.recommender.sources import Find, Source
from lightwell.recommender.tables import tables_of

LEAST_WINDOW: Final = 512
"""As deep as the newest are always looked at: the source of fresh videos looks through 500 by default."""

Outcome = TypeVar("Outcome")
Asks = list[Ask | None]
Answers = Sequence[Answer | None]
Talk = Generator[Asks, Answers, Outcome]
"""Yields what to ask each shard, None for nothing; is sent the answers in that order; returns the outcome."""

Best = tuple[list[str], tuple[str, ...], Rows]
"""See `pipeline.features_of`."""

_NO_IDS: Final = np.zeros(0, dtype=np.uint64)
_ALL: Final = (1 << 31) - 1


class NeedsOlderError(Exception):
    """Videos seen long ago are to be offered again, and they are not at hand yet."""


class Gathered(Context):
    """A request against an excerpt: what only shards can say was asked of them, all else follows as ever."""

    def __init__(self, front: Front, excerpt: Excerpt, policy: RankingPolicy, inputs: SlateInputs) -> None:
        super().__init__(excerpt, policy, inputs)
        self.front = front
        self.excerpt = excerpt
        self.brought: dict[str, Positions] = {}
        """By source, what shards found for it."""
        self.has_older = False
        self._sums = np.zeros((2, excerpt.size), dtype=np.int64)
        self._near: Positions = np.zeros(0, dtype=np.int32)

    def take(self, found: Sequence[Found | None]) -> None:
        """Add what shards found: rows not yet at hand, and the sums of edges to all of them."""
        rows, tag = gather([one for one in found if one is not None])
        at = self.tables.find(np.ascontiguousarray(rows["ids"]))
        new = np.flatnonzero(at < 0)
        _, first = np.unique(rows["ids"][new], return_index=True)
        more, its_tags, _ = pick(rows, tag, new[first])
        if more.size:
            window = self.front.window
            assert window is not None  # noqa: S101 - the excerpt was made from it
            kept = np.frombuffer(self.excerpt.rows.tobytes() + more.tobytes(), dtype=more.dtype)
            tags = np.concatenate((self.excerpt.tag[window.tag.size :], its_tags))
            self.excerpt = Excerpt(self.front, kept, tags)
            self.snapshot = self.excerpt
            self.tables = tables_of(self.excerpt)
            self._sums = np.pad(self._sums, ((0, 0), (0, self.excerpt.size - self._sums.shape[1])))
            at = self.tables.find(np.ascontiguousarray(rows["ids"]))
        self._sums[0, at], self._sums[1, at] = rows["long"], rows["other"]

    def take_met(self, found: Sequence[Found]) -> None:
        """Take the sums of edges to videos of the window."""
        window = self.front.window
        assert window is not None  # noqa: S101 - the excerpt was made from it
        for at, one in zip(window.at, found, strict=True):
            self._sums[:, at[one.met[0]]] = one.met[1:]

    def take_near(self, found: Sequence[Found], most: int) -> bool:
        """Merge the strongest neighbours; whether these are all, where each shard gave at most so many."""
        near = [one.slice(1, 2) for one in found]
        ids = np.concatenate([rows["ids"] for rows in near])
        videos = self.tables.find(ids)
        (long, other), limit = self.graph_weights, self.policy.limits.co_watch
        graph = long * self._sums[0, videos] + other * self._sums[1, videos]
        worth = graph * self.tables.trend[videos] >> 8
        best = np.lexsort((ids, -worth))[:limit]
        self._near = videos[best]
        last = np.cumsum([rows.size for rows in near]) - 1
        # A shard all of whose neighbours are among the best may have more of them.
        return most >= limit or not any(
            rows.size == most and at in best for rows, at in zip(near, last.tolist(), strict=True)
        )

    def sums_of(self, videos: Positions) -> tuple[Ints, Ints]:
        """Sums of edges to some videos from long watches, and from others, as shards added them up."""
        return self._sums[0, videos], self._sums[1, videos]

    @property
    def near_best(self) -> Positions:
        """Strongest neighbours of what the viewer watched, of all shards; best first."""
        return self._near

    @cached_property
    def by_shunned(self) -> int:
        """How many videos at most are of creators that filters drop, in the whole catalogue."""
        shunned = {*self.blocked.tolist(), *self.muted.tolist(), self.own} - {-1}
        if not shunned:
            return 0
        videos = self.front.parts["creator_videos"]
        of_base = sum(int(videos[at]) for at in shunned if at < videos.size)
        return of_base + self.front.size - self.front.base_size

    @cached_property
    def seen_long_ago(self) -> Positions:
        """Seen videos that may be offered again; they are asked for only once they are needed.

        Raises:
            NeedsOlderError: they are needed now.
        """
        if not self.has_older and 0 < self.policy.filters.again_after < self.seen_ids.size:
            raise NeedsOlderError
        return super().seen_long_ago

    @property
    def places(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The viewer's history as positions in the whole base, of those that have edges there."""
        videos, kinds = self.history
        place = self.excerpt.place[videos]
        known = place >= 0
        return place[known], kinds[known]


def rank(front: Front, policy: RankingPolicy, inputs: SlateInputs) -> Talk[Ranked]:
    """Rank one request: the same bytes as `pipeline.rank` gives from the whole snapshot.

    Args:
        front: of the snapshot that the inputs name.
        policy, inputs: as for `pipeline.rank`.

    Raises:
        RecordError: as `pipeline.rank`.
        AnswersError: shards answered what does not fit.
    """
    return (yield from _opened(front, policy, inputs, pipeline.rank_opened))


def best(front: Front, policy: RankingPolicy, inputs: SlateInputs, most: int) -> Talk[Best]:
    """What a ranker by others is asked with; as `pipeline.features_of`, and as `rank`."""
    return (
        yield from _opened(
            front, policy, inputs, lambda context, stages: pipeline.best_opened(context, stages, most)
        )
    )


def look_out(front: Front, depth: int) -> Talk[None]:
    """Take the window of every shard, which all requests share: the newest down to a depth, and the risen."""
    answers = yield [Ask(snapshot=front.digest, window=depth, whole=True)] * front.shards
    front.look_out(depth, [Found.of(answer) for answer in answers if answer is not None])


def _opened(
    front: Front,
    policy: RankingPolicy,
    inputs: SlateInputs,
    finish: Callable[[Context, Stages], Outcome],
) -> Talk[Outcome]:
    pipeline.refuse_other(front.digest, policy, inputs)
    if front.window is None:
        yield from look_out(front, LEAST_WINDOW)
    while True:
        context = yield from _known(front, policy, inputs)
        depth = _wanted_depth(context)
        if not depth:
            break
        yield from look_out(front, depth)
    stages = pipeline.stages_of(context)
    asked = replace(stages, sources=tuple(_brought(source) for source in stages.sources))
    yield from _ask_all(context, stages)
    try:
        return finish(context, asked)
    except NeedsOlderError:
        older = np.unique(context.seen_ids[: -policy.filters.again_after])
        watched, kinds = context.places
        answers = yield _by_owner(front, older, watched=watched.tobytes(), kinds=kinds.tobytes())
        context.take([Found.of(answer) if answer is not None else None for answer in answers])
        context.has_older = True
        return finish(context, asked)


def _wanted_depth(context: Gathered) -> int:
    """How deep a window must be for this request, 0 if the one at hand is deep enough."""
    window, viewer = context.front.window, context.inputs.viewer
    depth = window.depth if window is not None else 0
    if depth >= context.front.size:
        return 0
    # What the viewer may not be shown takes none of the places, so it may take any number of looks.
    wanted = max(sources.newest_wanted(context), context.policy.exploration.newest, LEAST_WINDOW)
    found = context.tables.first("newest", wanted, viewer.adult, viewer.region)
    return 0 if found.size >= wanted else max(2 * depth, 1 << (wanted - 1).bit_length())


def _known(front: Front, policy: RankingPolicy, inputs: SlateInputs) -> Talk[Gathered]:
    """Open a request with the rows of the videos that its record names at hand."""
    viewer = inputs.viewer
    shown = viewer.seen[max(len(viewer.seen) - policy.diversity.window, 0) :]
    promoted = (promotion.video for promotion in policy.promotions)
    names = [*(video for video, _ in viewer.watched), *viewer.likes, *viewer.hidden, *shown, *promoted]
    found: list[Found] = []
    try:
        ids = np.unique(np.frombuffer(bytes.fromhex("".join(names)), dtype=">u8").astype(np.uint64))
    except ValueError:
        ids = _NO_IDS  # the context says what is wrong with them
    if ids.size:
        answers = yield _by_owner(front, ids)
        found = [Found.of(answer) for answer in answers if answer is not None]
    return Gathered(front, Excerpt(front, *unknown_rows(front, found)), policy, inputs)


def _ask_all(context: Gathered, stages: Stages) -> Talk[None]:
    """Ask every shard for candidates that its lists and its share of the graph lead to, and take them in."""
    front = context.front
    lists = {source.name: _ASKED[source.find](context) for source in stages.sources if source.find in _ASKED}
    lists = {name: asked for name, asked in lists.items() if asked.rows}
    watched, kinds = context.places
    if not lists and not watched.size:
        return
    limit, (long, other) = context.policy.limits.co_watch if watched.size else 0, context.graph_weights
    # Videos lie evenly over the shards: a shard seldom has many more of the best than its share.
    share = limit // front.shards
    most = min(limit, share + 4 * math.isqrt(share) + 16)
    promoted = context.tables.ids[np.array(sorted(context.promoted), dtype=np.int32)]
    by, seen_by = shard_of(promoted, front.shards), shard_of(context.seen, front.shards)
    while True:
        answers = yield [
            Ask(
                snapshot=front.digest,
                find=promoted[by == shard].tobytes(),
                watched=watched.tobytes(),
                kinds=kinds.tobytes(),
                long=long,
                other=other,
                near=most,
                seen=context.seen[seen_by == shard].tobytes(),
                lists=list(lists.values()),
                window=front.window.depth if front.window is not None and watched.size else 0,
            )
            for shard in range(front.shards)
        ]
        found = [Found.of(answer) for answer in answers if answer is not None]
        context.take(found)
        context.take_met(found)
        if context.take_near(found, most):
            break
        most = limit
    for at, (name, asked) in enumerate(lists.items()):
        context.brought[name] = _merged(context, found, at, asked)


def _merged(context: Gathered, found: Sequence[Found], at: int, asked: AskedList) -> Positions:
    """The videos of a list, from what each shard found of it: of each number the newest."""
    rows = [one.slice(2 + at, 3 + at) for one in found]
    ids = np.concatenate([part["ids"] for part in rows])
    published = np.concatenate([part["published"] for part in rows])
    number = np.concatenate([one.numbers_of(at) for one in found])
    order = np.lexsort((ids, -published, number))
    of = number[order]
    kept = order[(np.arange(of.size) - of.searchsorted(of) < asked.most) | (of < 0)]
    if asked.cut:
        kept = kept[np.lexsort((ids[kept], -published[kept]))[: asked.cut]]
    return context.tables.find(ids[kept])


def _by_owner(front: Front, ids: NDArray[np.uint64], watched: bytes = b"", kinds: bytes = b"") -> Asks:
    """Ask for the rows of videos where they are."""
    owner = shard_of(ids, front.shards)
    asks: Asks = []
    for shard in range(front.shards):
        own = ids[owner == shard]
        ask = Ask(snapshot=front.digest, find=own.tobytes(), watched=watched, kinds=kinds)
        asks.append(ask if own.size else None)
    return asks


def _followed(context: Context) -> AskedList:
    limits = context.policy.limits
    return _list("creator", context.follows, limits.per_creator, limits.follows)


def _all_followed(context: Context) -> AskedList:
    cut = context.policy.limits.follows + context.seen.size + context.inputs.request.k
    return _list("creator", context.follows, _ALL, cut, skip=False)


def _of_creators(context: Context) -> AskedList:
    limits = context.policy.limits
    return _list("creator", measure.liked_best(*context.creator_tastes, limits.creators), limits.per_creator)


def _of_tags(context: Context) -> AskedList:
    limits = context.policy.limits
    return _list("tag", measure.liked_best(*context.tag_tastes, limits.tags), limits.per_tag)


def _of_sounds(context: Context) -> AskedList:
    limits = context.policy.limits
    return _list("sound", measure.liked_best(*context.sound_tastes, limits.sounds), limits.per_sound)


def _list(kind: Kind, rows: Positions, most: int, cut: int = 0, *, skip: bool = True) -> AskedList:
    return AskedList(kind=kind, rows=rows.tobytes(), most=most, cut=cut, skip=skip)


_ASKED: Final[dict[Find, Callable[[Context], AskedList]]] = {
    sources.followed: _followed,
    sources.all_followed: _all_followed,
    sources.by_creator: _of_creators,
    sources.by_tag: _of_tags,
    sources.by_sound: _of_sounds,
}
"""Sources that read lists which only shards have, and what to ask in their place."""


def _brought(source: Source) -> Source:
    """The source itself, or one that gives what shards found in its place."""
    if source.find not in _ASKED:
        return source
    nothing: Positions = np.zeros(0, dtype=np.int32)
    return Source(source.name, lambda context: cast(Gathered, context).brought.get(source.name, nothing))
