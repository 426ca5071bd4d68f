"""Checks of upkeep: the cell key changes in its period, and what the gateway stopped is closed in time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.wire import entries as kinds

ROTATION: Final = "key-rotation"
CLOSING: Final = "quarantine-closed"
_DAY: Final = 86_400
# Entries about persons carry their minute.
_MINUTE: Final = 60


def keys_rotated(case: Case) -> Finding:
    """Judge how old the cell key ever grew, from the adoption on, and that each old version was destroyed."""
    deadline = case.agreement.deadline(ROTATION)
    adopted = case.evidence.of(kinds.AgreementAdopted)
    if deadline is None or not adopted:
        return Finding(NO_EVIDENCE, "No period is agreed in which the cell key changes.", [])
    changes = case.evidence.of(kinds.CellKeyChanged)
    made = [(index, entry) for index, entry in changes if entry.change == "made"]
    destroyed = {entry.version: (index, entry) for index, entry in changes if entry.change == "destroyed"}
    period = deadline.days * _DAY
    breaches = Breaches()
    times = [(adopted[0][0], adopted[0][1].at), *((index, entry.at) for index, entry in made)]
    for (index, since), (_, until) in pairwise([*times, (-1, case.now)]):
        if until > since + period:
            breaches.add(
                index, f"the cell key that began here grew older than {counted(deadline.days, 'day')}"
            )
    for index, entry in made:
        gone = destroyed.get(entry.version - 1)
        if (case.now if gone is None else gone[1].at) > entry.at + period:
            breaches.add(index, "the cell key before this one was not destroyed within the period")
    broken = breaches.finding()
    if broken is not None:
        return broken
    done = [index for index, entry in made if entry.version - 1 in destroyed]
    shown = [index for index, _ in changes]
    if not done:
        return Finding(NO_EVIDENCE, "The cell key has not been changed yet, and is not due.", shown)
    why = (
        f"{counted(len(done), 'change')} of the cell key, never over {counted(deadline.days, 'day')} apart; "
        "each old version destroyed."
    )
    return Finding(MET, why, shown)


def quarantine_closed(case: Case) -> Finding:
    """Judge every look at what the gateway stopped, and that it was closed by its deadline."""
    deadline = case.agreement.deadline(CLOSING)
    looks = case.evidence.of(kinds.QuarantineOpened)
    closings = case.evidence.of(kinds.QuarantineClosed)
    seen: Counter[str] = Counter()
    first: dict[str, tuple[int, int]] = {}
    ended: dict[str, int] = {}
    breaches = Breaches()
    events: list[tuple[int, kinds.QuarantineOpened | kinds.QuarantineClosed]] = [*looks, *closings]
    for index, event in sorted(events, key=lambda pair: pair[0]):
        if isinstance(event, kinds.QuarantineOpened):
            seen[event.item] += 1
            first.setdefault(event.item, (index, event.at))
            for fault in _look_faults(case, event, event.item in ended):
                breaches.add(index, fault)
            continue
        if event.looks != seen[event.item]:
            breaches.add(
                index, f"{seen[event.item]} of {counted(event.looks, 'look')} at an item are recorded"
            )
        if event.outcome in ("discarded", "reported") and not event.looks:
            breaches.add(index, f"an item was {event.outcome} at which nobody had looked")
        if event.outcome != "reported":
            ended.setdefault(event.item, event.at)
    for item, (index, since) in first.items():
        if deadline is not None and ended.get(item, case.now) > since + deadline.days * _DAY + _MINUTE:
            days = counted(deadline.days, "day")
            breaches.add(index, f"an item that was looked at here was not closed within {days}")
    broken = breaches.finding()
    if broken is not None:
        return broken
    shown = case.evidence.indices(kinds.QuarantineOpened, kinds.QuarantineClosed)
    if not closings:
        return Finding(NO_EVIDENCE, "Nothing that the gateway stopped has been closed yet.", shown)
    outcomes = Counter(entry.outcome for _, entry in closings)
    listed = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    unseen = sum(entry.outcome == "expired" and not entry.looks for _, entry in closings)
    rest = f" Nobody had looked at {unseen} of them." if unseen else ""
    return Finding(MET, f"{counted(len(looks), 'look')} at home; closed: {listed}.{rest}", shown)


def _look_faults(case: Case, look: kinds.QuarantineOpened, ended: bool) -> list[str]:
    rule = case.agreement.access.quarantine
    faults = []
    if look.place != case.region:
        faults.append(f"somebody in {look.place} looked at what the gateway of {case.region} stopped")
    if look.role not in rule.roles:
        faults.append(f"the role {look.role} looked at what the gateway stopped")
    if look.reason not in rule.purposes:
        faults.append(f"somebody looked for `{look.reason}`, which is no agreed purpose")
    if ended:
        faults.append("somebody looked at an item that was closed")
    return faults
