"""Array arithmetic equals the exact arithmetic of Python integers."""

import math
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lightwell.recommender import integers
from lightwell.recommender.integers import as_ints

small = st.integers(-1000, 1000)


@given(st.lists(st.integers(0, 2**62 - 1), min_size=1))
def test_root_is_the_exact_floor(values: list[int]) -> None:
    assert integers.isqrt(as_ints(values)).tolist() == [math.isqrt(value) for value in values]


@given(st.lists(st.integers(0, 2**31 - 2)))
def test_root_is_exact_beside_perfect_squares(values: list[int]) -> None:
    near = [value * value + step for value in values for step in (-1, 0, 1) if value * value + step >= 0]
    assert integers.isqrt(as_ints(near)).tolist() == [math.isqrt(value) for value in near]


@given(st.lists(st.integers(-(10**9), 10**9)), st.integers(1, 10**7), st.integers(0, 10**4))
def test_saturation_keeps_the_sign_and_stays_below_its_top(values: list[int], half: int, top: int) -> None:
    bent = integers.saturate(as_ints(values), half, top).tolist()
    for value, found in zip(values, bent, strict=True):
        assert found == math.copysign(1, value) * (abs(value) * top // (abs(value) + half))
        assert abs(found) <= top


@given(st.lists(small), st.integers(0, 10**4), st.integers(1, 1000))
def test_scaling_rounds_towards_zero(values: list[int], top: int, whole: int) -> None:
    expected = [math.trunc(Fraction(value * top, whole)) for value in values]
    assert integers.scale(as_ints(values), top, whole).tolist() == expected


@given(st.integers(1, 200))
def test_half_life_halves_after_its_steps(half: int) -> None:
    table = integers.half_life_table(half, 3 * half + 1).tolist()
    assert [table[0], table[half], table[2 * half], table[3 * half]] == [65536, 32768, 16384, 8192]
    assert all(before >= after for before, after in pairwise(table))
    assert all(abs(value - 65536 * 2 ** (-i / half)) < 8 for i, value in enumerate(table))
