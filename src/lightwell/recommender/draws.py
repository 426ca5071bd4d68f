"""Seeded draws by the counter-based generator Philox4x64-10: a number is a function of key and counter alone.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). Written out here, and not taken from
numpy, because numpy's constructor reads the system's entropy even when it is given a key. The output equals
that of `numpy.random.Philox(key=key, counter=counter).random_raw(count)`, which a test holds it to.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender import kernels

EXPLORE: Final = 1
PROMOTION: Final = 2
HOLDBACK: Final = 3
LOT: Final = 4

_WORD: Final = (1 << 64) - 1
_MULTIPLIERS: Final = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL: Final = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def draw(seed: str, purpose: int, count: int) -> list[int]:
    """Give `count` integers in 0..2^64-1.

    Args:
        seed: 32 hex characters, the 128-bit key.
        purpose: EXPLORE, PROMOTION, HOLDBACK or LOT; it fills the counter's top 64
            bits, so that uses never share numbers.
        count: how many.
    """
    found: list[int] = raw_draws(seed, purpose, count).tolist()
    return found


def raw_draws(seed: str, purpose: int, count: int) -> NDArray[np.uint64]:
    """As `draw`, in an array of shape (count,)."""
    key = int(seed, 16)
    found: NDArray[np.uint64] = kernels.choose.draw(key & _WORD, key >> 64, purpose, count)
    return found


def below(raw: int, limit: int) -> int:
    """Map a draw to 0..limit-1 by its high bits."""
    return raw * limit >> 64


def philox(key: int, counter: int, count: int) -> list[int]:
    """Raw output for a 128-bit key; like numpy, the first block is that of counter + 1.

    The kernel behind `draw` gives the same for a counter of zeros below its top word: a test holds it to
    this.
    """
    found: list[int] = []
    while len(found) < count:
        counter += 1
        found += _block(key, counter)
    return found[:count]


def _block(key: int, counter: int) -> tuple[int, int, int, int]:
    a, b, c, d = (counter >> shift & _WORD for shift in (0, 64, 128, 192))
    low_key, high_key = key & _WORD, key >> 64
    for _ in range(10):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b = (second >> 64) ^ b ^ low_key, second & _WORD
        c, d = (first >> 64) ^ d ^ high_key, first & _WORD
        low_key, high_key = (low_key + _WEYL[0]) & _WORD, (high_key + _WEYL[1]) & _WORD
    return a, b, c, d
