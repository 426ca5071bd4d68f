"""Term O3: lawful process counts only when the regional entity took it in and answered it, approved, once."""

from typing import Any

import pytest
from msgspec import UNSET

from lightwell.wire import entries as kinds
from tests.unit.agreement.test_terms import HASH, T, granted, judge, requested, used

EMAIL = "user.contact.email"


def received(**changes: Any) -> kinds.LawfulRequestReceived:
    fields: dict[str, Any] = {
        "at": T,
        "request": "r",
        "commitment": HASH,
        "fields": [EMAIL],
        "entity": "operator",
        "place": "us",
    }
    return kinds.LawfulRequestReceived(**(fields | changes))


def answered(**changes: Any) -> kinds.LawfulRequestAnswered:
    fields: dict[str, Any] = {
        "at": T,
        "request": "r",
        "fields": [EMAIL],
        "approvals": 1,
        "entity": "operator",
        "place": "us",
    }
    return kinds.LawfulRequestAnswered(**(fields | changes))


REFUSED = kinds.LawfulRequestRefused(at=T, request="", reason="not-at-home", place="sg", role="analyst")
ASKED = requested(purpose="legal_process")
OLD = {"entity": UNSET, "place": UNSET}


def test_a_demand_answered_once_by_the_regional_entity_is_met_with_its_entries() -> None:
    found = judge([ASKED, received(), granted(), used(), answered()], now=T + 3600)["O3"]
    assert (found.status, found.entries) == ("met", [2, 5])
    assert "1 demand taken in, 1 answered" in found.why


def test_a_refused_demand_is_evidence_and_one_only_taken_in_is_none() -> None:
    assert judge([ASKED, received()])["O3"].status == "no evidence"
    found = judge([REFUSED])["O3"]
    assert (found.status, found.entries) == ("met", [1])
    assert "1 not-at-home" in found.why


def test_entries_that_do_not_say_by_whom_are_no_evidence() -> None:
    entries = [ASKED, received(**OLD), granted(), used(), answered(**OLD)]
    found = judge(entries)["O3"]
    assert found.status == "no evidence"
    assert "do not say by whom" in found.why


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([ASKED, received(entity="partner")], "`partner`, which is not the regional entity"),
        ([ASKED, received(entity="parent")], "not the regional entity"),
        ([ASKED, received(place="sg")], "taken in in sg"),
        ([ASKED, received(), granted(), used(), answered(entity="parent")], "answered by `parent`"),
        ([ASKED, received(), granted(), used(), answered(place="sg")], "answered in sg"),
        ([ASKED, received(), received()], "taken in twice"),
        ([received()], "opened no request"),
        ([requested(), received()], "access for `account_support`"),
        ([ASKED, received(fields=["user.device"])], "other fields"),
        ([requested(purpose="legal_process", fields=["user.behavior"]), received(fields=["user.behavior"])],
         "no grant may name"),
        ([ASKED, received(), granted(), used(), answered(), answered()], "answered twice"),
        ([ASKED, used(), answered()], "nobody had taken in"),
        ([ASKED, answered(), received(), granted()], "nobody had taken in"),
        ([ASKED, received(), granted(), used(), answered(approvals=0)], "0 of 1 approvals"),
        ([ASKED, received(), granted(), used(), answered(fields=["user.device"])], "does not name"),
        ([ASKED, received(), answered()], "others had not approved"),
        ([ASKED, received(), granted(), used(), answered(at=T + 600)], "run out"),
        ([ASKED, granted()], "without a demand"),
        ([ASKED, received(), granted(), used()], "no answer is recorded"),
        ([ASKED, received(), granted(), used(), answered(), used()], "no answer is recorded"),
    ],
)  # fmt: skip
def test_lawful_process_by_another_way_is_a_breach(entries: list[kinds.Fact], what: str) -> None:
    found = judge(entries, now=T + 3600)["O3"]
    assert found.status == "breached"
    assert what in found.why


def test_a_region_without_an_entity_of_its_own_answers_nothing() -> None:
    found = judge([ASKED, received(place="sg")], region="sg")["O3"]
    assert found.status == "breached"
