"""What entries say about time, held to the order they stand in: none is back-dated, none from the future.

An entry waits in its cell's queue until it is sequenced, for hours if the writer was down, and takes its turn
after those queued before it. So no clock of ours bounds its time from below, not even the moment at which we
first saw the tree before it: what was queued earlier may still come in the next batch. What does bound it is
the newest time in the tree before it. From above, an entry is never later than the moment we read it.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from lightwell.oversight.entry_view import day
from lightwell.oversight.rules import Breach

GRACE_SECONDS: Final = 300
"""Clocks of a cell's processes may differ by so much, and a time cut to the minute lies up to 59 s back."""

_SHOWN: Final = 50


class Latest(msgspec.Struct, frozen=True):
    """The newest time that an entry has stated so far, seconds since the epoch, and its index."""

    at: int
    index: int


def judge(
    times: Iterable[tuple[int, int]],
    latest: Latest | None,
    *,
    read_at: float,
    grace_seconds: float = GRACE_SECONDS,
    shuffled: bool = False,
) -> tuple[Latest | None, list[Breach]]:
    """Judge the times of entries that are new in the tree.

    Args:
        times: (index, time it states in seconds since the epoch) of each new entry that states one, in order.
        latest: the newest time in the tree before; None if none is known.
        read_at: when we read the new tree, seconds since the epoch.
        grace_seconds: what is not held against an entry.
        shuffled: the cell shuffles entries within a batch, and where batches begin is not known: then only
            those of trees we saw before are compared with the new ones.

    Returns:
        The newest time now, and what is broken: one breach for all entries from the future, one for all that
        are dated before the same earlier entry.
    """
    bound, ahead = latest, list[tuple[int, int]]()
    back: dict[Latest, list[tuple[int, int]]] = {}
    for index, at in times:
        if at > read_at + grace_seconds:
            # Not taken as the newest time, or every honest entry after it would seem back-dated.
            ahead.append((index, at))
            continue
        if bound is not None and at < bound.at - grace_seconds:
            back.setdefault(bound, []).append((index, at))
        if latest is None or at > latest.at:
            latest = Latest(at, index)
        if not shuffled:
            bound = latest
    breaches = [_back_dated(before, found) for before, found in back.items()]
    if ahead:
        breaches.append(_from_the_future(ahead, read_at))
    return latest, breaches


def _back_dated(before: Latest, found: list[tuple[int, int]]) -> Breach:
    index, at = found[0]
    return Breach(
        f"back-dated-{before.index}",
        "ledger",
        "Entries are dated earlier than those before them",
        f"Entry {index} is dated {day(at)}, but entry {before.index}, which was recorded before it, "
        f"{day(before.at)}.",
        [*(number for number, _ in found[: _SHOWN - 1]), before.index],
        gather=True,
    )


def _from_the_future(found: list[tuple[int, int]], read_at: float) -> Breach:
    index, at = found[0]
    return Breach(
        "from-the-future",
        "ledger",
        "Entries are dated later than they were read",
        f"Entry {index} is dated {day(at)}, but we read it already on {day(read_at)}.",
        [number for number, _ in found[:_SHOWN]],
        gather=True,
    )
