"""Which videos were taken back, and by which entry: a record leaves out these as withdrawn, and no others."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Final

import msgspec

from lightwell.wire import commitment
from lightwell.wire.entries import SlateServed, VideoWithdrawn, withdrawal_digest

LATE_SECONDS: Final = 120
"""After so long no slate may hold a withdrawn video: a minute to act, and times are cut to the minute."""
BATCH_ENTRIES: Final = 8_192
"""Where a cell shuffles batches, entries of one may stand in any order; a batch has at most so many."""


class OpenedWithdrawal(msgspec.Struct, frozen=True):
    """What the cell says opens a `VideoWithdrawn` entry: commitment and opening in hex, the video by id."""

    commitment: str
    video: str
    opening: str


class Withdrawals:
    """The withdrawals of one ledger, as far as it was followed.

    Args:
        shuffled: the cell shuffles the entries of a batch, so that "before" means "at most a batch later".
    """

    def __init__(self, *, shuffled: bool = False) -> None:
        self._span = BATCH_ENTRIES if shuffled else 0
        self._taken_back: dict[str, tuple[int, int]] = {}
        self._unopened: list[int] = []
        self.size = 0
        """How many entries of the ledger were looked at."""

    @property
    def unopened(self) -> list[int]:
        """Indices of withdrawals that the cell does not open, ascending."""
        return list(self._unopened)

    def take(
        self, entries: Iterable[tuple[int, VideoWithdrawn]], opened: Iterable[OpenedWithdrawal], size: int
    ) -> None:
        """Take further entries of the ledger.

        Args:
            entries: the withdrawals among them, with their indices, in order.
            opened: what the cell says of these; what opens no entry counts for nothing.
            size: up to which index the ledger was looked through.
        """
        said = {one.commitment: one for one in opened}
        for index, entry in entries:
            found = said.get(entry.commitment)
            if found is None or not _opens(entry, found):
                bisect.insort(self._unopened, index)
            else:
                self._taken_back.setdefault(found.video, (index, entry.at))
        self.size = max(self.size, size)

    def stands_before(self, video: str, slate: int) -> bool:
        """Say whether an entry takes a video back before the slate at an index was served."""
        found = self._taken_back.get(video)
        return found is not None and found[0] < slate + self._span

    def is_over(self, video: str, slate: int, served: SlateServed) -> bool:
        """Say whether a video was taken back so long before a slate that it may not be in it."""
        found = self._taken_back.get(video)
        return found is not None and found[0] < slate and found[1] + LATE_SECONDS <= served.at


def _opens(entry: VideoWithdrawn, found: OpenedWithdrawal) -> bool:
    try:
        opening = bytes.fromhex(found.opening)
    except ValueError:
        return False
    digest = withdrawal_digest(found.video)
    return commitment.opens(bytes.fromhex(entry.commitment), "withdrawal", opening, digest)
