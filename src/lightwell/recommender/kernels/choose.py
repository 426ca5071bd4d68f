"""Choosing: which candidate takes which place, given what stands before it and what the seed draws."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import FACT_ROWS, I4S, I8, I8S, U8, U8S, inner, kernel

Array = NDArray[Any]

_CERTAIN = 1_000_000
_WHOLE = 720_720  # Divisible by 1..16, so that the first weights of the draw are exact fractions.


@inner
def _below(raw: int, limit: int) -> int:
    """Map a draw to 0..limit-1 by its high bits: raw * limit >> 64, limit below 2^31."""
    size = np.uint64(limit)
    low = (raw & np.uint64(0xFFFFFFFF)) * size >> np.uint64(32)
    return np.int64(((raw >> np.uint64(32)) * size + low) >> np.uint64(32))


@inner
def _show(place: int, number: int, numbers: Array, last: Array) -> None:
    """Note for every candidate of a number at which place it was shown; below 0 nothing can repeat."""
    if number >= 0:
        for at in range(numbers.size):
            if numbers[at] == number:
                last[at] = place


@kernel(I8S, FACT_ROWS, FACT_ROWS, I4S, I8S, I4S, U8S)
def diverse(  # noqa: PLR0912, PLR0915 - one loop over places, which calls would hide
    scores: Array,
    rows: Array,
    of_all: Array,
    just_shown: Array,
    rules: Array,
    pool: Array,
    draws: Array,
) -> Array:
    """Fill places one after the other with the best score less repetition, or with a drawn new video.

    Args:
        scores, rows: of the candidates, which ascend by id: the first of equals wins; their facts.
        of_all: facts of every video.
        just_shown: the videos shown before this slate, the newest last; -1 for those gone.
        rules: places, window, loss for a creator, a sound, a topic, how many of one creator, loss for more,
            every how many places to draw, chance in millionths, how many of the pool are drawn among.
        pool: candidates that need first viewers, the most needing first.
        draws: two for each place that may explore: whether, and which.

    Returns:
        shape (places, 4): candidate; points added to its score; chance of this outcome in millionths;
        points of those added that lifted a drawn video to its place, 0 where none was drawn.
    """
    places, window = min(rules[0], scores.size), rules[1]
    most, often, every, share, wide = rules[5], rules[6], rules[7], rules[8], rules[9]
    # By how many places back, up to one beyond the window: all of the weight just after itself, less further
    # back, nothing beyond.
    losses = np.zeros((3, window + 2), dtype=np.int64)
    for back in range(1, window + 1):
        for kind in range(3):
            losses[kind, back] = rules[2 + kind] * (window + 1 - back) // window
    # By candidate, the place at which its creator, sound and topic were last shown; places before this slate
    # are negative.
    last = np.full((3, scores.size), -window - 1, dtype=np.int64)
    creator = np.empty(scores.size, dtype=np.int32)
    sound, topic = np.empty(scores.size, dtype=np.int32), np.empty(scores.size, dtype=np.int32)
    for at in range(scores.size):
        creator[at], sound[at], topic[at] = rows[at].creator, rows[at].sound, rows[at].topic
    before = just_shown.size
    for at in range(before):
        if just_shown[at] >= 0:
            shown = of_all[just_shown[at]]
            _show(at - before, shown.creator, creator, last[0])
            _show(at - before, shown.sound, sound, last[1])
            _show(at - before, shown.topic, topic, last[2])
    taken = np.zeros(scores.size, dtype=np.bool_)
    shown_of = np.zeros(scores.size, dtype=np.int64)  # how many of the candidate's creator this slate has
    worth = np.empty(scores.size, dtype=np.int64)
    picks = np.empty((places, 4), dtype=np.int64)
    near = np.empty(wide, dtype=np.int64)
    for place in range(places):
        chosen = -1
        for at in range(scores.size):
            loss = losses[0, min(place - last[0, at], window + 1)]
            loss += losses[1, min(place - last[1, at], window + 1)]
            loss += losses[2, min(place - last[2, at], window + 1)]
            loss += often if shown_of[at] >= most else 0
            worth[at] = scores[at] - loss
        for at in range(scores.size):
            if not taken[at] and (chosen < 0 or worth[at] > worth[chosen]):
                chosen = at
        chance, lift = np.int64(_CERTAIN), np.int64(0)
        if place % every == every - 1 and share > 0:
            size, total = 0, np.int64(0)
            for rank in range(pool.size):
                if size < wide and not taken[pool[rank]]:
                    near[size] = pool[rank]
                    size += 1
                    # The fewer its views, the likelier: weights fall as 1, 1/2, 1/3 ... in whole numbers.
                    total += _WHOLE // size
            if size:
                block = place // every
                if _below(draws[2 * block], _CERTAIN) >= share:
                    chance = _CERTAIN - share
                else:
                    rest, rank = _below(draws[2 * block + 1], total), 0
                    while rest >= _WHOLE // (rank + 1):
                        rest -= _WHOLE // (rank + 1)
                        rank += 1
                    lift = worth[chosen] - worth[near[rank]] + 1
                    chance = max(share * (_WHOLE // (rank + 1)) // total, 1)
                    chosen = near[rank]
        taken[chosen] = True
        picks[place, 0], picks[place, 1] = chosen, worth[chosen] - scores[chosen] + lift
        picks[place, 2], picks[place, 3] = chance, lift
        _show(place, creator[chosen], creator, last[0])
        _show(place, sound[chosen], sound, last[1])
        _show(place, topic[chosen], topic, last[2])
        for at in range(scores.size):
            if creator[at] == creator[chosen]:
                shown_of[at] += 1
    return picks


@kernel(I4S, I8, FACT_ROWS, I4S, I8S, I8S, U8S)
def first_viewers(
    bits: Array, bit: int, rows: Array, videos: Array, views: Array, published: Array, skip: Array
) -> Array:
    """Candidates that a source found: the fewest views first, then the newest, then by id.

    Args:
        bits, rows, videos: of the candidates; `bit` is the source's.
        views, published: of every video.
        skip: ids not to give, ascending.
    """
    found = np.empty(bits.size, dtype=np.int32)
    few, new = np.empty(bits.size, dtype=np.int64), np.empty(bits.size, dtype=np.int64)
    count = 0
    for at in range(bits.size):
        if not bits[at] & bit or _has(skip, rows[at].id):
            continue
        its_views, its_time, place = views[videos[at]], published[videos[at]], count
        while place > 0 and (
            few[place - 1] > its_views or (few[place - 1] == its_views and new[place - 1] < its_time)
        ):
            found[place], few[place], new[place] = found[place - 1], few[place - 1], new[place - 1]
            place -= 1
        found[place], few[place], new[place] = at, its_views, its_time
        count += 1
    return found[:count]


@inner
def _has(members: Array, wanted: int) -> bool:
    """Whether an ascending array holds a value."""
    low, high = 0, members.size
    while low < high:
        middle = (low + high) >> 1
        if members[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < members.size and members[low] == wanted


@inner
def _high(left: int, right: int) -> int:
    """The high half of a product of two 64-bit numbers."""
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    low_left, high_left, low_right, high_right = left & mask, left >> half, right & mask, right >> half
    first = low_left * low_right >> half
    middle = high_left * low_right + first
    other = low_left * high_right + (middle & mask)
    return high_left * high_right + (middle >> half) + (other >> half)


@kernel(U8, U8, U8, I8)
def draw(low_key: int, high_key: int, purpose: int, count: int) -> Array:
    """The first draws of Philox4x64-10 for a key, its counter's top 64 bits being `purpose`; see `draws`."""
    found = np.empty((count + 3) // 4 * 4, dtype=np.uint64)
    for block in range((count + 3) // 4):
        a, b, c, d = np.uint64(block + 1), np.uint64(0), np.uint64(0), np.uint64(purpose)
        low, high = np.uint64(low_key), np.uint64(high_key)
        for _ in range(10):
            first_high = _high(a, np.uint64(0xD2E7470EE14C6C93))
            second_high = _high(c, np.uint64(0xCA5A826395121157))
            first, second = a * np.uint64(0xD2E7470EE14C6C93), c * np.uint64(0xCA5A826395121157)
            a, b, c, d = second_high ^ b ^ low, second, first_high ^ d ^ high, first
            low += np.uint64(0x9E3779B97F4A7C15)
            high += np.uint64(0xBB67AE8584CAA73B)
        found[4 * block], found[4 * block + 1] = a, b
        found[4 * block + 2], found[4 * block + 3] = c, d
    return found[:count]
