"""The check of appointments: whoever may be vetoed was proposed, and signed for or unopposed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from lightwell.agreement import appointments as papers
from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.papers import signed_by
from lightwell.agreement.roster import Seat, roster_digest
from lightwell.wire import entries as kinds

# Entries of one transaction may stand under two checkpoints, and carry their minute only.
_GRACE_SECONDS: Final = 120
_OUTCOMES: Final[dict[str, papers.Verb]] = {"consented": "consent", "vetoed": "veto"}
Decided = dict[str, tuple[int, kinds.AppointmentDecided]]


def appointments_consented(case: Case) -> Finding:
    """Judge proposals, decisions, who was entered without one, and who acted before theirs counted."""
    proposed = case.evidence.of(kinds.AppointmentProposed)
    known = {entry.appointment: (index, entry) for index, entry in reversed(proposed)}
    breaches = Breaches()
    decided: Decided = {}
    for index, decision in case.evidence.of(kinds.AppointmentDecided):
        earlier = known.get(decision.appointment)
        if earlier is None or earlier[0] > index:
            breaches.add(index, "an appointment was decided that nobody had proposed")
            continue
        for fault in _decision_faults(case, index, decision, earlier[1], decided):
            breaches.add(index, fault)
        decided.setdefault(decision.appointment, (index, decision))
    for index, entry in proposed:
        agreed = case.agreement.appointments
        if entry.counts_at and agreed.counts == "consent":
            breaches.add(index, "an appointment was to count without the consent that the agreement asks for")
        elif entry.counts_at and entry.counts_at < entry.at + agreed.days * 86_400:
            breaches.add(
                index, f"an appointment was to count before {counted(agreed.days, 'day')} had passed"
            )
    _judge_entered(case, proposed, breaches)
    _judge_acts(case, proposed, decided, breaches)
    broken = breaches.finding()
    if broken is not None:
        return broken
    shown = sorted([index for index, _ in proposed] + [index for index, _ in decided.values()])
    outcomes = Counter(decision.outcome for _, decision in decided.values())
    unopposed = sum(
        0 < entry.counts_at <= case.now and entry.appointment not in decided for _, entry in proposed
    )
    waiting = len(proposed) - len(decided) - unopposed
    said = (
        f"{counted(len(proposed), 'appointment')} proposed: {outcomes['consented']} consented to, "
        f"{outcomes['vetoed']} vetoed, {unopposed} unopposed, {waiting} waiting."
    )
    if not proposed:
        return Finding(NO_EVIDENCE, "Nobody was proposed whose appointment may be vetoed.", [])
    return Finding(MET if decided or unopposed else NO_EVIDENCE, said, shown)


def _decision_faults(
    case: Case,
    index: int,
    decision: kinds.AppointmentDecided,
    proposal: kinds.AppointmentProposed,
    decided: Decided,
) -> list[str]:
    faults = []
    if decision.appointment in decided:
        faults.append("an appointment was decided twice")
    if decision.role not in case.agreement.appointments.by:
        faults.append(f"an appointment was decided by the {decision.role}, who has no say in it")
    seats = _seats_at(case, index)
    signed = papers.text(_OUTCOMES[decision.outcome], case.cell, decision.appointment, proposal.commitment)
    # Signed under a roster that is no longer at hand: it was verified while it was in force.
    if seats is not None and not any(
        (seat.role, seat.name) == (decision.role, decision.seat)
        and signed_by(seat, signed, decision.signature)
        for seat in seats
    ):
        faults.append(f"an appointment was {decision.outcome} without the signature that it names")
    return faults


def _judge_entered(
    case: Case, proposed: list[tuple[int, kinds.AppointmentProposed]], breaches: Breaches
) -> None:
    """Hold each entry into a role that may be vetoed to a proposal of its own."""
    entered: Counter[str] = Counter()
    for index, entry in case.evidence.of(kinds.DirectoryChanged):
        role = entry.role or ""
        if not role or not case.agreement.appointments.bind(role):
            continue
        entered[role] += 1
        until = entry.at + _GRACE_SECONDS
        given = sum(one.role == role and one.at <= until for _, one in proposed)
        if given < entered[role] and case.now > until:
            breaches.add(index, f"somebody was made {role} without being proposed")


def _judge_acts(
    case: Case,
    proposed: list[tuple[int, kinds.AppointmentProposed]],
    decided: Decided,
    breaches: Breaches,
) -> None:
    """Hold each opening of protected data to somebody in its role whose appointment counted by then."""
    by_role: dict[str, list[kinds.AppointmentProposed]] = defaultdict(list)
    for _, entry in proposed:
        by_role[entry.role].append(entry)
    acts: list[tuple[int, kinds.AccessDecided | kinds.AccessOpened]] = [
        *((at, entry) for at, entry in case.evidence.of(kinds.AccessDecided) if entry.outcome == "granted"),
        *case.evidence.of(kinds.AccessOpened),
    ]
    for index, act in acts:
        if not case.agreement.appointments.bind(act.role):
            continue
        if not any(_counted(one, index, act.at, decided) for one in by_role[act.role]):
            breaches.add(index, f"data was opened to a role, {act.role}, in which no appointment counted")


def _counted(proposal: kinds.AppointmentProposed, index: int, at: int, decided: Decided) -> bool:
    """Say whether an appointment counted before entry `index`, made in the minute `at`."""
    where, decision = decided.get(proposal.appointment, (index, None))
    if decision is not None and where < index:
        return decision.outcome == "consented"
    return 0 < proposal.counts_at <= at + 60


def _seats_at(case: Case, index: int) -> Sequence[Seat] | None:
    """Return the roster that was in force at an index, None if it is not at hand."""
    adopted = [(at, entry) for at, entry in case.evidence.of(kinds.AgreementAdopted) if at < index]
    if not adopted:
        return None
    at, entry = adopted[-1]
    held = case.held.get(at)
    seats = case.roster if held is None else held.seats
    return seats if seats is not None and roster_digest(list(seats)) == entry.roster_digest else None
