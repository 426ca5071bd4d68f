"""Filters: which candidates may not be shown, each with its reason; the first that fits is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lightwell.recommender import kernels
from lightwell.recommender.context import Context, Positions
from lightwell.recommender.integers import Mask
from lightwell.recommender.sources import Candidates

Drops = Callable[[Context, Candidates], Mask | None]


@dataclass(frozen=True)
class Filter:
    """A named rule that says which candidates to drop; None where it drops none of any."""

    reason: str
    drops: Drops


@dataclass(frozen=True)
class Dropped:
    """Videos a filter dropped, for the clean room and for the tests."""

    reason: str
    videos: Positions


def withdrawn(context: Context, candidates: Candidates) -> Mask | None:
    """Taken down, or no longer public, since the snapshot was built."""
    return kernels.gather.among_ids(context.withdrawn, candidates.ids) if context.withdrawn.size else None


def age(context: Context, candidates: Candidates) -> Mask | None:
    """For adults, and the viewer is not known to be one."""
    barred = context.tables.audiences.barred_by_age(context.inputs.viewer.adult)
    return None if barred is None else _of_audiences(context, candidates, barred)


def region(context: Context, candidates: Candidates) -> Mask | None:
    """Not to be shown in the viewer's region, as its maker chose."""
    barred = context.tables.audiences.barred_by_region(context.inputs.viewer.region)
    return None if barred is None else _of_audiences(context, candidates, barred)


def hidden(context: Context, candidates: Candidates) -> Mask | None:
    """Hidden by the viewer."""
    return kernels.gather.among_ids(context.hidden, candidates.ids) if context.hidden.size else None


def blocked(context: Context, candidates: Candidates) -> Mask | None:
    """Made by someone the viewer blocked."""
    return _by_creators(context, candidates, context.blocked)


def muted(context: Context, candidates: Candidates) -> Mask | None:
    """Made by someone the viewer muted."""
    return _by_creators(context, candidates, context.muted)


def own(context: Context, candidates: Candidates) -> Mask | None:
    """Made by the viewer."""
    if context.own < 0 or not context.policy.filters.own:
        return None
    mask: Mask = context.tables.creator[candidates.videos] == context.own
    return mask


def seen(context: Context, candidates: Candidates) -> Mask | None:
    """Shown to the viewer before."""
    return kernels.gather.among_ids(context.seen, candidates.ids) if context.seen.size else None


def _of_audiences(context: Context, candidates: Candidates, barred: Mask) -> Mask:
    mask: Mask = barred[context.tables.audience[candidates.videos]]
    return mask


def _by_creators(context: Context, candidates: Candidates, creators: Positions) -> Mask | None:
    if not creators.size:
        return None
    mask: Mask = kernels.gather.among(creators, context.tables.creator[candidates.videos])
    return mask


_WITHDRAWN = Filter("withdrawn", withdrawn)
_AGE = Filter("age", age)
_REGION = Filter("region", region)
_HIDDEN = Filter("hidden", hidden)
_BLOCKED = Filter("blocked", blocked)
_MUTED = Filter("muted", muted)
_SEEN = Filter("seen", seen)
FOR_YOU = (_WITHDRAWN, _AGE, _REGION, _HIDDEN, _BLOCKED, _MUTED, Filter("own", own), _SEEN)
BY_TIME = (_WITHDRAWN, _AGE, _REGION, _HIDDEN, _BLOCKED, _MUTED, _SEEN)
WITHOUT_VIEWER = (_WITHDRAWN, _AGE, _REGION)
DROPPED: Mapping[str, str] = {
    "withdrawn": "Its maker took it back",
    "age": "It is for adults, and the viewer is not known to be one",
    "region": "Its maker does not show it in this region",
    "hidden": "The viewer hid it",
    "blocked": "The viewer blocked its maker",
    "muted": "The viewer muted its maker",
    "own": "The viewer made it",
    "seen": "The viewer has seen it",
    "outranked": "Others scored higher",
    "not-in-catalogue": "A promotion names it, and it is not there",
}
"""Every reason why a video that was considered is not in a slate, and how it is said."""


def drop_all(
    context: Context, candidates: Candidates, filters: tuple[Filter, ...], *, again: bool = False
) -> tuple[Candidates, list[Dropped]]:
    """Apply the filters.

    Args:
        context, candidates, filters: what is dropped, and by what.
        again: let back in what was seen long ago.

    Returns:
        What is left, and what each filter dropped.
    """
    left = np.ones(candidates.videos.shape, dtype=np.bool_)
    dropped = []
    for rule in filters:
        found = rule.drops(context, candidates)
        if found is None:
            continue
        if again and rule.reason == "seen":
            found &= ~kernels.gather.among(context.seen_long_ago, candidates.videos)
        mask = found & left
        left &= ~mask
        dropped.append(Dropped(rule.reason, candidates.videos[mask]))
    return candidates.keep(left), dropped
