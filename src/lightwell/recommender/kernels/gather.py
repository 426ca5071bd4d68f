"""Finding videos: by id, along the item graph, by creator, sound or hashtag; and the best of those found."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import (
    I1S,
    I4S,
    I8,
    I8S,
    TO_I4S,
    U2S,
    U8S,
    inner,
    kernel,
)

Array = NDArray[Any]

_STEPS: Final = 2048


@kernel(U8S, I8, I4S, U8S)
def find(ids: Array, base_size: int, added: Array, wanted: Array) -> Array:
    """Positions of wanted ids, -1 where there is none.

    Args:
        ids: by position; the first `base_size` ascend.
        added: positions of the rest, ascending by id.
        wanted: shape (n,), in any order.
    """
    found = np.empty(wanted.size, dtype=np.int32)
    for at in range(wanted.size):
        target = wanted[at]
        low, high = np.int64(0), base_size
        while low < high:
            middle = (low + high) >> 1
            if ids[middle] < target:
                low = middle + 1
            else:
                high = middle
        if low < base_size and ids[low] == target:
            found[at] = low
            continue
        low, high = np.int64(0), np.int64(added.size)
        while low < high:
            middle = (low + high) >> 1
            if ids[added[middle]] < target:
                low = middle + 1
            else:
                high = middle
        found[at] = added[low] if low < added.size and ids[added[low]] == target else -1
    return found


@kernel(I8S, I8, I4S, I8)
def room_for(starts: Array, base_size: int, videos: Array, most: int) -> int:
    """How many places `sum_neighbours` needs: a power of two, more by a quarter than videos can be met."""
    edges = np.int64(0)
    for at in range(videos.size):
        if videos[at] < base_size:
            edges += starts[videos[at] + 1] - starts[videos[at]]
    wanted, room = min(edges, most), np.int64(8)
    while room < wanted + wanted // 4 + 1:
        room *= 2
    return room


@inner
def _slot(table: Array, mask: int, video: int) -> int:
    """Where in an open table of two numbers a place a video stands, or would."""
    at = ((np.int64(video) * 2_654_435_761) >> 12) & mask
    while table[2 * at] != video + 1 and table[2 * at] != 0:
        at = (at + 1) & mask
    return 2 * at


@inner
def _long(sums: int) -> int:
    """The lower of two sums kept in one number, with its sign."""
    return np.int64(np.int16(sums & 0xFFFF))


@inner
def _other(sums: int) -> int:
    """The upper of two sums kept in one number: what is left without the lower."""
    return (np.int64(sums) - _long(sums)) >> 16


@kernel(I8S, I4S, I1S, I8, I4S, I4S, I8, TO_I4S)
def sum_neighbours(
    starts: Array,
    near: Array,
    weight: Array,
    base_size: int,
    videos: Array,
    kinds: Array,
    room: int,
    table: Array,
) -> Array:
    """Add up weights over the edges out of some videos, apart for those watched long and for others.

    Args:
        starts, near, weight: the graph of the first `base_size` videos; of each, its neighbours are distinct.
        videos, kinds: where to start, at most 256, from `measure.history`; hidden videos lead nowhere.
        room: from `room_for`.
        table: at least 2 * room numbers, all zero; afterwards an open table: a video met, plus 1, and its two
            sums, that from others in the upper half. Each sum fits 16 bits, being of 256 weights of 7 bits.
            The table is small, so that it stays near the processor whatever the size of the catalogue.

    Returns:
        Where in the table each video met stands.
    """
    met = np.empty(room, dtype=np.int32)
    # A look at each line of memory first: they are then waited for together, not one after the other.
    looked = np.int32(0)
    for at in range(videos.size):
        if videos[at] < base_size and kinds[at] != 0:
            for edge in range(starts[videos[at]], starts[videos[at] + 1], 16):
                looked ^= near[edge] ^ np.int32(weight[edge])
    met[0] = looked
    count = 0
    for at in range(videos.size):
        if videos[at] >= base_size or kinds[at] == 0:
            continue
        one = np.int32(1) if kinds[at] == 2 else np.int32(1 << 16)
        for edge in range(starts[videos[at]], starts[videos[at] + 1]):
            slot = _slot(table, room - 1, near[edge])
            if table[slot] == 0:
                table[slot] = near[edge] + 1
                met[count] = slot
                count += 1
            table[slot + 1] += one * np.int32(weight[edge])
    return met[:count]


@kernel(I4S, I8, I4S)
def sums_of(table: Array, room: int, videos: Array) -> tuple[Array, Array]:
    """The sums of some videos, from long watches and from others; zero for those not met."""
    long, other = np.zeros(videos.size, dtype=np.int64), np.zeros(videos.size, dtype=np.int64)
    for at in range(videos.size):
        slot = _slot(table, room - 1, videos[at])
        if table[slot]:
            long[at], other[at] = _long(table[slot + 1]), _other(table[slot + 1])
    return long, other


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
def _below(score: int, video: int, other_score: int, other: int, ids: Array) -> bool:
    """Whether the first is the worse of two: the lower score, or of equal ones the larger id."""
    if score != other_score:
        return score < other_score
    return ids[video] > ids[other]


@inner
def _sink(scores: Array, videos: Array, size: int, ids: Array) -> None:
    """Let the root of a heap, whose worst stands at the root, sink to its place."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and _below(
            scores[child + 1], videos[child + 1], scores[child], videos[child], ids
        ):
            child += 1
        if not _below(scores[child], videos[child], scores[at], videos[at], ids):
            return
        scores[child], scores[at] = scores[at], scores[child]
        videos[child], videos[at] = videos[at], videos[child]
        at = child


