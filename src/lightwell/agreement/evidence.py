"""What one cell's ledger holds, sorted for the checks, taken entry by entry in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat
from lightwell.agreement.signing import Settled
from lightwell.wire import entries as kinds

Kind = TypeVar("Kind", bound=kinds.Fact)


class Evidence:
    """The entries of one ledger; slates are kept as counts and indices only, all others whole."""

    def __init__(self, entries: Iterable[tuple[int, object]] = ()) -> None:
        self.slates: list[int] = []
        self.unnamed: list[tuple[int, str]] = []
        self.clock = 0
        self._kept: dict[type[kinds.Fact], list[tuple[int, kinds.Fact]]] = {}
        self._policies: set[str] = set()
        self._snapshots: set[str] = set()
        for index, entry in entries:
            self.add(index, entry)

    def add(self, index: int, entry: object) -> None:
        """Take the next entry.

        Args:
            index: its index; callers go up from 0 without gaps.
            entry: what `wire.entries.decode` returned; an unknown kind proves nothing and is passed over.
        """
        if not isinstance(entry, kinds.Fact):
            return
        self.clock = max(self.clock, int(getattr(entry, "at", 0)))
        match entry:
            case kinds.SlateServed():
                self.slates.append(index)
                if entry.policy not in self._policies:
                    self.unnamed.append((index, "ranking policy"))
                elif entry.snapshot not in self._snapshots:
                    self.unnamed.append((index, "snapshot"))
                return
            case kinds.PolicyAdopted():
                self._policies.add(entry.digest)
            case kinds.SnapshotPublished():
                self._snapshots.add(entry.snapshot)
            case _:
                pass
        self._kept.setdefault(type(entry), []).append((index, entry))

    def of(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """List the entries of one kind with their indices, oldest first."""
        return self._kept.get(kind, [])  # type: ignore[return-value]  # keyed by the type itself

    def indices(self, *wanted: type[kinds.Fact]) -> list[int]:
        """List the indices of the entries of some kinds, in order."""
        return sorted(index for kind in wanted for index, _ in self._kept.get(kind, []))


class Case(Struct, frozen=True):
    """All that a check may look at.

    Args:
        agreement: what was promised.
        evidence: the ledger of the cell that is judged.
        region: that cell's region.
        verdicts: index of a SlateServed entry -> outcome of its replay (`identical`, `differs`, `missing`,
            `unopened`, `snapshot-missing`).
        peers: other cells' evidence by cell name.
        regions: region of each peer cell; a cell not named is taken to be called after its region.
        roster: who holds which key, or None if it was not fetched.
        now: seconds since the epoch, at least the newest entry's.
        cell: its name, as signed papers name it; empty if it is called like its region.
        held: agreement and roster by the index of the entry that adopted them, as far as they are at hand.
    """

    agreement: Agreement
    evidence: Evidence
    region: str
    verdicts: Mapping[int, str]
    peers: Mapping[str, Evidence]
    regions: Mapping[str, str]
    roster: Sequence[Seat] | None
    now: int
    cell: str = ""
    held: Mapping[int, Settled] = {}
