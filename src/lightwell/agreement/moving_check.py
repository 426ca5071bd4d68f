"""The check of moving in: what came home is recorded alike at both ends and erased in time where it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from msgspec import Struct

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.wire import entries as kinds

DEADLINE: Final = "old-copies-erased"
_DAY: Final = 86_400
# Entries about persons carry their minute, so what is over in the same minute is not late.
_MINUTE: Final = 60

Half = kinds.MigrationSent | kinds.MigrationReceived
Kind = TypeVar("Kind", kinds.MigrationSent, kinds.MigrationReceived, kinds.MigrationErased)


class _Stand(Struct, frozen=True):
    """What is recorded of one migration: what the source gave, what came home, and that it is erased."""

    left: kinds.MigrationSent | None
    came: kinds.MigrationReceived | None
    erased: kinds.MigrationErased | None


def moved_and_erased(case: Case) -> Finding:
    """Judge every migration by this ledger and the other cell's: alike, homewards and erased."""
    breaches = Breaches()
    waiting = 0
    proven: list[int] = []
    accounts = 0
    received = case.evidence.of(kinds.MigrationReceived)
    sent = case.evidence.of(kinds.MigrationSent)
    wiped = case.evidence.of(kinds.MigrationErased)
    for index in [*_twice(received), *_twice(sent), *_twice(wiped)]:
        breaches.add(index, "a migration is recorded twice")
    halves: list[tuple[int, Half]] = [*received, *sent]
    for index, half in sorted(halves, key=lambda pair: pair[0]):
        stand = _stand(case, half)
        faults = [*_claim_faults(case, half), *_faults(case, half, stand)]
        for fault in faults:
            breaches.add(index, fault)
        if None in (stand.left, stand.came, stand.erased):
            waiting += 1
        elif not faults:
            proven.append(index)
            accounts += half.accounts
    for index, erased in wiped:
        if _same(sent, erased) is None:
            breaches.add(index, "accounts were erased as moved that no entry gives to another cell")
    broken = breaches.finding()
    if broken is not None:
        return broken
    rest = f" {waiting} not yet recorded at both ends and erased." if waiting else ""
    if not proven:
        return Finding(NO_EVIDENCE, f"No migration was completed.{rest}", [])
    why = (
        f"{counted(len(proven), 'migration')} with {counted(accounts, 'account')} recorded alike by both; "
        f"the old copies are erased and the keys of their backups destroyed.{rest}"
    )
    return Finding(MET, why, sorted(proven))


def _stand(case: Case, half: Half) -> _Stand:
    """Find the three entries of one migration in both ledgers, as far as they are at hand."""
    there = case.peers.get(half.peer)
    if isinstance(half, kinds.MigrationReceived):
        if there is None:
            return _Stand(None, half, None)
        left = _of(there.of(kinds.MigrationSent), case, half)
        return _Stand(left, half, _of(there.of(kinds.MigrationErased), case, half))
    came = None if there is None else _of(there.of(kinds.MigrationReceived), case, half)
    return _Stand(half, came, _same(case.evidence.of(kinds.MigrationErased), half))


def _faults(case: Case, half: Half, stand: _Stand) -> list[str]:
    """Say what the entries of one migration break together."""
    left, came, erased = stand.left, stand.came, stand.erased
    there = case.peers.get(half.peer)
    faults = []
    if left is not None and came is not None:
        if (left.accounts, left.digest) != (came.accounts, came.digest):
            faults.append("the two cells recorded different accounts under the same migration")
        if left.term != came.term:
            faults.append("the two cells recorded a migration under different terms")
    # The other ledger's own clock counts: a cell that is down has not yet failed to record.
    grace = case.agreement.limits.transfer_pairing_seconds.value
    if left is half and came is None and there is not None and there.clock > half.at + grace:
        faults.append(f"{half.peer} never recorded that it took in what was given to it")
    deadline = case.agreement.deadline(DEADLINE)
    by = case.now if deadline is None else half.at + deadline.days * _DAY + _MINUTE
    if erased is None:
        # Of a cell whose ledger nobody shows, nothing can be said.
        if case.now > by and (left is half or there is not None):
            faults.append("old copies of what was moved were not erased by the deadline")
        return faults
    if erased.at > by:
        faults.append("old copies of what was moved were erased after the deadline")
    if erased.accounts != half.accounts:
        faults.append(f"{erased.accounts} of {counted(half.accounts, 'account')} that were moved were erased")
    if not erased.key_versions:
        faults.append("old copies were erased, but no key that their backups need was destroyed")
    if came is not None and erased.at + _MINUTE <= came.at:
        faults.append("accounts were erased where they were before they had come home")
    return faults


def _claim_faults(case: Case, half: Half) -> list[str]:
    """Judge which way it went: nobody's data leaves the region of law, and a term must ask for it."""
    # A cell is called like its region, or like it with a hyphen and more.
    there = case.regions.get(half.peer, half.peer.partition("-")[0])
    came = isinstance(half, kinds.MigrationReceived)
    source, target = (there, case.region) if came else (case.region, there)
    faults = []
    if source == case.agreement.law_region != target:
        faults.append(f"people's data of {source} was moved to {target}")
    if case.agreement.term(half.term) is None:
        faults.append(f"accounts were moved under `{half.term}`, which is no term of the agreement")
    return faults


def _of(entries: list[tuple[int, Kind]], case: Case, like: Half | kinds.MigrationErased) -> Kind | None:
    """Find, in the other cell's ledger, its half of a migration with this cell."""
    return next(
        (entry for _, entry in entries if (entry.migration, entry.peer) == (like.migration, case.cell)), None
    )


def _same(entries: list[tuple[int, Kind]], like: Half | kinds.MigrationErased) -> Kind | None:
    """Find, in this cell's ledger, another entry of a migration."""
    return next(
        (entry for _, entry in entries if (entry.migration, entry.peer) == (like.migration, like.peer)), None
    )


def _twice(entries: list[tuple[int, Kind]]) -> Iterable[int]:
    seen: set[str] = set()
    for index, entry in entries:
        if entry.migration in seen:
            yield index
        seen.add(entry.migration)
