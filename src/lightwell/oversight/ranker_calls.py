"""How often another organisation's ranker is said to have failed: above the policy's bound it is a finding.

Whether a failure was one, nobody outside can tell; whoever runs the cell could call every answer late. So the
share of failures is held to a bound.
"""

import sqlite3
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from lightwell.oversight.store import Store

LOOKED_AT: Final = 1_000
"""The newest requests whose share counts."""
LEAST: Final = 100
"""Of fewer requests a share says little."""
_MILLION: Final = 1_000_000


class RankerCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a slate's record says of the ranker that its policy names.

    failed: it gave no scores. most_failures: the share that the policy lets fail, in millionths.
    """

    failed: bool
    most_failures: Annotated[int, msgspec.Meta(ge=0, le=_MILLION)]


class CallFigures(msgspec.Struct, frozen=True):
    """Of the newest slates whose policy names a ranker: how many, in how many it failed, the lowest bound."""

    asked: int
    failed: int
    most_failures: int

    @property
    def too_many(self) -> bool:
        """Whether it fails more often than the policy lets it."""
        return self.asked >= LEAST and self.failed * _MILLION > self.most_failures * self.asked


def keep(db: sqlite3.Connection, cell: str, calls: Iterable[tuple[int, RankerCall]]) -> None:
    """Keep what was said of some slates, by the index of each; saying it again changes nothing."""
    db.executemany(
        "INSERT OR REPLACE INTO ranker_calls (cell, idx, failed, most_failures) VALUES (?, ?, ?, ?)",
        [(cell, index, call.failed, call.most_failures) for index, call in calls],
    )


def figures(store: Store, cell: str) -> CallFigures:
    """Return the figures of a cell's newest calls."""
    row = store.row(
        """SELECT count(*) AS asked, coalesce(sum(failed), 0) AS failed,
          coalesce(min(most_failures), 0) AS most
        FROM (SELECT failed, most_failures FROM ranker_calls WHERE cell = ? ORDER BY idx DESC LIMIT ?)""",
        cell, LOOKED_AT,
    )  # fmt: skip
    return CallFigures(row["asked"], row["failed"], row["most"]) if row else CallFigures(0, 0, 0)


def raise_if_many(store: Store, cell: str) -> None:
    """Raise a finding while the ranker fails more often than the policy lets it, and close it afterwards."""
    found = figures(store, cell)
    if not found.too_many:
        store.close_finding(cell, "ranker-fails")
        return
    store.raise_finding(
        cell,
        "ranker-fails",
        area="replay",
        state="open",
        title="The ranker of another organisation is said to fail too often",
        detail=f"In {found.failed} of the newest {found.asked} slates with it, it is said to have"
        f" given no scores; the ranking policy lets {found.most_failures / 10_000:g} % fail.",
    )
