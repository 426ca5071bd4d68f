"""The check of lawful process: demands are taken in, approved and answered at home by the regional entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeVar

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.model import covers
from lightwell.wire import entries as kinds

PURPOSE: Final = "legal_process"
# Entries of one transaction may stand under two checkpoints, and carry their minute only.
_GRACE_SECONDS: Final = 120
Kept = TypeVar("Kept")
Step = kinds.LawfulRequestReceived | kinds.LawfulRequestAnswered


def lawful_at_home(case: Case) -> Finding:
    """Judge every demand by its entries, and every access for its purpose by the demand behind it."""
    received: dict[str, tuple[int, kinds.LawfulRequestReceived]] = {}
    answered: dict[str, int] = {}
    breaches = Breaches()
    asked = {entry.request: (index, entry) for index, entry in case.evidence.of(kinds.AccessRequested)}
    granted = {
        entry.request: (index, entry)
        for index, entry in case.evidence.of(kinds.AccessDecided)
        if entry.outcome == "granted"
    }
    for index, demand in case.evidence.of(kinds.LawfulRequestReceived):
        if demand.request in received:
            breaches.add(index, "a demand was taken in twice")
        received.setdefault(demand.request, (index, demand))
        for fault in [
            *_hand_faults(case, demand, "taken in"),
            *_demand_faults(case, demand, _earlier(asked, index, demand)),
        ]:
            breaches.add(index, fault)
    for index, answer in case.evidence.of(kinds.LawfulRequestAnswered):
        if answer.request in answered:
            breaches.add(index, "a demand was answered twice")
        answered.setdefault(answer.request, index)
        grant = _earlier(granted, index, answer)
        for fault in _answer_faults(case, answer, _earlier(received, index, answer), grant):
            breaches.add(index, fault)
    _judge_access(case, received, answered, breaches)
    broken = breaches.finding()
    if broken is not None:
        return broken
    refused = case.evidence.of(kinds.LawfulRequestRefused)
    shown = sorted([index for index, _ in [*received.values(), *refused]] + list(answered.values()))
    said = _sentence(case, len(received), len(answered))
    if not answered and not refused:
        return Finding(NO_EVIDENCE, said, shown)
    unsaid = [entry for _, entry in _steps(case) if not (entry.entity and entry.place)]
    if unsaid:
        why = f"{said} {counted(len(unsaid), 'entry', 'entries')} of an older form do not say by whom."
        return Finding(NO_EVIDENCE, why, shown)
    return Finding(MET, said, shown)


def _steps(case: Case) -> list[tuple[int, Step]]:
    return [
        *case.evidence.of(kinds.LawfulRequestReceived),
        *case.evidence.of(kinds.LawfulRequestAnswered),
    ]


def _hand_faults(case: Case, entry: Step, done: str) -> list[str]:
    """Judge by whom and where something was done, as far as the entry says it."""
    faults = []
    if entry.place and entry.place != case.region:
        faults.append(f"a demand was {done} in {entry.place}, about people of {case.region}")
    if entry.entity:
        party = case.agreement.party(entry.entity)
        if party is None or party.role != "operator" or party.place != case.region:
            faults.append(f"a demand was {done} by `{entry.entity}`, which is not the regional entity")
    return faults


def _earlier(known: Mapping[str, tuple[int, Kept]], index: int, step: Step) -> Kept | None:
    """Return what an entry before `index` says of the same request."""
    at, found = known.get(step.request, (index, None))
    return found if at < index else None


def _demand_faults(
    case: Case, demand: kinds.LawfulRequestReceived, asked: kinds.AccessRequested | None
) -> list[str]:
    if asked is None:
        return ["a demand was taken in that opened no request for access"]
    faults = []
    if asked.purpose != PURPOSE:
        faults.append(f"a demand opened access for `{asked.purpose}`")
    if set(asked.fields) != set(demand.fields):
        faults.append("a demand opened access to other fields than it names")
    beyond = [name for name in demand.fields if not covers(case.agreement.access.staff.categories, name)]
    if beyond:
        faults.append(f"a demand was taken in for {beyond[0]}, which no grant may name")
    return faults


def _answer_faults(
    case: Case,
    answer: kinds.LawfulRequestAnswered,
    received: kinds.LawfulRequestReceived | None,
    grant: kinds.AccessDecided | None,
) -> list[str]:
    faults = _hand_faults(case, answer, "answered")
    if received is None:
        return [*faults, "a demand was answered that nobody had taken in"]
    needed = case.agreement.approvals_needed("grant")
    if answer.approvals < needed:
        faults.append(f"a demand was answered with {answer.approvals} of {needed} approvals")
    beyond = sorted(set(answer.fields) - set(received.fields))
    if beyond:
        faults.append(f"a demand was answered with {beyond[0]}, which it does not name")
    if grant is None:
        faults.append("a demand was answered that others had not approved")
    elif answer.at >= grant.expires_at:
        faults.append("a demand was answered after its grant had run out")
    return faults


def _judge_access(
    case: Case,
    received: dict[str, tuple[int, kinds.LawfulRequestReceived]],
    answered: dict[str, int],
    breaches: Breaches,
) -> None:
    """Hold every grant and every look for this purpose to a demand and its answer."""
    claimed = {
        entry.request for _, entry in case.evidence.of(kinds.AccessRequested) if entry.purpose == PURPOSE
    }
    for index, grant in case.evidence.of(kinds.AccessDecided):
        if grant.outcome == "granted" and grant.request in claimed and grant.request not in received:
            breaches.add(index, "access was given for lawful process without a demand")
    for index, opened in case.evidence.of(kinds.AccessOpened):
        if opened.request in claimed:
            breaches.add(index, "an emergency was opened for lawful process")
    looks = Counter[str]()
    for index, used in case.evidence.of(kinds.AccessUsed):
        if used.request not in claimed:
            continue
        looks[used.request] += 1
        late = case.now > used.at + _GRACE_SECONDS
        if looks[used.request] > 1 or (used.request not in answered and late):
            breaches.add(index, "fields were read for lawful process, and no answer is recorded")


def _sentence(case: Case, received: int, answered: int) -> str:
    reasons = Counter(entry.reason for _, entry in case.evidence.of(kinds.LawfulRequestRefused))
    if not received and not reasons:
        return "Nobody has demanded anything."
    parts = [f"{counted(received, 'demand')} taken in, {answered} answered at home by the regional entity"]
    if reasons:
        listed = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        parts.append(f"{sum(reasons.values())} refused ({listed})")
    return "; ".join(parts) + "."
