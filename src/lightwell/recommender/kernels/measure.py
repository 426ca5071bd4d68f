"""Measuring: what a viewer's past says about creators, sounds and hashtags, and so about each candidate."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import FACT_ROWS, I2S, I4S, I8, I8S, U8S, inner, kernel

Array = NDArray[Any]

# Rows of what `signals` gives.
GRAPH, CREATOR, SOUND, TAG_BEST, TAG_WORST, RISE, FINISH = range(7)
SIGNALS = 7

# Kinds of watched videos in a history.
HIDDEN, OTHER, LONG = range(3)


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
def _slot(keys: Array, key: int) -> int:
    """Where a key stands, or would, in an open table of a power of two places; -1 is an empty place."""
    mask = keys.size - 1
    at = ((np.int64(key) * 2_654_435_761) >> 15) & mask
    while keys[at] != key and keys[at] != -1:
        at = (at + 1) & mask
    return at


@inner
def _table(count: int) -> Array:
    """An open table with room for so many keys and as many empty places."""
    size = 8
    while size < 2 * count:
        size *= 2
    return np.full(size, -1, dtype=np.int32)


@inner
def _held(keys: Array, sums: Array, key: int) -> int:
    """The sum of a key, 0 where the table does not hold it."""
    if key < 0:
        return 0
    at = _slot(keys, key)
    return sums[at] if keys[at] == key else 0


@kernel(I4S, I8S, I4S, I4S, I8)
def history(watched: Array, strength: Array, likes: Array, hides: Array, finish: int) -> tuple[Array, Array]:
    """The videos watched, each once at its latest place, the newest last, and the kind of each.

    Args:
        watched, strength: positions and strengths, the newest last.
        likes, hides: positions, ascending.
        finish: the strength from which a watch is long.

    Returns:
        Positions, and LONG where any watch was long or the video is liked, HIDDEN where it is hidden instead,
        OTHER for the rest.
    """
    videos = np.empty(watched.size, dtype=np.int32)
    kinds = np.empty(watched.size, dtype=np.int32)
    free = watched.size
    for at in range(watched.size - 1, -1, -1):
        video = watched[at]
        place = -1
        for other in range(free, watched.size):
            if videos[other] == video:
                place = other
                break
        if place < 0:
            free -= 1
            place = free
            videos[place] = video
            kinds[place] = HIDDEN if _has(hides, video) else OTHER
            if _has(likes, video):
                kinds[place] = LONG
        if strength[at] >= finish and kinds[place] == OTHER:
            kinds[place] = LONG
    return videos[free:], kinds[free:]


@kernel(I4S, I8S, I8S, I4S, I4S, I8, I8, I8)
def evidence(
    watched: Array,
    strength: Array,
    recency: Array,
    likes: Array,
    hides: Array,
    neutral: int,
    like: int,
    hide: int,
) -> tuple[Array, Array]:
    """What a viewer's past says of videos: watches above or below neutral, likes for, hides against.

    Args:
        watched, strength, recency: positions, 0..255, and what is left of each in 65536ths; newest last.
        likes, hides: positions, ascending. A like fades as the newest watch of its video does, or as the
            oldest watch of all if there is none of it.
        neutral, like, hide: of the policy.

    Returns:
        The videos, and what is said of each, shape (n,).
    """
    size = watched.size + likes.size + hides.size
    videos, values = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int64)
    for at in range(watched.size):
        videos[at] = watched[at]
        values[at] = (strength[at] - neutral) * recency[at] >> 16
    for at in range(likes.size):
        left = recency[0] if watched.size else np.int64(1 << 16)
        for past in range(watched.size - 1, -1, -1):
            if watched[past] == likes[at]:
                left = recency[past]
                break
        videos[watched.size + at] = likes[at]
        values[watched.size + at] = like * left >> 16
    for at in range(hides.size):
        videos[watched.size + likes.size + at] = hides[at]
        values[watched.size + likes.size + at] = -hide
    return videos, values


@inner
def _add(keys: Array, sums: Array, key: int, value: int) -> None:
    """Add to the sum of a key; below 0 there is none."""
    if key >= 0:
        slot = _slot(keys, key)
        keys[slot] = key
        sums[slot] += value


@kernel(FACT_ROWS, I8S, I4S, I2S, I4S, I8S)
def tastes(
    facts: Array, starts: Array, tag: Array, rarity: Array, videos: Array, values: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Sum what is said of videos by their creators, sounds and hashtags.

    Args:
        facts, starts, tag: of every video; where its hashtags begin, and their numbers.
        rarity: by hashtag: one that most videos carry says little and counts little.
        videos, values: from `evidence`.

    Returns:
        Three open tables, each as its keys, -1 where empty, and the sum of each.
    """
    count = 0
    for at in range(videos.size):
        count += starts[videos[at] + 1] - starts[videos[at]]
    creators, sounds, tags = _table(videos.size), _table(videos.size), _table(count)
    of_creators = np.zeros(creators.size, dtype=np.int64)
    of_sounds = np.zeros(sounds.size, dtype=np.int64)
    of_tags = np.zeros(tags.size, dtype=np.int64)
    for at in range(videos.size):
        row = facts[videos[at]]
        _add(creators, of_creators, row.creator, values[at])
        _add(sounds, of_sounds, row.sound, values[at])
        for place in range(starts[videos[at]], starts[videos[at] + 1]):
            _add(tags, of_tags, tag[place], values[at])
    for slot in range(tags.size):
        if tags[slot] >= 0:
            of_tags[slot] = of_tags[slot] * rarity[tags[slot]] // 256
    return creators, of_creators, sounds, of_sounds, tags, of_tags


