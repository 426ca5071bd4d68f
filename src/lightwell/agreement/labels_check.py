"""The check of labels: under the agreement in force the cell counted its fields, none without a class."""

from __future__ import annotations

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.agreement.load import digest
from lightwell.wire import entries as kinds


def all_labelled(case: Case) -> Finding:
    """Judge the counts of fields that the cell recorded; the newest must be under this agreement."""
    counts = case.evidence.of(kinds.LabelsCounted)
    breaches = Breaches()
    for index, entry in counts:
        if entry.unlabelled:
            stored = counted(entry.unlabelled, "stored column")
            breaches.add(index, f"the cell's database held {stored} that no label names")
    broken = breaches.finding()
    if broken is not None:
        return broken
    if not counts:
        return Finding(NO_EVIDENCE, "The cell has not counted its fields.", [])
    index, newest = counts[-1]
    if newest.agreement != digest(case.agreement):
        return Finding(NO_EVIDENCE, "The cell has not counted its fields under this agreement.", [index])
    whole = newest.protected + newest.interop + newest.public
    if not whole:
        return Finding(NO_EVIDENCE, "The cell counted no field at all.", [index])
    # What an asker names and the agreement does not know is refused when it is asked for.
    refused = [at for at, entry in case.evidence.of(kinds.AccessDecided) if entry.reason == "no-class"]
    turned_away = (
        f" {counted(len(refused), 'request')} for a field without a class refused." if refused else ""
    )
    why = (
        f"The cell counts {counted(whole, 'field')}: {newest.protected} protected, {newest.interop} interop, "
        f"{newest.public} public, none without a class.{turned_away}"
    )
    return Finding(MET, why, sorted([at for at, _ in counts] + refused))
