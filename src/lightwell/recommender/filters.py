"""Filters: which candidates may not be shown, each with its reason; the first that fits is given."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightwell.recommender.context import Context
from lightwell.recommender.integers import Ints, Mask, among
from lightwell.recommender.sources import Candidates

Drops = Callable[[Context, Ints], Mask]


@dataclass(frozen=True)
class Filter:
    """A named rule that says which videos to drop."""

    reason: str
    drops: Drops


@dataclass(frozen=True)
class Dropped:
    """Videos a filter dropped, for the clean room and for the tests."""

    reason: str
    videos: Ints


def withdrawn(context: Context, videos: Ints) -> Mask:
    """Taken down since the snapshot was built."""
    return among(context.withdrawn, videos)


def hidden(context: Context, videos: Ints) -> Mask:
    """Hidden by the viewer."""
    return among(context.hidden, videos)


def own(context: Context, videos: Ints) -> Mask:
    """Made by the viewer."""
    if context.own < 0 or not context.policy.filters.own:
        return np.zeros(videos.shape, dtype=np.bool_)
    mask: Mask = context.snapshot.creator[videos] == context.own
    return mask


def seen(context: Context, videos: Ints) -> Mask:
    """Shown to the viewer before."""
    return among(context.seen, videos)


FOR_YOU = (
    Filter("withdrawn", withdrawn),
    Filter("hidden", hidden),
    Filter("own", own),
    Filter("seen", seen),
)
BY_TIME = (Filter("withdrawn", withdrawn), Filter("hidden", hidden), Filter("seen", seen))


def drop_all(
    context: Context, candidates: Candidates, filters: tuple[Filter, ...]
) -> tuple[Candidates, list[Dropped]]:
    """Apply the filters; if fewer than asked for are left, let back in what was seen long ago (see policy).

    Returns:
        What is left, and what each filter dropped.
    """
    left = np.ones(candidates.videos.shape, dtype=np.bool_)
    masks = []
    for rule in filters:
        mask = rule.drops(context, candidates.videos) & left
        left &= ~mask
        masks.append((rule.reason, mask))
    if int(left.sum()) < context.inputs.request.k and context.seen_long_ago.size:
        back = among(context.seen_long_ago, candidates.videos)
        masks = [(reason, mask & ~back if reason == "seen" else mask) for reason, mask in masks]
        left = ~np.any([mask for _, mask in masks], axis=0)
    return candidates.keep(left), [Dropped(reason, candidates.videos[mask]) for reason, mask in masks]
