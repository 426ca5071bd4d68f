"""Parts of a fit that know nothing of each other: whoever fits decides which processes work on them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Spread(Protocol):
    """Works on parts, in whatever order and wherever, and gives their results in the order asked for.

    Each part is worked on alone and its result depends on nothing but the fit's arguments, so a model has the
    same bytes however its parts are spread. The names of all parts of one fit differ.
    """

    def __call__(self, work: Callable[[str], Result], parts: Sequence[str]) -> list[Result]:
        """Return `work(part)` of every part."""
        ...


def in_turn(work: Callable[[str], Result], parts: Sequence[str]) -> list[Result]:
    """Work on one part after another, here."""
    return [work(part) for part in parts]
