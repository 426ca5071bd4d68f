"""The noise of counts: exactly the distribution it claims, from whole numbers alone."""

import math
import random
from fractions import Fraction

import pytest

from lightwell.residency.noise import discrete_laplace


def exact(number: int, scale: float) -> float:
    """Probability of a number under the discrete Laplace distribution, in closed form."""
    ratio = math.exp(-1 / scale)
    return (1 - ratio) / (1 + ratio) * ratio ** abs(number)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(5, 2), Fraction(10)])
def test_draws_follow_the_closed_form(scale: Fraction) -> None:
    below = random.Random(7).randrange  # seeded, so that the test says the same each time
    draws = 20_000
    counted: dict[int, int] = {}
    for _ in range(draws):
        number = discrete_laplace(scale, below)
        counted[number] = counted.get(number, 0) + 1
    # Pearson's test over the numbers expected at least 20 times; 5 sigma of its distribution is the bound.
    likely = [n for n in range(-200, 201) if draws * exact(n, float(scale)) >= 20]
    expected = {n: draws * exact(n, float(scale)) for n in likely}
    distance = sum((counted.get(n, 0) - expected[n]) ** 2 / expected[n] for n in likely)
    assert distance < len(likely) + 5 * math.sqrt(2 * len(likely))


def test_draws_come_from_the_system_unless_told_otherwise() -> None:
    assert len({discrete_laplace(Fraction(1000)) for _ in range(50)}) > 25


@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1)])
def test_a_scale_that_is_not_above_zero_is_refused(scale: Fraction) -> None:
    with pytest.raises(ValueError, match="above 0"):
        discrete_laplace(scale)