@inner
def _rise(scores: Array, videos: Array, at: int, ids: Array) -> None:
    """Let the last of a heap rise to its place."""
    while at > 0:
        parent = (at - 1) >> 1
        if not _below(scores[at], videos[at], scores[parent], videos[parent], ids):
            return
        scores[parent], scores[at] = scores[at], scores[parent]
        videos[parent], videos[at] = videos[at], videos[parent]
        at = parent


@inner
def _sorted(scores: Array, videos: Array, size: int, ids: Array) -> Array:
    """The videos of a heap, best first."""
    order = np.empty(size, dtype=np.int32)
    for left in range(size, 0, -1):
        order[left - 1] = videos[0]
        scores[0], videos[0] = scores[left - 1], videos[left - 1]
        _sink(scores, videos, left - 1, ids)
    return order


@inner
def _least(worth: Array, largest: int, wanted: int) -> int:
    """A positive number that so many values reach, or all positive ones do: fewer are then sorted."""
    shift = 0
    while largest >> shift >= _STEPS:
        shift += 1
    counts = np.zeros(_STEPS, dtype=np.int64)
    for at in range(worth.size):
        if worth[at] > 0:
            counts[worth[at] >> shift] += 1
    step, reached = _STEPS - 1, counts[_STEPS - 1]
    while step > 0 and reached < wanted:
        step -= 1
        reached += counts[step]
    return max(np.int64(step) << shift, np.int64(1))


@kernel(I4S, I4S, I8, I8, U2S, U8S, U8S, I8)
def best_neighbours(
    met: Array, table: Array, long: int, other: int, trend: Array, ids: Array, skip: Array, most: int
) -> Array:
    """The videos met with the largest positive sum times trend, in 256ths; best first, ties by id.

    Args:
        met, table: from `sum_neighbours`.
        long, other: what edges from long and from other watches count.
        trend, ids: by position.
        skip: ids not to give, ascending.
        most: how many.
    """
    scores = np.empty(most, dtype=np.int64)
    videos = np.empty(most, dtype=np.int32)
    size = 0
    # Two passes: in the first, nothing keeps the processor from waiting for many videos at once.
    worth = np.empty(met.size, dtype=np.int64)
    largest = np.int64(0)
    for at in range(met.size):
        slot = met[at]
        score = long * _long(table[slot + 1]) + other * _other(table[slot + 1])
        worth[at] = score * np.int64(trend[np.uint32(table[slot] - 1)]) >> 8
        largest = max(largest, worth[at])
    least = _least(worth, largest, most + skip.size)
    high, count = np.empty(met.size, dtype=np.int32), 0
    for at in range(met.size if most > 0 else 0):
        if worth[at] >= least:
            high[count] = at
            count += 1
    known = np.empty(count, dtype=np.uint64)
    for at in range(count):
        known[at] = ids[table[met[high[at]]] - 1]
    for place in range(count):
        video, score = np.int32(table[met[high[place]]] - 1), worth[high[place]]
        if size == most and not _below(scores[0], videos[0], score, video, ids):
            continue
        if _has(skip, known[place]):
            continue
        if size < most:
            scores[size], videos[size] = score, video
            _rise(scores, videos, size, ids)
            size += 1
        else:
            scores[0], videos[0] = score, video
            _sink(scores, videos, size, ids)
    return _sorted(scores, videos, size, ids)


