"""Sources: where candidates come from. Each takes the context and gives positions of videos, in any order."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels
from lightwell.recommender.context import Context, Ids, Positions
from lightwell.recommender.integers import as_ints
from lightwell.recommender.kernels.compiled import FACTS

Find = Callable[[Context], Positions]

_NONE: Final = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True)
class Source:
    """A named way of finding candidates."""

    name: str
    find: Find


def promoted(context: Context) -> Positions:
    """Videos a promotion raises or lowers in this request."""
    return np.array(sorted(context.promoted), dtype=np.int32)


def followed(context: Context) -> Positions:
    """Newest videos of followed creators that were not seen, an equal number from each."""
    limits = context.policy.limits
    videos = _of_creators(context, context.follows, limits.per_creator, context.seen)
    return _newest(context, videos, limits.follows)


def all_followed(context: Context) -> Positions:
    """All videos of followed creators, for the tab that shows nothing else."""
    seen_and_wanted = context.policy.limits.follows + context.seen.size + context.inputs.request.k
    videos = _of_creators(context, context.follows, context.tables.size, context.seen[:0])
    return _newest(context, videos, seen_and_wanted)


def co_watched(context: Context) -> Positions:
    """Strongest neighbours, in the item graph, of what the viewer watched, times their trend of today."""
    return context.near_best


def by_creator(context: Context) -> Positions:
    """Newest unseen videos of the creators the viewer likes best."""
    limits = context.policy.limits
    liked = kernels.measure.liked_best(*context.creator_tastes, limits.creators)
    return _of_creators(context, liked, limits.per_creator, context.seen)


def by_tag(context: Context) -> Positions:
    """Newest unseen videos with the hashtags the viewer likes best."""
    limits, tables = context.policy.limits, context.tables
    liked = kernels.measure.liked_best(*context.tag_tastes, limits.tags)
    found: Positions = kernels.gather.of_tags(
        tables.by_tag_starts, tables.by_tag, liked, limits.per_tag, tables.base_size,
        tables.tag_starts, tables.tag, tables.ids, context.seen,
    )  # fmt: skip
    return found


def by_sound(context: Context) -> Positions:
    """Newest unseen videos with the sounds the viewer likes best."""
    limits, tables = context.policy.limits, context.tables
    liked = kernels.measure.liked_best(*context.sound_tastes, limits.sounds)
    found: Positions = kernels.gather.of_rows(
        tables.by_sound_starts, tables.by_sound, liked, limits.per_sound, tables.base_size, tables.sound,
        tables.ids, context.seen,
    )  # fmt: skip
    return found


def rising(context: Context) -> Positions:
    """Videos with more long watches lately than usual."""
    return _first(context, "rising", context.policy.limits.rising)


def fresh(context: Context) -> Positions:
    """New videos with few views, newest first."""
    return context.fresh


def content(context: Context) -> Positions:
    """New videos hardly anyone has seen that share creator, sound or hashtags with what the viewer likes."""
    if not context.evidence[0].size:
        return _NONE
    viewer = context.inputs.viewer
    explore = context.policy.exploration
    few = context.tables.few(explore.views, explore.newest, viewer.adult, viewer.region)
    at = kernels.measure.akin(
        few.creator, few.sound, few.tag_starts, few.tag,
        *context.creator_tastes, *context.sound_tastes, *context.tag_tastes,
        few.ids, context.policy.limits.content,
    )  # fmt: skip
    found: Positions = few.videos[at]
    return found


def newest(context: Context) -> Positions:
    """The newest videos of all: enough that those which filters drop cannot use them up."""
    return _first(context, "newest", newest_wanted(context))


def newest_wanted(context: Context) -> int:
    """How many of the newest videos are looked at; of a sharded catalogue so many must be at hand."""
    dropped = context.seen.size + context.hidden.size + context.withdrawn.size + context.by_shunned
    return max(context.policy.limits.newest, context.inputs.request.k) + int(dropped)


def seen_long_ago(context: Context) -> Positions:
    """Videos seen long enough ago to be offered again, should nothing else be left."""
    return context.seen_long_ago


def _first(context: Context, order: Literal["newest", "rising"], most: int) -> Positions:
    viewer = context.inputs.viewer
    return context.tables.first(order, most, viewer.adult, viewer.region)


def _of_creators(context: Context, creators: Positions, most: int, skip: Ids) -> Positions:
    tables = context.tables
    found: Positions = kernels.gather.of_rows(
        tables.by_creator_starts, tables.by_creator, creators, most, tables.base_size, tables.creator,
        tables.ids, skip,
    )  # fmt: skip
    return found


def _newest(context: Context, videos: Positions, most: int) -> Positions:
    """The newest of the videos, ties by id."""
    if videos.size <= most:
        return videos
    tables = context.tables
    found: Positions = kernels.gather.best(videos, tables.published[videos], tables.ids, most)
    return found


FOR_YOU = (
    Source("follow", followed),
    Source("co_watch", co_watched),
    Source("creator", by_creator),
    Source("tag", by_tag),
    Source("sound", by_sound),
    Source("rising", rising),
    Source("fresh", fresh),
    Source("content", content),
    Source("newest", newest),
    Source("promotion", promoted),
)
AGAIN = Source("again", seen_long_ago)
"""Asked only when all others bring too little."""
FOLLOWING = (Source("follow", all_followed),)
NEWEST = (Source("newest", newest),)
WITHOUT_VIEWER = (
    Source("rising", rising),
    Source("fresh", fresh),
    Source("newest", newest),
    Source("promotion", promoted),
)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Videos found, distinct and ascending by id; of each, a bit for each source that found it; facts."""

    videos: Positions
    found_by: Positions
    facts: NDArray[Any]

    @property
    def ids(self) -> Ids:
        """Shape (n,), ascending."""
        ids: Ids = self.facts["id"]
        return ids

    def first_source(self, at: int) -> int:
        """The first source, in their order, that found a candidate."""
        bits = int(self.found_by[at])
        return (bits & -bits).bit_length() - 1


def find_all(context: Context, sources: tuple[Source, ...]) -> Candidates:
    """Ask every source and merge what they find."""
    found = [source.find(context) for source in sources]
    ends = as_ints(list(accumulate(part.size for part in found)))
    every = np.concatenate(found)
    facts = np.empty(every.size, dtype=FACTS)
    videos, bits, count = kernels.sift.merge(every, ends, context.tables.facts, facts)
    return Candidates(videos, bits, facts[:count])
