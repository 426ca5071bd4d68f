"""The check of the agreement itself: it was signed by its parties, and each version follows the last."""

from __future__ import annotations

from itertools import pairwise

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.roster import roster_digest
from lightwell.agreement.signing import Settled, faults_of
from lightwell.wire import entries as kinds


def agreement_signed(case: Case) -> Finding:
    """Judge every adoption by the signatures in its entry, under the rosters that are at hand."""
    adopted = case.evidence.of(kinds.AgreementAdopted)
    if not adopted:
        return Finding(NO_EVIDENCE, "No agreement was adopted.", [])
    breaches = Breaches()
    founded, founding = adopted[0]
    unsigned = not founding.parties
    if not unsigned:
        for fault in faults_of(founding, _settled(case, founded, founding), None):
            breaches.add(founded, fault)
    for (before, earlier), (index, entry) in pairwise(adopted):
        if entry.amends != earlier.digest or entry.version != earlier.version + 1:
            breaches.add(index, "an agreement was adopted that does not follow the one before it")
        old = _settled(case, before, earlier)
        for fault in faults_of(entry, _settled(case, index, entry), old):
            breaches.add(index, fault)
        # Nobody's keys are at hand to verify it with: at least it must say who signed.
        if old is None and not entry.parties:
            breaches.add(index, "an agreement was adopted that nobody signed")
    broken = breaches.finding()
    if broken is not None:
        return broken
    entries = [index for index, _ in adopted]
    if unsigned:
        return Finding(NO_EVIDENCE, "The founding entry holds no signatures.", entries)
    if not case.agreement.signing.parties:
        return Finding(NO_EVIDENCE, "The agreement names nobody who must sign it.", entries)
    changes = counted(len(adopted) - 1, "amendment")
    who = " and ".join(
        party.name for party in case.agreement.parties if party.id in case.agreement.signing.parties
    )
    return Finding(MET, f"The founding and {changes} signed by all who must: {who}.", entries)


def _settled(case: Case, index: int, entry: kinds.AgreementAdopted) -> Settled | None:
    held = case.held.get(index)
    if held is not None:
        return held
    newest, last = case.evidence.of(kinds.AgreementAdopted)[-1]
    if index != newest or case.roster is None:
        return None
    return (
        Settled(case.agreement, case.roster)
        if roster_digest(list(case.roster)) == last.roster_digest == entry.roster_digest
        else None
    )
