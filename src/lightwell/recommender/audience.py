"""Who a video may be shown to: everybody, unless its maker said adults only or named the regions."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.integers import Mask

_ADULTS: Final = "18"


def audience(adult: bool, regions: Iterable[str]) -> str:
    """Return the word for an audience: "" for all, "18" for adults, "18 eu us" for adults in two regions.

    Args:
        adult: only adults may see it.
        regions: the regions in which it may be shown, in any order; none for all.
    """
    return " ".join(([_ADULTS] if adult else []) + sorted(set(regions)))


class Audiences:
    """The audiences of a snapshot by number, and which of them a viewer does not belong to.

    Args:
        words: as `audience` writes them, by number.
    """

    def __init__(self, words: Sequence[str]) -> None:
        parts = [word.split(" ") if word else [] for word in words]
        self._adult = np.array([_ADULTS in part for part in parts], dtype=np.bool_)
        self._regions = [frozenset(part) - {_ADULTS} for part in parts]
        self._any_adult = bool(self._adult.any())
        self._any_region = any(self._regions)
        self._by_region: dict[str, NDArray[np.bool_] | None] = {}

    def barred_by_age(self, adult: bool) -> Mask | None:
        """Return, by number, the audiences a viewer is too young for; None where there are none."""
        return self._adult if self._any_adult and not adult else None

    def barred_by_region(self, region: str) -> Mask | None:
        """Return, by number, the audiences that leave a region out; None where there are none."""
        if not self._any_region:
            return None
        if region not in self._by_region:
            found = np.array([bool(some) and region not in some for some in self._regions], dtype=np.bool_)
            self._by_region[region] = found if found.any() else None
        return self._by_region[region]

    def barred(self, adult: bool, region: str) -> Mask | None:
        """Return, by number, the audiences a viewer does not belong to; None where there are none."""
        age, place = self.barred_by_age(adult), self.barred_by_region(region)
        if age is None or place is None:
            return place if age is None else age
        both: Mask = age | place
        return both
