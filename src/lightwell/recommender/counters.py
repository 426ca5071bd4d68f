"""What is counted of each video, with several half-lives: whole numbers that depend on no order."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.integers import ONE, Ints, half_life_table, isqrt

ALL_TIME: Final = ("views", "longs", "likes", "shares", "skips")
MOST_COUNTED: Final = 1 << 31
"""No counter of one video goes beyond; sums and products of counters then stay within 64 bits."""

_HALVINGS: Final = 12
_MOST_TREND: Final = 65_535
_MOST_RATIO: Final = 1 << 20


class Window(msgspec.Struct, frozen=True):
    """A count that loses half its weight every `steps` steps of `step` minutes."""

    of: str
    step: int
    steps: int


WINDOWS: Final[Mapping[str, Window]] = {
    "longs_1h": Window("longs", 1, 60),
    "longs_6h": Window("longs", 2, 180),
    "longs_24h": Window("longs", 10, 144),
    "longs_week": Window("longs", 60, 168),
    "views_24h": Window("views", 10, 144),
}
COUNTERS: Final = (*ALL_TIME, *WINDOWS)

Small = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How scores of videos follow from their counters.

    prior_views: views' worth of the catalogue's share in `finish`. rise_half: long watches beyond the usual
    that earn half of `rise`. trend_longs, trend_lately: long watches, and 256ths of those of the last day,
    that every video is given in `trend`.
    """

    prior_views: Small = 8
    rise_half: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 5
    trend_longs: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 6
    trend_lately: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 77


