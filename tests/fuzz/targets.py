"""All fuzz targets by name, and one that is all of them."""

from tests.fuzz import ranking, texts, trees
from tests.fuzz.registry import TARGETS, target

__all__ = ["NAMES", "TARGETS", "every", "ranking", "texts", "trees"]

NAMES = list(TARGETS)


@target(
    *(bytes([number]) + seed for number, name in enumerate(NAMES) for seed in TARGETS[name].seeds[:2]),
    share=0,
)
def every(data: bytes) -> None:
    """All of them in one, the first byte saying which: a short run of it touches each."""
    if data:
        TARGETS[NAMES[data[0] % len(NAMES)]].run(data[1:])