@kernel(I4S, I8S, I8)
def liked_best(keys: Array, sums: Array, most: int) -> Array:
    """The numbers with the largest positive sums, at most so many, ties by number; given ascending."""
    best = np.empty(most, dtype=np.int32)
    worth = np.empty(most, dtype=np.int64)
    size = 0
    for slot in range(keys.size if most > 0 else 0):
        key, value = keys[slot], sums[slot]
        if key < 0 or value <= 0:
            continue
        at = size
        while at > 0 and (worth[at - 1] < value or (worth[at - 1] == value and best[at - 1] > key)):
            at -= 1
        if at >= most:
            continue
        if size < most:
            size += 1
        for place in range(size - 1, at, -1):
            best[place], worth[place] = best[place - 1], worth[place - 1]
        best[at], worth[at] = key, value
    for end in range(1, size):
        key, at = best[end], end
        while at > 0 and best[at - 1] > key:
            best[at] = best[at - 1]
            at -= 1
        best[at] = key
    return best[:size]


@kernel(FACT_ROWS, I8, I8, I8)
def young(rows: Array, hour: int, hours: int, most: int) -> Array:
    """Points for being young, by candidate: by an even slope from `most` down to nothing after some hours.

    Args:
        rows: facts of the candidates. hour: whole hours since 1970.
    """
    points = np.empty(rows.size, dtype=np.int64)
    for at in range(rows.size):
        age = max(hour - np.int64(rows[at].hour), 0)
        points[at] = max(hours - age, 0) * most // hours
    return points


@kernel(FACT_ROWS, I4S, I8S, I8S, I4S, I4S, I8S, I4S, I8S, I4S, I8S)
def signals(
    rows: Array,
    videos: Array,
    graph: Array,
    tag_starts: Array,
    tag: Array,
    creator_keys: Array,
    creator_sums: Array,
    sound_keys: Array,
    sound_sums: Array,
    tag_keys: Array,
    tag_sums: Array,
) -> Array:
    """What is known of each candidate for this viewer, shape (SIGNALS, n): see the names of the rows.

    Args:
        rows, videos: facts and positions of the candidates.
        graph: by candidate, the weighted sum of edges from what was watched.
        tag_starts, tag: the snapshot's.
        *_keys, *_sums: from `tastes`.
    """
    found = np.empty((SIGNALS, videos.size), dtype=np.int64)
    for at in range(videos.size):
        video, row = videos[at], rows[at]
        found[GRAPH, at] = max(graph[at], 0)
        found[CREATOR, at] = _held(creator_keys, creator_sums, row.creator)
        found[SOUND, at] = _held(sound_keys, sound_sums, row.sound)
        best, worst = np.int64(0), np.int64(0)
        for place in range(tag_starts[video], tag_starts[video + 1]):
            liking = _held(tag_keys, tag_sums, tag[place])
            best, worst = max(best, liking), min(worst, liking)
        found[TAG_BEST, at], found[TAG_WORST, at] = best, worst
        found[RISE, at], found[FINISH, at] = row.rise, row.finish
    return found


@kernel(I4S, I4S, I8S, I4S, I4S, I8S, I4S, I8S, I4S, I8S, U8S, I8)
def akin(
    creator: Array,
    sound: Array,
    tag_starts: Array,
    tag: Array,
    creator_keys: Array,
    creator_sums: Array,
    sound_keys: Array,
    sound_sums: Array,
    tag_keys: Array,
    tag_sums: Array,
    ids: Array,
    most: int,
) -> Array:
    """Of some videos, given side by side, those whose creator, sound and best hashtag are liked most in all.

    Returns:
        Which of them, the most liked first, ties by id; only those liked at all.
    """
    best = np.empty(most, dtype=np.int32)
    worth = np.empty(most, dtype=np.int64)
    size = 0
    for video in range(ids.size if most > 0 else 0):
        liking = np.int64(0)
        for place in range(tag_starts[video], tag_starts[video + 1]):
            liking = max(liking, _held(tag_keys, tag_sums, tag[place]))
        liking += _held(creator_keys, creator_sums, creator[video])
        liking += _held(sound_keys, sound_sums, sound[video])
        if liking <= 0 or (size == most and worth[size - 1] > liking):
            continue
        at = size
        while at > 0 and (
            worth[at - 1] < liking or (worth[at - 1] == liking and ids[best[at - 1]] > ids[video])
        ):
            at -= 1
        if at >= most:
            continue
        size = min(size + 1, most)
        for place in range(size - 1, at, -1):
            best[place], worth[place] = best[place - 1], worth[place - 1]
        best[at], worth[at] = video, liking
    return best[:size]
