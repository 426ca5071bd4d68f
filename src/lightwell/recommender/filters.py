"""Filters: which candidates may not be shown, each with its reason; the first that fits is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels
from lightwell.recommender.context import Context, Positions
from lightwell.recommender.integers import Mask
from lightwell.recommender.kernels.compiled import FACTS
from lightwell.recommender.sources import Candidates

FOR_YOU: Final = ("withdrawn", "age", "region", "hidden", "blocked", "muted", "own", "seen")
"""All reasons, in the order in which they are looked at; the kernel goes through them in one pass."""
BY_TIME: Final = ("withdrawn", "age", "region", "hidden", "blocked", "muted", "seen")
WITHOUT_VIEWER: Final = ("withdrawn", "age", "region")
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

_ASKED: Final[Mapping[tuple[str, ...], int]] = {
    reasons: sum(1 << FOR_YOU.index(reason) for reason in reasons)
    for reasons in (FOR_YOU, BY_TIME, WITHOUT_VIEWER)
}
_NOBODY: Final = np.zeros(0, dtype=np.bool_)
_NONE: Final = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Sifted:
    """Candidates that were found, and for each the number of the reason why it is dropped, 0 for none."""

    videos: Positions
    reasons: NDArray[np.int8]

    def dropped(self) -> list[tuple[int, str]]:
        """Position and reason of each that was dropped."""
        at = np.flatnonzero(self.reasons)
        numbers = self.reasons[at].tolist()
        return [
            (video, FOR_YOU[number - 1])
            for video, number in zip(self.videos[at].tolist(), numbers, strict=True)
        ]


def drop_all(
    context: Context, candidates: Candidates, reasons: tuple[str, ...], *, again: bool = False
) -> tuple[Candidates, Sifted]:
    """Drop what may not be shown.

    Args:
        context, candidates: what is dropped.
        reasons: those that count, one of the tuples above.
        again: let back in what was seen long ago.

    Returns:
        What is left, and why the others are not.
    """
    viewer, audiences = context.inputs.viewer, context.tables.audiences
    left = np.empty(candidates.videos.size, dtype=FACTS)
    why, videos, bits, count = kernels.sift.sift(
        candidates.facts, candidates.videos, candidates.found_by, context.withdrawn,
        _mask(audiences.barred_by_age(viewer.adult)), _mask(audiences.barred_by_region(viewer.region)),
        context.hidden, context.blocked, context.muted, context.own if context.policy.filters.own else -1,
        context.seen, context.seen_long_ago if again else _NONE, _ASKED[reasons], left,
    )  # fmt: skip
    return Candidates(videos[:count], bits[:count], left[:count]), Sifted(candidates.videos, why)


def _mask(barred: Mask | None) -> Any:
    return _NOBODY if barred is None else barred
