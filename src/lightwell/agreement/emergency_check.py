"""The check of emergencies: each opened briefly, with witnesses or an alarm, and was reviewed in time."""

from __future__ import annotations

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.wire import entries as kinds

# Entries about persons carry their minute, so a bound on seconds is known only to within one.
_MINUTE = 60


def emergency_reviewed(case: Case) -> Finding:
    """Judge every emergency by its opening and its review; one whose review is not yet due is open."""
    opened = case.evidence.of(kinds.AccessOpened)
    reviews: dict[str, tuple[int, kinds.AccessReviewed]] = {}
    breaches = Breaches()
    known = {entry.request for _, entry in opened}
    for index, review in case.evidence.of(kinds.AccessReviewed):
        if review.request in known:
            reviews.setdefault(review.request, (index, review))
        else:
            breaches.add(index, "a review names an emergency that was never opened")
    waiting = alarmed = 0
    for index, emergency in opened:
        alarmed += emergency.alarmed
        for fault in _opening_faults(case, emergency):
            breaches.add(index, fault)
        at, found = reviews.get(emergency.request, (index, None))
        fault = _review_fault(case, emergency, found)
        if fault:
            breaches.add(at, fault)
        waiting += found is None
    broken = breaches.finding()
    if broken is not None:
        return broken
    if not opened:
        return Finding(NO_EVIDENCE, "No emergency was opened.", [])
    shown = sorted([index for index, _ in opened] + [index for index, _ in reviews.values()])
    alarm = f", {alarmed} with an alarm for want of witnesses" if alarmed else ""
    said = f"{counted(len(opened), 'emergency', 'emergencies')} opened{alarm}"
    if waiting == len(opened):
        return Finding(NO_EVIDENCE, f"{said}; the review is not due yet.", shown)
    rest = f", {waiting} not due yet" if waiting else ""
    return Finding(MET, f"{said}; {len(opened) - waiting} reviewed in time and justified{rest}.", shown)


def _opening_faults(case: Case, emergency: kinds.AccessOpened) -> list[str]:
    limits = case.agreement.limits
    ceiling = limits.max_emergency_minutes.value
    period = limits.emergency_review_minutes.value
    needed = limits.emergency_witnesses.value
    faults = []
    if emergency.expires_at - emergency.at > ceiling * 60 + _MINUTE:
        faults.append(f"an emergency was opened for longer than {ceiling} minutes")
    if emergency.review_by - emergency.at > period * 60 + _MINUTE:
        faults.append(f"an emergency was given more than {period} minutes for its review")
    if emergency.witnesses < needed and not emergency.alarmed:
        faults.append(
            f"an emergency was opened with {emergency.witnesses} of {needed} witnesses and no alarm"
        )
    return faults


def _review_fault(case: Case, emergency: kinds.AccessOpened, review: kinds.AccessReviewed | None) -> str:
    if review is None:
        late = case.now > emergency.review_by
        return "an emergency was not reviewed by its deadline" if late else ""
    if review.at > emergency.review_by:
        return "an emergency was reviewed after its deadline"
    if review.reviewers < case.agreement.approvals_needed("grant"):
        return f"an emergency was reviewed by {review.reviewers}, fewer than a grant needs"
    if review.outcome == "unjustified":
        return "an emergency was found to have been no emergency"
    return ""
