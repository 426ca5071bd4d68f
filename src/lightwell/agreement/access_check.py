"""The check of staff access: who was let in, from where, by how many, for how long, to read what."""

from __future__ import annotations

from collections import Counter

from lightwell.agreement.access_terms import Access
from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.model import covers
from lightwell.wire import entries as kinds

# Entries about persons carry their minute, so a bound on seconds is known only to within one.
_MINUTE = 60


def access_at_home(case: Case) -> Finding:
    """Judge every decision and every look against the access rules, in the order of the ledger."""
    breaches = Breaches()
    requests: dict[str, kinds.AccessRequested] = {}
    grants: dict[str, kinds.AccessDecided | kinds.AccessOpened] = {}
    ended: dict[str, str] = {}
    for index, entry in _in_order(case):
        match entry:
            case kinds.AccessRequested():
                requests[entry.request] = entry
            case kinds.AccessDecided() if entry.outcome == "granted":
                for fault in _grant_faults(case, entry, requests.get(entry.request)):
                    breaches.add(index, fault)
                grants[entry.request] = entry
            case kinds.AccessOpened():
                for fault in _opening_faults(case, entry, requests.get(entry.request)):
                    breaches.add(index, fault)
                grants[entry.request] = entry
            case kinds.AccessUsed():
                asked = requests.get(entry.request)
                fault = _use_fault(entry, asked, grants.get(entry.request), ended.get(entry.request))
                if fault:
                    breaches.add(index, fault)
            case kinds.AccessEnded():
                ended.setdefault(entry.request, entry.why)
            case _:
                pass
    broken = breaches.finding()
    if broken is not None:
        return broken
    decided = case.evidence.of(kinds.AccessDecided)
    if not decided and not case.evidence.of(kinds.AccessOpened):
        return Finding(NO_EVIDENCE, "Nobody has asked to see protected data.", [])
    return Finding(MET, _sentence(case, decided), [index for index, _ in _in_order(case)])


def _grant_faults(case: Case, grant: kinds.AccessDecided, asked: kinds.AccessRequested | None) -> list[str]:
    agreement = case.agreement
    access: Access = agreement.access
    faults = []
    if grant.place != case.region:
        faults.append(f"staff in {grant.place} were given access to people's data of {case.region}")
    if grant.role not in access.staff.roles:
        faults.append(f"the role {grant.role} was given access")
    needed = agreement.approvals_needed("grant")
    if grant.approvals < needed:
        faults.append(f"access was given with {grant.approvals} of {needed} approvals")
    ceiling = agreement.limits.max_grant_minutes.value
    if grant.expires_at - grant.at > ceiling * 60 + _MINUTE:
        faults.append(f"access was given for longer than {ceiling} minutes")
    if asked is None:
        faults.append("access was given that nobody asked for")
    else:
        if (asked.place, asked.role) != (grant.place, grant.role):
            faults.append("access was given to another place or role than asked for it")
        if asked.purpose not in access.staff.purposes:
            faults.append(f"access was given for `{asked.purpose}`, which is no agreed purpose")
        beyond = [field for field in asked.fields if not covers(access.staff.categories, field)]
        if beyond:
            faults.append(f"access was given to {beyond[0]}, which no grant may name")
    return faults


def _opening_faults(case: Case, opened: kinds.AccessOpened, asked: kinds.AccessRequested | None) -> list[str]:
    """Judge who an emergency let in, and to what; its length and its review are another term's."""
    access = case.agreement.access
    faults = []
    if opened.place != case.region:
        faults.append(f"an emergency opened people's data of {case.region} to staff in {opened.place}")
    if opened.role not in access.staff.roles:
        faults.append(f"an emergency opened data to the role {opened.role}")
    if asked is None:
        return [*faults, "an emergency was opened that nobody asked for"]
    if (asked.place, asked.role) != (opened.place, opened.role):
        faults.append("an emergency was opened to another place or role than asked for it")
    if asked.purpose not in access.emergency.purposes:
        faults.append(f"an emergency was opened for `{asked.purpose}`, which is no agreed purpose of one")
    beyond = [field for field in asked.fields if not covers(access.staff.categories, field)]
    if beyond:
        faults.append(f"an emergency opened {beyond[0]}, which no grant may name")
    return faults


def _use_fault(
    used: kinds.AccessUsed,
    asked: kinds.AccessRequested | None,
    grant: kinds.AccessDecided | kinds.AccessOpened | None,
    ended: str | None,
) -> str:
    if grant is None or asked is None:
        return "protected data was read without a grant"
    if ended is not None:
        over = "expired" if ended == "expired" else "been revoked"
        return f"protected data was read after the grant had {over}"
    if used.at >= grant.expires_at:
        return "protected data was read after the grant had run out"
    if not set(used.fields) <= set(asked.fields):
        return "a field was read that the grant does not name"
    return ""


def _in_order(case: Case) -> list[tuple[int, kinds.Fact]]:
    entries: list[tuple[int, kinds.Fact]] = []
    for kind in (
        kinds.AccessRequested,
        kinds.AccessDecided,
        kinds.AccessOpened,
        kinds.AccessUsed,
        kinds.AccessEnded,
    ):
        entries += case.evidence.of(kind)
    return sorted(entries, key=lambda pair: pair[0])


def _sentence(case: Case, decided: list[tuple[int, kinds.AccessDecided]]) -> str:
    granted = sum(entry.outcome == "granted" for _, entry in decided)
    reasons = Counter(entry.reason for _, entry in decided if entry.outcome == "refused")
    uses = len(case.evidence.of(kinds.AccessUsed))
    parts = [f"{counted(granted, 'request')} granted, all at home, approved, short and read {uses} times"]
    if not granted:
        parts = ["None granted"]
    opened = len(case.evidence.of(kinds.AccessOpened))
    if opened:
        parts.append(f"{counted(opened, 'emergency', 'emergencies')} opened at home")
    if reasons:
        listed = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        parts.append(f"{sum(reasons.values())} refused ({listed})")
    return "; ".join(parts) + "."
