"""The integer features that trees are asked with: one function makes them for serving and for training."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import I4S, I8, I8S, TO_I2_TABLE, TO_I4S, U2S, inner, kernel

Array = NDArray[Any]

FEATURES = 31
"""How many columns there are."""

_LONG = 2  # of `measure.history`
_RECENT = 10
_NEAR = 4  # durations this near in `_log` are alike: within a half of each other


@inner
def _log(value: int) -> int:
    """8 * floor(log2(value)) and the next three bits; 0 for value <= 0."""
    if value <= 0:
        return 0
    whole, rest = np.int64(0), np.int64(value)
    for shift in (32, 16, 8, 4, 2, 1):
        step = np.int64(rest >> shift > 0) * shift
        whole += step
        rest >>= step
    bits = value >> (whole - 3) if whole >= 3 else value << (3 - whole)
    return 8 * whole + (bits & 7)


@kernel(
    I4S, I4S, TO_I4S, I8S, I8S, I8, I8, U2S, I4S, I4S, I4S, I4S, I4S, I4S, I8S,
    I8S, I8S, I8S, I8S, I8S, I8S, I8S, I8, I8, TO_I2_TABLE,
)  # fmt: skip
def features(  # noqa: PLR0912, PLR0915 - a loop an array, and a line a column, in their order
    videos: Array,
    near_best: Array,
    marks: Array,
    from_long: Array,
    from_other: Array,
    graph_long: int,
    graph_other: int,
    trend: Array,
    watched: Array,
    kinds: Array,
    creator: Array,
    sound: Array,
    topic: Array,
    duration: Array,
    published: Array,
    views: Array,
    longs: Array,
    longs_1h: Array,
    longs_6h: Array,
    longs_24h: Array,
    longs_week: Array,
    views_24h: Array,
    hour: int,
    tab: int,
    rows: Array,
) -> None:
    """Fill a row of `rows` for each candidate; what each column means is said in `features.FEATURES`.

    Args:
        videos: positions of the candidates.
        near_best: the strongest neighbours, best first.
        marks: working memory, all zero, and so again afterwards.
        from_long, from_other: by candidate, sums of edges from long and from other watches.
        graph_long, graph_other: what each of these counts.
        watched, kinds: the viewer's history, from `measure.history`.
        trend, creator ... views_24h: the snapshot's, by position.
        hour: whole hours since 1970. tab: number of the page.
    """
    count = watched.size
    creators, sounds = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    topics, lengths = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    long = np.empty(count, dtype=np.int32)
    all_long, recent_long, milliseconds = np.int64(0), np.int64(0), np.int64(0)
    recent = min(count, _RECENT)
    for at in range(count):
        video = watched[at]
        creators[at], sounds[at], topics[at] = creator[video], sound[video], topic[video]
        lengths[at] = _log(np.int64(duration[video] // 100))
        long[at] = np.int32(kinds[at] == _LONG)
        all_long += long[at]
        milliseconds += long[at] * duration[video]
        if at >= count - recent:
            recent_long += long[at]
    viewer_share = (256 * all_long + 240) // (count + 3)
    viewer_recent = (256 * recent_long + 240) // (recent + 3)
    mean_length = _log(milliseconds // all_long // 100) if all_long > 0 else 0
    for place in range(near_best.size):
        marks[near_best[place]] = place + 1
    # What lies scattered over the catalogue is fetched first: waiting for memory then overlaps.
    size = videos.size
    by, on, of = (
        np.empty(size, dtype=np.int32),
        np.empty(size, dtype=np.int32),
        np.empty(size, dtype=np.int32),
    )
    rank = np.empty(size, dtype=np.int64)
    counted = np.empty((10, size), dtype=np.int64)
    for at in range(size):
        by[at] = creator[videos[at]]
    for at in range(size):
        on[at] = sound[videos[at]]
    for at in range(size):
        of[at] = topic[videos[at]]
    for at in range(size):
        rank[at] = marks[videos[at]]
    for at in range(size):
        counted[0, at] = views[videos[at]]
    for at in range(size):
        counted[1, at] = longs[videos[at]]
    for at in range(size):
        counted[2, at] = longs_1h[videos[at]]
    for at in range(size):
        counted[3, at] = longs_6h[videos[at]]
    for at in range(size):
        counted[4, at] = longs_24h[videos[at]]
    for at in range(size):
        counted[5, at] = longs_week[videos[at]]
    for at in range(size):
        counted[6, at] = views_24h[videos[at]]
    for at in range(size):
        counted[7, at] = trend[videos[at]]
    for at in range(size):
        counted[8, at] = hour - published[videos[at]] // 3600
    for at in range(size):
        counted[9, at] = duration[videos[at]] // 100
    for place in range(near_best.size):
        marks[near_best[place]] = 0
    first_recent = count - recent
    for at in range(size):
        graph = max(graph_long * from_long[at] + graph_other * from_other[at], 0)
        length = np.int32(_log(counted[9, at]))
        its_creator, its_sound, its_topic = by[at], on[at], of[at]
        by_long, by_all, with_sound = np.int32(0), np.int32(0), np.int32(0)
        on_topic, on_topic_long, near, near_long = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for past in range(count):
            is_long = long[past]
            same = np.int32(creators[past] == its_creator)
            by_all += same
            by_long += same & is_long
            with_sound += np.int32(sounds[past] == its_sound) & is_long
            same = np.int32(topics[past] == its_topic)
            on_topic += same
            on_topic_long += same & is_long
            apart = lengths[past] - length
            same = np.int32(apart <= _NEAR) & np.int32(apart >= -_NEAR)
            near += same
            near_long += same & is_long
        on_topic_recent = 0
        for past in range(first_recent, count):
            on_topic_recent += topics[past] == its_topic
        if its_sound < 0:
            with_sound = np.int32(0)
        if its_topic < 0:
            on_topic, on_topic_long, on_topic_recent = np.int32(0), np.int32(0), 0
        seen = counted[0, at]
        long_share = (256 * min(counted[1, at], seen) + 632) // (seen + 8)
        row = rows[at]
        row[0] = _log(graph)
        row[1] = _log(graph * counted[7, at] >> 8)
        row[2] = min(rank[at] - 1, 255) if rank[at] > 0 else 255
        row[3] = _log(max(from_long[at], 0))
        row[4] = _log(max(from_other[at], 0))
        row[5], row[6], row[7] = min(by_long, 15), min(by_all - by_long, 15), min(with_sound, 15)
        row[8] = (256 * on_topic_long + 64) // (all_long + 4)
        row[9] = (256 * on_topic_long + 320) // (on_topic + 4)
        row[10] = on_topic_recent
        row[11] = np.int64(count > 0 and creators[count - 1] == its_creator)
        row[12], row[13], row[14] = _log(seen), _log(counted[1, at]), long_share
        row[15], row[16] = _log(counted[2, at]), _log(counted[3, at])
        row[17], row[18] = _log(counted[4, at]), _log(counted[5, at])
        row[19], row[20] = _log(counted[6, at]), _log(counted[7, at])
        row[21] = min((256 * counted[4, at] + 1024 * long_share) // (counted[6, at] + 1024), 32_767)
        row[22] = _log(max(counted[8, at], 0))
        row[23] = length
        row[24] = min(count, 255)
        row[25], row[26] = viewer_share, viewer_recent
        row[27] = (256 * near_long + 240) // (near + 3)
        row[28] = mean_length
        row[29], row[30] = hour % 24, tab
