"""Candidates: what the sources found merged with its facts, and what may not be shown sifted out."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import (
    B1S,
    FACT_ROWS,
    I4S,
    I8,
    I8S,
    TO_FACT_ROWS,
    U8S,
    inner,
    kernel,
)

Array = NDArray[Any]


@inner
def _slot(table: Array, mask: int, video: int) -> int:
    """Where in an open table of two numbers a place a video stands, or would."""
    at = ((np.int64(video) * 2_654_435_761) >> 12) & mask
    while table[2 * at] != video + 1 and table[2 * at] != 0:
        at = (at + 1) & mask
    return 2 * at


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


@kernel(I4S, I8S, FACT_ROWS, TO_FACT_ROWS)
def merge(found: Array, ends: Array, facts: Array, rows: Array) -> tuple[Array, Array, int]:
    """Merge what the sources found, ascending by id.

    Args:
        found: positions, source after source.
        ends: where each source's part ends; at most 30 sources.
        facts: of every video.
        rows: as many as `found`; the first are filled with the facts of the videos.

    Returns:
        The videos, each once; by bits which sources found each; how many there are.
    """
    room = np.int64(16)
    while room < 2 * found.size:
        room *= 2
    table = np.zeros(2 * room, dtype=np.int32)
    met = np.empty(found.size, dtype=np.int32)
    count, begin = 0, np.int64(0)
    for source in range(ends.size):
        bit = np.int32(1 << source)
        for at in range(begin, ends[source]):
            slot = _slot(table, room - 1, found[at])
            if table[slot] == 0:
                table[slot] = found[at] + 1
                met[count] = slot
                count += 1
            table[slot + 1] |= bit
        begin = ends[source]
    ids = np.empty(count, dtype=np.uint64)
    for at in range(count):
        ids[at] = facts[table[met[at]] - 1].id
    order = ids.argsort()
    videos, bits = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    for at in range(count):
        slot = met[order[at]]
        videos[at], bits[at] = table[slot] - 1, table[slot + 1]
        rows[at] = facts[videos[at]]
    return videos, bits, count


@kernel(FACT_ROWS, I4S, I4S, U8S, B1S, B1S, U8S, I4S, I4S, I8, U8S, I4S, I8, TO_FACT_ROWS)
def sift(
    rows: Array,
    videos: Array,
    bits: Array,
    withdrawn: Array,
    young: Array,
    away: Array,
    hidden: Array,
    blocked: Array,
    muted: Array,
    own: int,
    seen: Array,
    again: Array,
    asked: int,
    left: Array,
) -> tuple[Array, Array, Array, int]:
    """Find why each candidate may not be shown, the first reason that fits, and keep those with none.

    Args:
        rows, videos, bits: the candidates, from `merge`.
        withdrawn, hidden, seen: ids, ascending.
        young, away: by number of audience, whether the viewer is too young, or in another region.
        blocked, muted: numbers of creators, ascending. own: the viewer's own, -1 for none.
        again: positions of videos seen that may be shown again, ascending.
        asked: a bit for each reason that counts, in their order.
        left: as many as `rows`; the first are filled with those kept.

    Returns:
        By candidate the number of the reason, from 1, 0 for none; videos and bits kept; how many are.
    """
    reasons = np.zeros(rows.size, dtype=np.int8)
    kept, their_bits = np.empty(rows.size, dtype=np.int32), np.empty(rows.size, dtype=np.int32)
    count = 0
    for at in range(rows.size):
        row = rows[at]
        reason = 0
        if asked & 1 and withdrawn.size and _has(withdrawn, row.id):
            reason = 1
        elif asked & 2 and young.size and young[row.audience]:
            reason = 2
        elif asked & 4 and away.size and away[row.audience]:
            reason = 3
        elif asked & 8 and hidden.size and _has(hidden, row.id):
            reason = 4
        elif asked & 16 and blocked.size and _has(blocked, row.creator):
            reason = 5
        elif asked & 32 and muted.size and _has(muted, row.creator):
            reason = 6
        elif asked & 64 and own >= 0 and row.creator == own:
            reason = 7
        elif asked & 128 and seen.size and _has(seen, row.id) and not _has(again, videos[at]):
            reason = 8
        reasons[at] = reason
        if reason == 0:
            kept[count], their_bits[count], left[count] = videos[at], bits[at], row
            count += 1
    return reasons, kept, their_bits, count
