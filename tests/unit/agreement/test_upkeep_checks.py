"""Terms S3 and G3: the cell key changes in its period; what was stopped is seen at home only, and closed."""

from typing import Any

import pytest

from lightwell.wire import entries as kinds
from tests.unit.agreement.test_terms import AGREEMENT, T, judge

DAY = 86_400
PERIOD = next(one.days for one in AGREEMENT.deadlines if one.id == "key-rotation") * DAY
KEPT = next(one.days for one in AGREEMENT.deadlines if one.id == "quarantine-closed") * DAY


def key(change: Any, version: int, at: int) -> kinds.CellKeyChanged:
    return kinds.CellKeyChanged(at=at, version=version, change=change)


def look(**changes: Any) -> kinds.QuarantineOpened:
    fields: dict[str, Any] = {"at": T, "item": "i", "place": "us", "role": "approver", "look": 1}
    return kinds.QuarantineOpened(**(fields | {"reason": "gateway_review"} | changes))


def closed(outcome: Any = "discarded", **changes: Any) -> kinds.QuarantineClosed:
    return kinds.QuarantineClosed(**({"at": T, "item": "i", "outcome": outcome, "looks": 1} | changes))


def test_a_key_changed_in_time_with_the_old_one_destroyed_is_met() -> None:
    made = [key("made", 2, T + PERIOD), key("destroyed", 1, T + PERIOD + 60)]
    found = judge(made, now=T + 2 * PERIOD)["S3"]
    assert (found.status, found.entries) == ("met", [1, 2])
    assert judge(made[:1], now=T + 2 * PERIOD)["S3"].status == "no evidence"
    assert judge([], now=T + PERIOD)["S3"].status == "no evidence"


@pytest.mark.parametrize(
    ("entries", "now", "what"),
    [
        ([], T + PERIOD + 1, "grew older"),
        ([key("made", 2, T + 60), key("destroyed", 1, T + 90)], T + PERIOD + 61, "grew older"),
        ([key("made", 2, T + PERIOD + 1), key("destroyed", 1, T + PERIOD + 2)], T + PERIOD + 3, "grew older"),
        ([key("made", 2, T + 60), key("destroyed", 1, T + PERIOD + 61), key("made", 3, T + PERIOD)],
         T + PERIOD + 62, "was not destroyed"),
    ],
)  # fmt: skip
def test_a_key_that_grows_too_old_is_a_breach(entries: list[kinds.Fact], now: int, what: str) -> None:
    found = judge(entries, now=now)["S3"]
    assert found.status == "breached"
    assert what in found.why


def test_what_was_stopped_looked_at_and_closed_is_met() -> None:
    assert judge([look()])["G3"].status == "no evidence"
    reported = [look(), closed("reported"), look(look=2), closed("expired", looks=2, at=T + KEPT)]
    found = judge(reported, now=T + 2 * KEPT)["G3"]
    assert (found.status, found.entries) == ("met", [1, 2, 3, 4])
    unseen = judge([closed("expired", looks=0)])["G3"]
    assert (unseen.status, "Nobody had looked at 1" in unseen.why) == ("met", True)


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([look(place="sg")], "somebody in sg"),
        ([look(role="analyst")], "the role analyst"),
        ([look(reason="curiosity")], "no agreed purpose"),
        ([look(), closed(), look(look=2)], "that was closed"),
        ([closed()], "0 of 1 look at an item are recorded"),
        ([closed(looks=0)], "at which nobody had looked"),
        ([look()], "was not closed within"),
        ([look(), closed("reported")], "was not closed within"),
        ([look(), closed(at=T + KEPT + 120)], "was not closed within"),
    ],
)
def test_what_was_stopped_and_not_treated_as_agreed_is_a_breach(entries: list[kinds.Fact], what: str) -> None:
    found = judge(entries, now=T + KEPT + 120)["G3"]
    assert found.status == "breached"
    assert what in found.why
