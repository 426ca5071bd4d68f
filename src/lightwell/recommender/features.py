"""The features a ranker is asked with: what each column means, and rows of them to serve and to train."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels
from lightwell.recommender.context import Context, Positions

Group = Literal["near", "creator", "sound", "topic", "popular", "finish", "new", "length", "habit", "hour"]
"""What a feature is about, in explanations."""

Rows = NDArray[np.int16]
Columns = NDArray[np.int16]

_PIECE: Final = 64

DEFAULT_TAB: Final = 1
"""The number of the page in rows made for serving."""


@dataclass(frozen=True)
class Feature:
    """One column: its name, what it is about and how it is made, in words.

    log(x) is 8 * floor(log2 x) and the next three bits of x, 0 for x <= 0. "Long" is watched long or
    liked.
    """

    name: str
    group: Group
    says: str


FEATURES: Final = (
    Feature("graph", "near", "log of the weighted sum of edges from what was watched"),
    Feature("graph_trend", "near", "log of that sum times the video's trend"),
    Feature("rank", "near", "place among the strongest neighbours by that product, at most 255"),
    Feature("graph_long", "near", "log of the sum of edges from long watches"),
    Feature("graph_other", "near", "log of the sum of edges from other watches"),
    Feature("creator_long", "creator", "long watches of the creator, at most 15"),
    Feature("creator_other", "creator", "other watches of the creator, at most 15"),
    Feature("sound_long", "sound", "long watches with the sound, at most 15"),
    Feature("topic_share", "topic", "share of the topic in long watches, in 256ths"),
    Feature("topic_rate", "topic", "share of the topic's watches that were long, in 256ths"),
    Feature("topic_recent", "topic", "the topic's watches among the last 10"),
    Feature("creator_last", "creator", "1 if the last watch was of the creator"),
    Feature("views", "popular", "log of views"),
    Feature("longs", "popular", "log of long watches"),
    Feature("long_share", "finish", "share of views that were long, in 256ths"),
    Feature("longs_1h", "popular", "log of long watches decayed by 1 h"),
    Feature("longs_6h", "popular", "log of long watches decayed by 6 h"),
    Feature("longs_24h", "popular", "log of long watches decayed by 24 h"),
    Feature("longs_week", "popular", "log of long watches decayed by a week"),
    Feature("views_24h", "popular", "log of views decayed by 24 h"),
    Feature("trend", "popular", "log of the trend"),
    Feature("share_24h", "finish", "share of views that were long, decayed by 24 h, in 256ths"),
    Feature("age", "new", "log of whole hours since publication"),
    Feature("duration", "length", "log of tenths of a second"),
    Feature("watches", "habit", "videos watched, at most 255"),
    Feature("viewer_share", "habit", "share of them that were long, in 256ths"),
    Feature("viewer_recent", "habit", "the same of the last 10"),
    Feature("length_rate", "length", "share of watches of like length that were long, in 256ths"),
    Feature("length_mean", "length", "log of the mean length of long watches"),
    Feature("hour", "hour", "hour of the day, UTC"),
    Feature("tab", "hour", "number of the page"),
)
"""Every column, in order, as many as the kernel fills; a ranker fitted on others is not one for this code."""

GROUPS: Final[tuple[Group, ...]] = (
    "near", "creator", "sound", "topic", "popular", "finish", "new", "length", "habit", "hour",
)  # fmt: skip
GROUP_OF: Final = np.array([GROUPS.index(feature.group) for feature in FEATURES], dtype=np.int16)
"""By column, the place of its group in `GROUPS`."""


def columns(
    context: Context,
    videos: Positions,
    facts: NDArray[Any],
    *,
    places: bool = True,
    tab: int = DEFAULT_TAB,
    of_all: NDArray[Any] | None = None,
) -> Columns:
    """Make the features of some videos, shape (FEATURES, n or more: what is beyond n means nothing).

    Args:
        context: the viewer's past as of the request, and the counters as of the snapshot.
        videos, facts: positions, shape (n,), any videos of the catalogue, and their facts.
        places: whether `rank` is the place among the viewer's candidates, or 255 for all.
        tab: 0..127.
        of_all: facts of every video of the catalogue, where not those of the snapshot.
    """
    best = context.near_best if places else context.near_best[:0]
    # In whole pieces, as a processor works on them: what was left over would take as long again.
    made = np.empty((len(FEATURES), -(-videos.size // _PIECE) * _PIECE), dtype=np.int16)
    kernels.asked.features(
        facts, videos, context.tables.facts if of_all is None else of_all, *context.history, best,
        *context.sums_of(videos), *context.graph_weights, context.inputs.request.hour, tab, made,
    )  # fmt: skip
    return made


def rows(
    context: Context,
    videos: Positions,
    *,
    tab: int = DEFAULT_TAB,
    duration: NDArray[np.int32] | None = None,
) -> Rows:
    """Make the rows of some videos, shape (n, FEATURES), `rank` being 255 for all.

    Args:
        context, videos, tab: as for `columns`.
        duration: milliseconds of every video of the catalogue, where not those of the snapshot.
    """
    facts = context.tables.facts
    if duration is not None:
        facts = facts.copy()
        kernels.asked.with_durations(duration, facts)
    made = columns(context, videos, facts[videos], places=False, tab=tab, of_all=facts)
    return np.ascontiguousarray(made[:, : videos.size].T)
