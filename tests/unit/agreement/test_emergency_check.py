"""How emergencies and counts are judged: met, breached and not known, each from the entries alone."""

from typing import Any

import pytest

from lightwell.agreement.aggregate_check import aggregates_private
from lightwell.agreement.emergency_check import emergency_reviewed
from lightwell.agreement.evidence import Case, Evidence
from lightwell.agreement.load import parse
from lightwell.wire import entries as kinds
from tests.factories.cells import AGREEMENTS

AT = 1_760_000_400
AGREEMENT = parse((AGREEMENTS / "us-2022-draft.toml").read_text("utf-8"))


def case(*entries: kinds.Fact, now: int = AT) -> Case:
    return Case(
        agreement=AGREEMENT,
        evidence=Evidence(enumerate(entries)),
        region="us",
        verdicts={},
        peers={},
        regions={},
        roster=None,
        now=now,
        cell="us",
    )


def opened(**changes: Any) -> kinds.AccessOpened:
    fields: dict[str, Any] = {
        "at": AT,
        "request": "r1",
        "place": "us",
        "role": "analyst",
        "witnesses": 2,
        "alarmed": False,
        "expires_at": AT + 900,
        "review_by": AT + 86_400,
    }
    return kinds.AccessOpened(**(fields | changes))


def reviewed(**changes: Any) -> kinds.AccessReviewed:
    fields: dict[str, Any] = {"at": AT + 3600, "request": "r1", "outcome": "justified", "reviewers": 1}
    return kinds.AccessReviewed(**(fields | changes))


def counted(**changes: Any) -> kinds.AggregateAnswered:
    fields: dict[str, Any] = {
        "at": AT,
        "place": "sg",
        "role": "analyst",
        "question": "views_by_hour",
        "outcome": "answered",
        "reason": "agreed",
        "spent": 100,
        "spent_in_all": 1000,
        "epsilon": 100,
    }
    return kinds.AggregateAnswered(**(fields | changes))


def test_no_emergency_is_no_evidence() -> None:
    assert emergency_reviewed(case()).status == "no evidence"


def test_an_emergency_whose_review_is_not_due_is_not_yet_judged() -> None:
    assert emergency_reviewed(case(opened(), now=AT + 86_400)).status == "no evidence"


def test_a_justified_emergency_meets_the_term() -> None:
    found = emergency_reviewed(case(opened(), reviewed()))
    assert (found.status, found.entries) == ("met", [0, 1])


@pytest.mark.parametrize(
    ("entries", "now"),
    [
        ([opened()], AT + 86_401),
        ([opened(), reviewed(at=AT + 90_000)], AT + 90_000),
        ([opened(), reviewed(outcome="unjustified")], AT),
        ([opened(), reviewed(reviewers=0)], AT),
        ([opened(), reviewed(), reviewed(request="another")], AT),
        ([opened(witnesses=1), reviewed()], AT),
        ([opened(expires_at=AT + 3600), reviewed()], AT),
        ([opened(review_by=AT + 400_000), reviewed()], AT),
    ],
)
def test_an_emergency_that_breaks_a_rule_breaches_the_term(entries: list[kinds.Fact], now: int) -> None:
    assert emergency_reviewed(case(*entries, now=now)).status == "breached"


def test_an_alarm_stands_in_for_witnesses() -> None:
    assert emergency_reviewed(case(opened(witnesses=0, alarmed=True), reviewed())).status == "met"


def test_counts_with_noise_within_budget_meet_the_term() -> None:
    refused = counted(outcome="refused", place="parent-home", epsilon=0, spent=0)
    assert aggregates_private(case(counted(), refused)).status == "met"
    assert aggregates_private(case()).status == "no evidence"


@pytest.mark.parametrize(
    "changes",
    [
        {"place": "parent-home"},
        {"role": "approver"},
        {"question": "names"},
        {"epsilon": 0},
        {"epsilon": 101},
        {"spent_in_all": 1001},
    ],
)
def test_a_count_that_breaks_a_rule_breaches_the_term(changes: dict[str, Any]) -> None:
    assert aggregates_private(case(counted(), counted(**changes))).status == "breached"
