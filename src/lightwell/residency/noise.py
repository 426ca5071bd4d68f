"""Exact noise for counts: discrete Laplace, drawn from the system's randomness by integer arithmetic alone.

Source: Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and
2. Floating-point samplers leak through their low bits (Mironov 2012); whole numbers have none.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from fractions import Fraction

Below = Callable[[int], int]
"""A uniform whole number from 0 up to, and without, its argument."""


def discrete_laplace(scale: Fraction, below: Below = secrets.randbelow) -> int:
    """Draw a whole number n with probability proportional to exp(-|n| / scale).

    Added to counts that one person changes by at most d in all, it gives epsilon d / scale.

    Args:
        scale: above 0.
        below: where randomness comes from.

    Raises:
        ValueError: the scale is not above 0.
    """
    if scale <= 0:
        raise ValueError("the scale of noise is above 0")
    t, s = scale.numerator, scale.denominator
    while True:
        part = below(t)
        if not _happens(Fraction(part, t), below):
            continue
        whole = 0
        while _happens(Fraction(1), below):
            whole += 1
        size = (part + t * whole) // s
        negative = below(2) == 1
        # Nothing is both 0 and negative, or 0 would come twice as often as it should.
        if not (negative and size == 0):
            return -size if negative else size


def _happens(gamma: Fraction, below: Below) -> bool:
    """Say yes with probability exp(-gamma), for gamma from 0 to 1: an alternating series of coin flips."""
    k = 1
    while below(gamma.denominator * k) < gamma.numerator:
        k += 1
    return k % 2 == 1