class Counters:
    """Counts of a growing catalogue: adding is exact, and the sum of what was added in whatever order.

    A window's sum is kept as of a landmark: what happens later weighs more, so that nothing has to be touched
    while time passes. Landmarks lie at fixed times, twelve half-lives apart.

    Args:
        size: how many videos there are at first.
        minute: whole minutes since 1970 from which it counts; earlier ones are added as well.
    """

    def __init__(self, size: int, minute: int) -> None:
        self.size = size
        self._room = max(size, 256)
        self._sums = {name: np.zeros(self._room, dtype=np.int64) for name in COUNTERS}
        self._landmarks = {name: _landmark(window, minute) for name, window in WINDOWS.items()}

    def grow(self, size: int) -> None:
        """Make room for videos up to a size; new ones count nothing yet."""
        if size > self._room:
            self._room = max(size, self._room + self._room // 4)
            for name, sums in self._sums.items():
                larger = np.zeros(self._room, dtype=np.int64)
                larger[: self.size] = sums[: self.size]
                self._sums[name] = larger
        self.size = max(size, self.size)

    def rearranged(self, rows: Ints) -> "Counters":
        """The same counts in another order: of row `rows[i]` at i, of none where that is -1."""
        other = Counters(rows.size, 0)
        other._landmarks = dict(self._landmarks)
        known = np.flatnonzero(rows >= 0)
        for name, sums in self._sums.items():
            other._sums[name][known] = sums[rows[known]]
        return other

    def add(self, name: str, video: Ints, minute: Ints) -> None:
        """Count one more of a name in `ALL_TIME`, in all its windows too.

        Args:
            name: what happened.
            video: positions, shape (n,).
            minute: whole minutes since 1970 at which it happened, shape (n,).
        """
        if not video.size:
            return
        np.add.at(self._sums[name], video, 1)
        for key, window in WINDOWS.items():
            if window.of == name:
                self._move(key, int(minute.max()))
                np.add.at(self._sums[key], video, _weights(window, minute, self._landmarks[key]))

    def at(self, minute: int, videos: Ints | None = None) -> dict[str, Ints]:
        """The counters as of a minute, of all videos or of those given.

        Returns:
            Every name of `COUNTERS`; those of `WINDOWS` in 256ths.
        """
        rows: Any = slice(0, self.size) if videos is None else videos
        found = {name: np.clip(self._sums[name][rows], 0, MOST_COUNTED) for name in ALL_TIME}
        for name, window in WINDOWS.items():
            self._move(name, minute)
            passed = minute // window.step - self._landmarks[name]
            # Before the landmark only if events lie in the future of `minute`: they count as of now.
            halved, rest = divmod(max(passed, 0), window.steps)
            # 2^16 an event, times a weight of 2^16, to 256ths; rounded, so that one event fades to 128 sharp.
            exact = (self._sums[name][rows] >> halved) * _falling(window)[rest]
            found[name] = np.clip((exact + (1 << 23)) >> 24, 0, MOST_COUNTED * 256)
        return found

    def _move(self, name: str, minute: int) -> None:
        """Move a window to the landmark before a minute, if that is a later one."""
        later = _landmark(WINDOWS[name], minute)
        epochs = (later - self._landmarks[name]) // (_HALVINGS * WINDOWS[name].steps)
        if epochs > 0:
            self._sums[name] >>= min(epochs * _HALVINGS, 63)
            self._landmarks[name] = later


def decayed(name: str, values: NDArray[np.int64], since: int, minute: int) -> Ints:
    """What a window's value of an earlier minute has become, if nothing was added to it.

    Args:
        name: one of `WINDOWS`.
        values: in 256ths, at most `MOST_COUNTED` events.
        since, minute: whole minutes since 1970.
    """
    window = WINDOWS[name]
    halved, rest = divmod(max(minute // window.step - since // window.step, 0), window.steps)
    left: Ints = (values * _falling(window)[rest] + ONE // 2) >> 16 >> min(halved, 63)
    return left


class Totals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What scores of videos need to know of all others: sums of their counters, and the largest rise."""

    videos: int
    views: int
    longs: int
    longs_24h: int
    rise: int

    def __add__(self, other: "Totals") -> "Totals":
        """The totals of two parts of a catalogue that share no video."""
        return Totals(
            self.videos + other.videos,
            self.views + other.views,
            self.longs + other.longs,
            self.longs_24h + other.longs_24h,
            max(self.rise, other.rise),
        )


def totals(found: Mapping[str, NDArray[np.int64]]) -> Totals:
    """The totals of some videos, from their counters."""
    views, longs, lately = (int(found[name].sum()) for name in ("views", "longs", "longs_24h"))
    return Totals(found["views"].size, views, longs, lately, int(_rise(found).max(initial=0)))


def _rise(found: Mapping[str, NDArray[np.int64]]) -> Ints:
    # At a steady pace the day's window holds a seventh of the week's; a quarter above that, a rise begins.
    rise: Ints = np.maximum(found["longs_24h"] - found["longs_week"] * 5 // 28, 0)
    return rise


def scores(
    found: Mapping[str, NDArray[np.int64]], rules: Rules, of_all: Totals | None = None
) -> dict[str, NDArray[Any]]:
    """Trend, rise and finish of videos, from their counters.

    Args:
        found: every name of `COUNTERS`.
        rules: how scores follow from counters.
        of_all: the totals of the whole catalogue, where these are a part of it.
    """
    of_all = of_all or totals(found)
    views, longs = found["views"], found["longs"]
    rise = _rise(found)
    half = max(rules.rise_half * 256, of_all.rise // 3)
    mean = 256 * of_all.longs // max(of_all.views, 1)
    prior = max(rules.prior_views, 1)
    finish = (256 * longs + prior * mean) // (views + prior) - mean
    # A rise flattens by its root, so that the one biggest hit does not hide every other.
    return {
        "trend": trend(found["longs_24h"], longs, rules, of_all).astype(np.uint16),
        "rise": isqrt(255 * 255 * rise // (rise + half)).astype(np.int16),
        "finish": np.clip(finish, -256, 256).astype(np.int16),
    }


def trend(
    lately: NDArray[np.int64], longs: NDArray[np.int64], rules: Rules, of_all: Totals | None = None
) -> Ints:
    """The share of a video's long watches of the last day, against the catalogue's, to the power .6.

    Args:
        lately: long watches by a half-life of 24 hours, in 256ths, of every video.
        longs: long watches of all time.
        rules: what every video is given beforehand.
        of_all: the totals of the whole catalogue, where these videos are a part of it.

    Returns:
        256 where a video is as the catalogue, at most 65,535.
    """
    given_longs, given_lately = rules.trend_longs, rules.trend_lately
    videos = of_all.videos if of_all else longs.size
    all_longs = (of_all.longs if of_all else int(longs.sum())) + given_longs * videos
    all_lately = (of_all.longs_24h if of_all else int(lately.sum())) + given_lately * videos
    usual = min((all_longs << 26) // max(all_lately, 1), (1 << 38) - 1)
    share = np.minimum(((lately + given_lately) << 10) // (longs + given_longs), (1 << 24) - 1)
    ratio = np.minimum((share * usual) >> 28, _MOST_RATIO)
    usual_ones = _power_table()
    powers: Ints = usual_ones[np.minimum(ratio, usual_ones.size - 1)]
    large = np.flatnonzero(ratio >= usual_ones.size)
    powers[large] = _power_steps().searchsorted(ratio[large], side="right") - 1
    return np.minimum(powers, _MOST_TREND)


def rising(ids: NDArray[np.uint64], found: Mapping[str, NDArray[Any]], most: int) -> Ints:
    """Positions of the videos that rise most; among equals those finished best, then by id."""
    key = found["rise"].astype(np.int64) * 1024 + found["finish"]
    if key.size > most:
        least = int(np.partition(key, key.size - most)[key.size - most])
        above = np.flatnonzero(key > least)
        equal = np.flatnonzero(key == least)
        wanted = most - above.size
        if equal.size > wanted:
            equal = equal[np.argpartition(ids[equal], wanted - 1)[:wanted]] if wanted else equal[:0]
        chosen = np.concatenate((above, equal))
    else:
        chosen = np.arange(key.size, dtype=np.int64)
    order: Ints = chosen[np.lexsort((ids[chosen], -key[chosen]))]
    return order


@cache
def _falling(window: Window) -> Ints:
    """2^16 times two to the power of minus i / steps, for i below steps."""
    table = half_life_table(window.steps, window.steps)
    table.flags.writeable = False
    return table


@cache
def _growing(window: Window) -> Ints:
    """2^16 times two to the power of i / steps."""
    table = np.concatenate(([ONE], 2 * _falling(window)[:0:-1]))
    table.flags.writeable = False
    return table


def _landmark(window: Window, minute: int) -> int:
    """The step of the last landmark before a minute."""
    apart = _HALVINGS * window.steps
    return minute // window.step // apart * apart


def _weights(window: Window, minute: Ints, landmark: int) -> Ints:
    """What an event at each minute weighs at a landmark, in 2^16ths."""
    passed = minute // window.step - landmark
    doubled, rest = passed // window.steps, passed % window.steps
    weight = _growing(window)[rest]
    grown: Ints = np.where(
        doubled >= 0, weight << np.clip(doubled, 0, _HALVINGS), weight >> np.clip(-doubled, 0, 63)
    )
    return grown


@cache
def _power_table() -> Ints:
    """256 * (x / 256)^.6 of every x below 2^14: a look-up is quicker than a search."""
    return _power_steps().searchsorted(np.arange(1 << 14), side="right") - 1


@cache
def _power_steps() -> Ints:
    """For y = 0, 1, 2...: the least x with 256 * (x / 256)^.6 >= y, that is 256^2 * x^3 >= y^5."""
    steps = [0]
    x = 0
    while x <= _MOST_RATIO:
        y = len(steps)
        while (x**3 << 16) < y**5:
            x += 1
        steps.append(x)
    return np.array(steps, dtype=np.int64)
