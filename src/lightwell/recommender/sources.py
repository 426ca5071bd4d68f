"""Sources: where candidates come from. Each takes the context and gives positions of videos, in any order."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightwell.recommender.context import Context, strongest
from lightwell.recommender.integers import Ints, Mask, as_ints, best_first, distinct, spread

Find = Callable[[Context], Ints]


@dataclass(frozen=True)
class Source:
    """A named way of finding candidates."""

    name: str
    find: Find


def promoted(context: Context) -> Ints:
    """Videos a promotion raises or lowers in this request."""
    return as_ints(sorted(context.promoted))


def followed(context: Context) -> Ints:
    """Newest videos of followed creators, an equal number from each."""
    limits = context.policy.limits
    snapshot, creators = context.snapshot, context.follows
    _, at = spread(snapshot.by_creator_starts, creators, limits.per_creator)
    return _newest(context, snapshot.by_creator[at].astype(np.int64), limits.follows)


def all_followed(context: Context) -> Ints:
    """All videos of followed creators, for the tab that shows nothing else."""
    snapshot = context.snapshot
    _, at = spread(snapshot.by_creator_starts, context.follows)
    seen_and_wanted = context.policy.limits.follows + context.seen.size
    return _newest(context, snapshot.by_creator[at].astype(np.int64), seen_and_wanted)


def co_watched(context: Context) -> Ints:
    """Strongest neighbours, in the co-watch graph, of what the viewer watched."""
    return strongest(context.co_watched, context.policy.limits.co_watch)


def by_creator(context: Context) -> Ints:
    """Newest videos of the creators the viewer likes best."""
    limits, snapshot = context.policy.limits, context.snapshot
    liked = strongest(context.creator_tastes, limits.creators)
    _, at = spread(snapshot.by_creator_starts, liked, limits.per_creator)
    return snapshot.by_creator[at].astype(np.int64)


def by_tag(context: Context) -> Ints:
    """Newest videos with the hashtags the viewer likes best."""
    limits, snapshot = context.policy.limits, context.snapshot
    liked = strongest(context.tag_tastes, limits.tags)
    _, at = spread(snapshot.by_tag_starts, liked, limits.per_tag)
    return snapshot.by_tag[at].astype(np.int64)


def by_sound(context: Context) -> Ints:
    """Newest videos with the sounds the viewer likes best."""
    limits, snapshot = context.policy.limits, context.snapshot
    liked = strongest(context.sound_tastes, limits.sounds)
    _, at = spread(snapshot.by_sound_starts, liked, limits.per_sound)
    return snapshot.by_sound[at].astype(np.int64)


def rising(context: Context) -> Ints:
    """Videos with more long watches lately than usual."""
    return context.snapshot.rising[: context.policy.limits.rising].astype(np.int64)


def fresh(context: Context) -> Ints:
    """New videos with few views, newest first."""
    return context.fresh


def newest(context: Context) -> Ints:
    """The newest videos of all: enough that those which filters drop cannot use them up."""
    dropped = context.seen.size + context.hidden.size + context.withdrawn.size
    return context.snapshot.newest[: context.policy.limits.newest + dropped].astype(np.int64)


def seen_long_ago(context: Context) -> Ints:
    """Videos seen long enough ago to be offered again, should nothing else be left."""
    return context.seen_long_ago


def _newest(context: Context, videos: Ints, most: int) -> Ints:
    """The newest of the videos."""
    if videos.size <= most:
        return videos
    # Ages in hours stay below 2^30; ties fall to the smaller position, that is the smaller id.
    videos = np.sort(videos)
    return videos[best_first(-np.minimum(context.age(videos), (1 << 30) - 1))[:most]]


FOR_YOU = (
    Source("follow", followed),
    Source("co_watch", co_watched),
    Source("creator", by_creator),
    Source("tag", by_tag),
    Source("sound", by_sound),
    Source("rising", rising),
    Source("fresh", fresh),
    Source("newest", newest),
    Source("promotion", promoted),
    Source("again", seen_long_ago),
)
FOLLOWING = (Source("follow", all_followed),)
NEWEST = (Source("newest", newest), Source("again", seen_long_ago))


@dataclass(frozen=True)
class Candidates:
    """Videos found, ascending and distinct, and for each the first source in order that found it."""

    videos: Ints
    source: Ints

    def keep(self, mask: Mask) -> "Candidates":
        """Those where the mask is true."""
        return Candidates(self.videos[mask], self.source[mask])


def find_all(context: Context, sources: tuple[Source, ...]) -> Candidates:
    """Ask every source and merge what they find."""
    found = [source.find(context) for source in sources]
    packed = distinct(np.concatenate([(videos << 8) | rank for rank, videos in enumerate(found)]))
    videos = packed >> 8
    first = np.ones(videos.size, dtype=np.bool_)
    first[1:] = videos[1:] != videos[:-1]
    return Candidates(videos[first], packed[first] & 0xFF)
