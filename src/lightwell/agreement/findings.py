"""What a check found, and how it says so."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MET: Final = "met"
BREACHED: Final = "breached"
NO_EVIDENCE: Final = "no evidence"


class Finding(Struct, frozen=True):
    """The outcome of one check, its sentence, and the entries it rests on."""

    status: Literal["met", "breached", "no evidence"]
    why: str
    entries: list[int]


class Breaches:
    """Collects what entries break, and says it in one sentence."""

    def __init__(self) -> None:
        self._found: list[tuple[int, str]] = []

    def add(self, index: int, what: str) -> None:
        """Note that entry `index` shows `what`, a clause without a full stop."""
        self._found.append((index, what))

    def finding(self) -> Finding | None:
        """Give the breach as a finding: the first in words, the rest as a count; None if there is none."""
        if not self._found:
            return None
        found = sorted(self._found, key=lambda each: each[0])
        index, what = found[0]
        entries = sorted({index for index, _ in found})
        others = (
            f" {counted(len(entries) - 1, 'more entry', 'more entries')} too." if len(entries) > 1 else ""
        )
        return Finding(BREACHED, f"Entry {index}: {what}.{others}", entries)


def counted(number: int, one: str, many: str = "") -> str:
    """Say a number with its noun: `1 slate`, `2 slates`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
