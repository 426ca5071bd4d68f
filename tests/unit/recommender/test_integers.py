"""Array arithmetic equals the exact arithmetic of Python integers."""

import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
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


@given(st.lists(st.tuples(st.integers(0, 20), small)))
def test_sums_by_key_are_those_of_a_counter(rows: list[tuple[int, int]]) -> None:
    expected: Counter[int] = Counter()
    for key, value in rows:
        expected[key] += value
    keys, sums = integers.sum_by_key(as_ints([k for k, _ in rows]), as_ints([v for _, v in rows]))
    assert dict(zip(keys.tolist(), sums.tolist(), strict=True)) == dict(expected)
    assert keys.tolist() == sorted(expected)


@given(st.lists(st.tuples(st.integers(0, 2**40 - 1) | st.integers(0, 9), st.integers(0, 2**20 - 1))))
def test_packed_sums_equal_plain_ones(rows: list[tuple[int, int]]) -> None:
    keys, values = as_ints([k for k, _ in rows]), as_ints([v for _, v in rows])
    for one, other in zip(
        integers.sum_small_by_key(keys, values), integers.sum_by_key(keys, values), strict=True
    ):
        assert one.tolist() == other.tolist()


@given(st.lists(st.integers(-(2**30) + 1, 2**30 - 1)))
def test_best_first_breaks_ties_by_position(values: list[int]) -> None:
    expected = sorted(range(len(values)), key=lambda at: (-values[at], at))
    assert integers.best_first(as_ints(values)).tolist() == expected


@given(st.lists(small), st.lists(small))
def test_membership_is_that_of_a_set(members: list[int], wanted: list[int]) -> None:
    found = integers.among(integers.distinct(as_ints(members)), as_ints(wanted))
    assert found.tolist() == [value in set(members) for value in wanted]


@given(st.lists(st.lists(small, max_size=5), min_size=1), st.data(), st.none() | st.integers(0, 4))
def test_walking_rows_meets_the_head_of_each_in_order(
    table: list[list[int]], data: st.DataObject, most: int | None
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(table) - 1)))
    starts = as_ints([0, *(len(row) for row in table)]).cumsum()
    flat = as_ints([value for row in table for value in row])
    owner, at = integers.spread(starts, as_ints(rows), most)
    expected = [(i, value) for i, row in enumerate(rows) for value in table[row][:most]]
    assert list(zip(owner.tolist(), flat[at].tolist(), strict=True)) == expected
    assert owner.dtype == np.int64
