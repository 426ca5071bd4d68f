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
