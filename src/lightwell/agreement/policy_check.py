"""The check of ranking policies: each was proposed, listed its promotions and was approved by others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from lightwell.agreement import policy_papers
from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.policy_papers import Approver
from lightwell.agreement.roster import Role, Seat, roster_digest
from lightwell.wire import entries as kinds

_WORDS = {"ranking-policy": "ranking policy", "promotion": "policy with promotions"}


def policy_approved(case: Case) -> Finding:
    """Judge every version of the ranking policy after the founding one by the entries before it."""
    adopted = case.evidence.of(kinds.PolicyAdopted)
    breaches = Breaches()
    # The founding policy comes with the agreement itself, which its parties signed.
    for index, entry in adopted[1:]:
        for fault in _faults(case, index, entry):
            breaches.add(index, fault)
    broken = breaches.finding()
    if broken is not None:
        return broken
    entries = [index for index, _ in adopted]
    if len(adopted) < 2:
        why = (
            "Only the founding policy was adopted; no promotion is recorded." if adopted else "No policy yet."
        )
        return Finding(NO_EVIDENCE, why, entries)
    listed = sum(len(_listed(case, index, entry.digest)) for index, entry in adopted[1:])
    changes = counted(len(adopted) - 1, "change")
    why = f"{changes} of the ranking policy, with {counted(listed, 'promotion')}, each approved by others."
    shown = case.evidence.indices(kinds.PolicyProposed, kinds.PromotionListed, kinds.PolicyApproved)
    return Finding(MET, why, sorted([*entries, *shown]))


def _faults(case: Case, index: int, entry: kinds.PolicyAdopted) -> list[str]:
    agreement = case.agreement
    proposed = next(
        (
            (at, found)
            for at, found in case.evidence.of(kinds.PolicyProposed)
            if found.policy == entry.digest and at < index
        ),
        None,
    )
    if proposed is None:
        return ["a ranking policy was adopted that no earlier entry proposes"]
    faults = []
    listed = _listed(case, index, entry.digest)
    if len(listed) != proposed[1].promotions:
        faults.append(
            f"{len(listed)} of {counted(proposed[1].promotions, 'promotion')} of a policy are listed"
        )
    if _raised(listed) > policy_papers.promotion_ceiling(agreement):
        faults.append("promotions raise videos in more requests than the agreement allows")
    approvers = _approvers(case, index, proposed[1])
    for what in ("ranking-policy", "promotion") if proposed[1].promotions else ("ranking-policy",):
        needed, given = agreement.approvals_needed(what), policy_papers.given(agreement, what, approvers)
        if given < needed:
            faults.append(f"a {_WORDS[what]} was adopted with {given} of {needed} approvals")
    if entry.approvals > policy_papers.given(agreement, "ranking-policy", approvers):
        faults.append(f"a ranking policy is said to have {counted(entry.approvals, 'approval')}, but has not")
    return faults


def _approvers(case: Case, before: int, proposed: kinds.PolicyProposed) -> list[Approver]:
    """List who approved, by entries before an index; a seat counts only if its signature verifies."""
    found = []
    for index, entry in case.evidence.of(kinds.PolicyApproved):
        if entry.policy != proposed.policy or index > before:
            continue
        if not entry.seat:
            # A member of staff, whose key the cell alone knows; no such word speaks for a seat of the roster.
            if entry.role not in get_args(Role):
                found.append(Approver(entry.role, f"entry {index}"))
        elif entry.seat != proposed.seat and _signed(case, index, entry):
            found.append(Approver(entry.role, f"seat {entry.seat}"))
    return found


def _signed(case: Case, index: int, entry: kinds.PolicyApproved) -> bool:
    seats = _seats_at(case, index)
    if seats is None:
        # Signed under a roster that is no longer at hand: it was verified while it was in force.
        return True
    return any(
        seat.role == entry.role
        and seat.name == entry.seat
        and policy_papers.signed_by(seat, "approve", case.cell, entry.policy, entry.signature)
        for seat in seats
    )


def _seats_at(case: Case, index: int) -> Sequence[Seat] | None:
    """Return the roster that was in force at an index, None if it is not the one we have."""
    rosters = [entry for at, entry in case.evidence.of(kinds.AgreementAdopted) if at < index]
    if case.roster is None or not rosters:
        return None
    return case.roster if roster_digest(list(case.roster)) == rosters[-1].roster_digest else None


def _listed(case: Case, before: int, policy: str) -> list[kinds.PromotionListed]:
    found = [
        entry
        for index, entry in case.evidence.of(kinds.PromotionListed)
        if entry.policy == policy and index < before
    ]
    return list({entry.promotion: entry for entry in found}.values())


def _raised(listed: list[kinds.PromotionListed]) -> int:
    raising = [entry for entry in listed if entry.raises]
    return max(
        (sum(other.ceiling for other in raising if other.start <= one.start < other.end) for one in raising),
        default=0,
    )