@kernel(I4S, I8S, U8S, I8)
def best(videos: Array, given: Array, ids: Array, most: int) -> Array:
    """The videos with the largest scores; best first, ties by id.

    Args:
        videos, given: positions and their scores, shape (n,).
        ids: by position.
        most: how many.
    """
    scores = np.empty(most, dtype=np.int64)
    kept = np.empty(most, dtype=np.int32)
    size = 0
    for at in range(videos.size if most > 0 else 0):
        if size < most:
            scores[size], kept[size] = given[at], videos[at]
            _rise(scores, kept, size, ids)
            size += 1
        elif _below(scores[0], kept[0], given[at], videos[at], ids):
            scores[0], kept[0] = given[at], videos[at]
            _sink(scores, kept, size, ids)
    return _sorted(scores, kept, size, ids)


@inner
def _heads(
    starts: Array, members: Array, rows: Array, most: int, ids: Array, skip: Array, found: Array, count: int
) -> int:
    """Add the newest of each list, at most so many, without those to skip; how many there are then."""
    for at in range(rows.size):
        left = most if rows[at] < starts.size - 1 else 0
        member = starts[rows[at]] if left else 0
        while left > 0 and member < starts[rows[at] + 1]:
            if not _has(skip, ids[members[member]]):
                found[count] = members[member]
                count += 1
                left -= 1
            member += 1
    return count


@inner
def _room(starts: Array, rows: Array, most: int) -> int:
    """How many videos the heads of some lists have at most."""
    count = 0
    for at in range(rows.size):
        if rows[at] < starts.size - 1:
            count += min(starts[rows[at] + 1] - starts[rows[at]], most)
    return count


@kernel(I8S, I4S, I4S, I8, I8, I4S, U8S, U8S)
def of_rows(
    starts: Array,
    members: Array,
    rows: Array,
    most: int,
    base_size: int,
    column: Array,
    ids: Array,
    skip: Array,
) -> Array:
    """The newest videos of some creators or sounds: the head of each one's list, and all that were added.

    Args:
        starts, members: the videos of each row among the first `base_size`, newest first.
        rows: ascending.
        most: how many of each list.
        column: the row of every video; those from `base_size` on stand in no list and are looked through.
        ids: by position.
        skip: ids that a list's head is not to be filled with, ascending.
    """
    found = np.empty(_room(starts, rows, most) + column.size - base_size, dtype=np.int32)
    count = 0
    if rows.size:
        for video in range(base_size, column.size):
            if _has(rows, column[video]):
                found[count] = video
                count += 1
    return found[: _heads(starts, members, rows, most, ids, skip, found, count)]


@kernel(I8S, I4S, I4S, I8, I8, I8S, I4S, U8S, U8S)
def of_tags(
    starts: Array, members: Array, rows: Array, most: int, base_size: int, tag_starts: Array, tag: Array,
    ids: Array, skip: Array,
) -> Array:  # fmt: skip
    """The newest videos with some hashtags; as `of_rows`, for videos that have several."""
    videos = tag_starts.size - 1
    found = np.empty(_room(starts, rows, most) + videos - base_size, dtype=np.int32)
    count = 0
    if rows.size:
        for video in range(base_size, videos):
            for place in range(tag_starts[video], tag_starts[video + 1]):
                if _has(rows, tag[place]):
                    found[count] = video
                    count += 1
                    break
    return found[: _heads(starts, members, rows, most, ids, skip, found, count)]


@kernel(I4S, TO_I4S)
def clear(met: Array, table: Array) -> None:
    """Set the places met back to zero, for the next request."""
    for at in range(met.size):
        table[met[at]] = table[met[at] + 1] = 0


@kernel(U8S, U8S)
def among_ids(members: Array, wanted: Array) -> Array:
    """Which wanted ids are among the members, which ascend."""
    mask = np.empty(wanted.size, dtype=np.bool_)
    for at in range(wanted.size):
        mask[at] = _has(members, wanted[at])
    return mask


@kernel(I4S, I4S)
def among(members: Array, wanted: Array) -> Array:
    """Which wanted numbers are among the members, which ascend."""
    mask = np.empty(wanted.size, dtype=np.bool_)
    for at in range(wanted.size):
        mask[at] = _has(members, wanted[at])
    return mask
