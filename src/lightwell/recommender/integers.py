"""Exact integer arithmetic on arrays: the same result on every machine, thread count and instruction set."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ONE = 1 << 16
"""Fixed point one of half-life weights."""


def as_ints(values: Sequence[int]) -> Ints:
    """Make an int64 array of Python integers."""
    return np.array(values, dtype=np.int64)


def isqrt(values: Ints) -> Ints:
    """Floor of the square root of each value (0 <= value < 2^62).

    The IEEE square root is correctly rounded everywhere and at most one off; the corrections make it exact.
    """
    root: Ints = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root


def saturate(values: Ints, half: int, top: int) -> Ints:
    """Bend each value towards `top`: `half` gives half of it, the sign is kept, zero stays zero.

    Args:
        values: signed, absolute value times `top` below 2^63.
        half: the absolute value that earns half of `top` (>= 1).
        top: points never quite reached (>= 0).
    """
    size = np.abs(values)
    bent: Ints = size * top // (size + half) * np.sign(values)
    return bent


def scale(values: Ints, top: int, whole: int) -> Ints:
    """`values * top / whole`, rounded towards zero; absolute values times `top` below 2^63, `whole` >= 1."""
    scaled: Ints = np.abs(values) * top // whole * np.sign(values)
    return scaled


def half_life_table(half: int, length: int) -> Ints:
    """Weights floor(2^16 * 2^(-i/half)) for i in 0..length-1, found without floats.

    Args:
        half: steps after which the weight has halved (>= 1).
        length: number of entries.
    """
    first = []
    for step in range(half):
        # The largest x with x^half <= 2^(16*half - step): an exact root, by bisection.
        power = 1 << (16 * half - step)
        low, high = 0, ONE
        while low < high:
            middle = (low + high + 1) // 2
            if middle**half <= power:
                low = middle
            else:
                high = middle - 1
        first.append(low)
    return as_ints([first[i % half] >> min(i // half, 63) for i in range(length)])


def sum_by_key(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Add up the values of equal keys.

    Args:
        keys: any integers, shape (n,).
        values: shape (n,), sums within int64.

    Returns:
        The distinct keys, ascending, and the sum of each.
    """
    if not keys.size:
        return keys, values
    order = keys.argsort(kind="stable")
    ordered = keys[order]
    starts = _run_starts(ordered)
    return ordered[starts], np.add.reduceat(values[order], starts)


def sum_small_by_key(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """`sum_by_key` for keys in 0..2^40-1 and values in 0..2^20-1: one sort of packed integers, so quicker."""
    if not keys.size:
        return keys, values
    packed = np.sort((keys << 20) | values)
    ordered = packed >> 20
    starts = _run_starts(ordered)
    return ordered[starts], np.add.reduceat(packed & 0xFFFFF, starts)


def _run_starts(ordered: Ints) -> Ints:
    """Positions where a new value begins in a sorted array of at least one element."""
    change = np.empty(ordered.size, dtype=np.bool_)
    change[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=change[1:])
    starts: Ints = change.nonzero()[0]
    return starts


def distinct(values: Ints) -> Ints:
    """The distinct values, ascending."""
    if not values.size:
        return values
    ordered = np.sort(values)
    return ordered[_run_starts(ordered)]


def look_up(keys: Ints, sums: Ints, wanted: NDArray[np.int64] | NDArray[np.int32]) -> Ints:
    """The sum of each wanted key, zero where it is not among `keys` (ascending, distinct)."""
    if not keys.size:
        return np.zeros(wanted.shape, dtype=np.int64)
    at = keys.searchsorted(wanted)
    at[at == keys.size] = 0
    return np.where(keys[at] == wanted, sums[at], 0)


def among(sorted_members: Ints, wanted: Ints) -> Mask:
    """Which of `wanted` are in `sorted_members` (ascending)."""
    if not sorted_members.size:
        return np.zeros(wanted.shape, dtype=np.bool_)
    at = sorted_members.searchsorted(wanted)
    at[at == sorted_members.size] = 0
    found: Mask = sorted_members[at] == wanted
    return found


def best_first(values: Ints) -> Ints:
    """Positions from the largest value to the smallest, equal values by position.

    Args:
        values: absolute values below 2^30, at most 2^32 of them. Packing value and position into one
            distinct integer makes the order independent of the sorting algorithm.
    """
    packed = np.sort(((1 << 30) - values << 32) | np.arange(values.size, dtype=np.int64))
    return packed & 0xFFFFFFFF


def spread(starts: NDArray[np.int64], rows: Ints, most: int | None = None) -> tuple[Ints, Ints]:
    """Walk several rows of a compressed table at once.

    Args:
        starts: row starts, shape (number of rows + 1,).
        rows: the rows to walk.
        most: take at most this many from the head of each row.

    Returns:
        For each element met: the position in `rows` it belongs to, and its position in the table.
    """
    begin = starts[rows]
    counts = starts[rows + 1] - begin
    if most is not None:
        counts = np.minimum(counts, most)
    owner = np.arange(rows.size, dtype=np.int64).repeat(counts)
    before = counts.cumsum() - counts
    return owner, np.arange(owner.size, dtype=np.int64) + (begin - before)[owner]
