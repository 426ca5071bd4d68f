"""The integer features that trees are asked with: one function makes them for serving and for training."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import (
    FACT_ROWS,
    I2S,
    I4S,
    I8,
    I8S,
    TO_FACT_ROWS,
    TO_I2_TABLE,
    U2S,
    U8S,
    inner,
    kernel,
)

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
    U8S, I4S, I4S, I4S, I4S, I8S, I4S, U2S, I2S, I2S, I8S, I8S, I8S, I8S, I8S, I8S, I8S, TO_FACT_ROWS
)  # fmt: skip
def facts(
    ids: Array,
    creator: Array,
    sound: Array,
    topic: Array,
    audience: Array,
    published: Array,
    duration: Array,
    trend: Array,
    rise: Array,
    finish: Array,
    views: Array,
    longs: Array,
    longs_1h: Array,
    longs_6h: Array,
    longs_24h: Array,
    longs_week: Array,
    views_24h: Array,
    rows: Array,
) -> None:
    """Lay what is asked of each video side by side: a candidate then costs one wait for memory, not twenty.

    Args:
        ids ... views_24h: the snapshot's, by position.
        rows: to fill, of `FACTS`. Counters stand there as their logs, `hour` is that of publication, `length`
            the log of the duration.
    """
    for at in range(rows.size):
        row = rows[at]
        row.id, row.creator, row.sound, row.topic = ids[at], creator[at], sound[at], topic[at]
        row.audience, row.hour, row.duration = audience[at], published[at] // 3600, duration[at]
        row.trend, row.rise, row.finish, row.spare = trend[at], rise[at], finish[at], 0
        seen, lately = views[at], views_24h[at]
        long_share = (256 * min(longs[at], seen) + 632) // (seen + 8)
        row.views, row.longs, row.long_share = _log(seen), _log(longs[at]), long_share
        row.longs_1h, row.longs_6h = _log(longs_1h[at]), _log(longs_6h[at])
        row.longs_24h, row.longs_week = _log(longs_24h[at]), _log(longs_week[at])
        row.views_24h, row.log_trend = _log(lately), _log(np.int64(trend[at]))
        row.share_24h = min((256 * longs_24h[at] + 1024 * long_share) // (lately + 1024), 32_767)
        row.length = _log(np.int64(duration[at] // 100))


@kernel(I4S, TO_FACT_ROWS)
def with_durations(duration: Array, rows: Array) -> None:
    """Give videos other durations, in milliseconds by position."""
    for at in range(rows.size):
        rows[at].duration, rows[at].length = duration[at], _log(np.int64(duration[at] // 100))


@inner
def _places(videos: Array) -> tuple[Array, Array]:
    """An open table of distinct videos, and the place of each among them, counted from 1."""
    size = 16
    while size < 2 * videos.size:
        size *= 2
    keys, places = np.full(size, -1, dtype=np.int32), np.empty(size, dtype=np.int32)
    for place in range(videos.size):
        at = _slot(keys, videos[place])
        keys[at], places[at] = videos[place], place + 1
    return keys, places


@inner
def _slot(keys: Array, key: int) -> int:
    """Where a key stands, or would, in an open table of a power of two places; -1 is an empty place."""
    mask = keys.size - 1
    at = ((np.int64(key) * 2_654_435_761) >> 15) & mask
    while keys[at] != key and keys[at] != -1:
        at = (at + 1) & mask
    return at


@kernel(FACT_ROWS, I4S, FACT_ROWS, I4S, I4S, I4S, I8S, I8S, I8, I8, I8, I8, TO_I2_TABLE)
def features(  # noqa: PLR0915 - a line a column, in their order
    rows: Array,
    videos: Array,
    of_all: Array,
    watched: Array,
    kinds: Array,
    near_best: Array,
    from_long: Array,
    from_other: Array,
    graph_long: int,
    graph_other: int,
    hour: int,
    tab: int,
    columns: Array,
) -> None:
    """Fill a column of `columns` for each feature; what each means is said in `features.FEATURES`.

    Args:
        rows, videos: facts and positions of the candidates.
        of_all: facts of every video.
        watched, kinds: the viewer's history, from `measure.history`.
        near_best: the strongest neighbours, best first, each once.
        from_long, from_other: by candidate, sums of edges from long and from other watches.
        graph_long, graph_other: what each of these counts.
        hour: whole hours since 1970. tab: number of the page.
        columns: shape (features, at least as many as candidates).
    """
    count = watched.size
    creators, sounds = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    topics, lengths = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    long = np.empty(count, dtype=np.int32)
    all_long, recent_long, milliseconds = np.int64(0), np.int64(0), np.int64(0)
    recent = min(count, _RECENT)
    for at in range(count):
        past = of_all[watched[at]]
        creators[at], sounds[at], topics[at], lengths[at] = past.creator, past.sound, past.topic, past.length
        long[at] = np.int32(kinds[at] == _LONG)
        all_long += long[at]
        milliseconds += long[at] * past.duration
        if at >= count - recent:
            recent_long += long[at]
    viewer_share = (256 * all_long + 240) // (count + 3)
    viewer_recent = (256 * recent_long + 240) // (recent + 3)
    mean_length = _log(milliseconds // all_long // 100) if all_long > 0 else 0
    keys, places = _places(near_best)
    first_recent = count - recent
    for at in range(rows.size):
        row = rows[at]
        graph = max(graph_long * from_long[at] + graph_other * from_other[at], 0)
        length = np.int32(row.length)
        its_creator, its_sound, its_topic = row.creator, row.sound, row.topic
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
        slot = _slot(keys, videos[at])
        columns[0, at] = _log(graph)
        columns[1, at] = _log(graph * np.int64(row.trend) >> 8)
        columns[2, at] = min(places[slot] - 1, 255) if keys[slot] >= 0 else 255
        columns[3, at] = _log(max(from_long[at], 0))
        columns[4, at] = _log(max(from_other[at], 0))
        columns[5, at], columns[6, at] = min(by_long, 15), min(by_all - by_long, 15)
        columns[7, at] = min(with_sound, 15)
        columns[8, at] = (256 * on_topic_long + 64) // (all_long + 4)
        columns[9, at] = (256 * on_topic_long + 320) // (on_topic + 4)
        columns[10, at] = on_topic_recent
        columns[11, at] = np.int64(count > 0 and creators[count - 1] == its_creator)
        columns[12, at], columns[13, at], columns[14, at] = row.views, row.longs, row.long_share
        columns[15, at], columns[16, at] = row.longs_1h, row.longs_6h
        columns[17, at], columns[18, at] = row.longs_24h, row.longs_week
        columns[19, at], columns[20, at], columns[21, at] = row.views_24h, row.log_trend, row.share_24h
        columns[22, at] = _log(max(hour - np.int64(row.hour), 0))
        columns[23, at] = length
        columns[27, at] = (256 * near_long + 240) // (near + 3)
    columns[24, :] = min(count, 255)
    columns[25, :], columns[26, :] = viewer_share, viewer_recent
    columns[28, :] = mean_length
    columns[29, :], columns[30, :] = hour % 24, tab
