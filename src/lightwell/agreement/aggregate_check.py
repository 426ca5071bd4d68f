"""The check of aggregates: each answer had its noise, its asker was agreed, and no budget was overspent."""

from __future__ import annotations

from lightwell.agreement.evidence import Case
from lightwell.agreement.findings import MET, NO_EVIDENCE, Breaches, Finding, counted
from lightwell.wire import entries as kinds


def aggregates_private(case: Case) -> Finding:
    """Judge every count over many people that somebody was given."""
    breaches = Breaches()
    asked = case.evidence.of(kinds.AggregateAnswered)
    answered = [(index, entry) for index, entry in asked if entry.outcome == "answered"]
    for index, entry in answered:
        for fault in _faults(case, entry):
            breaches.add(index, fault)
    broken = breaches.finding()
    if broken is not None:
        return broken
    if not asked:
        return Finding(NO_EVIDENCE, "Nobody has asked for a count over many people.", [])
    refused = len(asked) - len(answered)
    turned_away = f"; {refused} refused" if refused else ""
    said = f"{counted(len(answered), 'count')} given with noise and within budget{turned_away}."
    return Finding(MET, said, [index for index, _ in asked])


def _faults(case: Case, entry: kinds.AggregateAnswered) -> list[str]:
    rule, limits = case.agreement.access.aggregates, case.agreement.limits
    faults = []
    if entry.place not in rule.places or case.agreement.excludes_place(entry.place):
        faults.append(f"a count was given to staff in {entry.place}")
    if entry.role not in rule.roles:
        faults.append(f"a count was given to the role {entry.role}")
    if entry.question not in rule.questions:
        faults.append(f"`{entry.question}` was answered, which is no agreed question")
    if not 0 < entry.epsilon <= limits.aggregate_question_cost.value:
        faults.append("a count was given with less noise than agreed")
    if entry.spent_in_all > limits.aggregate_budget.value:
        faults.append("counts were given beyond the asker's budget")
    return faults
