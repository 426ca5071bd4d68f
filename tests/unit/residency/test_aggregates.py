"""Counts over many people on a real cell: bounded, noisy, drawn once, paid for, and refused beyond that."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from lightwell.base.errors import Problem
from lightwell.residency import aggregates
from lightwell.residency.access_models import StaffRow
from lightwell.residency.aggregates import Question, Window
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.staff import Member, enrol, principal_of
from lightwell.wire import entries as kinds
from tests.factories.cells import fresh_key
from tests.factories.ledger import all_entries

HOUR = 3_600_000
LONG_AGO = Window(1_760_000_400_000, 60)


def staff(cell: Cell, name: str, **changes: Any) -> Principal:
    fields: dict[str, Any] = {
        "name": name,
        "vkey": fresh_key(f"staff-{name}").verifier().vkey(),
        "role": "analyst",
        "employer": "operator",
        "place": "sg",
        "vetted": True,
    }
    with cell.database.write() as session:
        staff_id = enrol(session, Member(**(fields | changes)))
        return principal_of(cell, session, session.get_one(StaffRow, staff_id))


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Who was seen in which group; every question answers from it, without noise if a test takes it away."""
    seen: dict[str, list[str]] = {}

    def contributions(*_: object) -> Iterator[tuple[str, str]]:
        return ((account, group) for account, groups in seen.items() for group in groups)

    monkeypatch.setattr(aggregates, "_known", {})
    aggregates.offer(
        Question(name, 2, lambda *_: ["cats", "dogs", "cancer"], contributions)
        for name in ("views_by_hashtag", "views_by_hour", "accounts_active")
    )
    return seen


@pytest.fixture
def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "discrete_laplace", lambda scale: 0)


@pytest.mark.usefixtures("without_noise")
def test_one_person_counts_once_a_group_and_in_few_groups(cell: Cell, crowd: dict[str, list[str]]) -> None:
    crowd.update({f"{n:016x}": ["cats"] * 9 for n in range(30)})
    crowd["f" * 16] = ["cats", "dogs", "cats"] * 5
    counted = aggregates.count(cell, staff(cell, "lee"), "views_by_hashtag", LONG_AGO)
    assert counted.counts == {"cats": 31, "dogs": None}


@pytest.mark.usefixtures("without_noise")
def test_a_group_of_one_and_a_sensitive_group_are_not_shown(cell: Cell, crowd: dict[str, list[str]]) -> None:
    crowd.update({f"{n:016x}": ["cancer"] for n in range(40)})
    crowd["f" * 16] = ["dogs"]
    counted = aggregates.count(cell, staff(cell, "lee"), "views_by_hashtag", LONG_AGO)
    assert counted.counts == {"cats": None, "dogs": None}


def test_noise_has_the_scale_of_what_one_person_can_change(
    cell: Cell, crowd: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scales: list[Fraction] = []
    monkeypatch.setattr(aggregates, "discrete_laplace", lambda scale: scales.append(scale) or 100)
    counted = aggregates.count(cell, staff(cell, "lee"), "views_by_hashtag", LONG_AGO)
    # Two groups a person, epsilon 0.1: one draw of scale 2 / 0.1 for every group, empty ones too.
    assert scales == [Fraction(20), Fraction(20)]
    assert counted.counts == {"cats": 100, "dogs": 100}


def test_the_same_question_has_the_same_answer_for_everybody(cell: Cell, crowd: dict[str, list[str]]) -> None:
    lee = staff(cell, "lee")
    crowd.update({f"{n:016x}": ["cats"] for n in range(1000)})
    first = aggregates.count(cell, lee, "views_by_hashtag", LONG_AGO)
    # Somebody more or fewer makes no difference that could be seen: the answer was drawn once.
    crowd["f" * 16] = ["cats"]
    again = [aggregates.count(cell, lee, "views_by_hashtag", LONG_AGO) for _ in range(3)]
    other = aggregates.count(cell, staff(cell, "max"), "views_by_hashtag", LONG_AGO)
    assert {str(counted.counts) for counted in (first, *again, other)} == {str(first.counts)}
    assert [counted.spent for counted in (first, *again, other)] == [100, 0, 0, 0, 100]


@pytest.mark.usefixtures("crowd")
def test_a_budget_belongs_to_the_person_and_ends(cell: Cell) -> None:
    lee = staff(cell, "lee")
    twin = staff(cell, "lee-too", person=lee.id)
    for hour in range(10):
        who = (lee, twin)[hour % 2]
        window = Window(LONG_AGO.start_ms + hour * HOUR, 60)
        assert aggregates.count(cell, who, "views_by_hour", window).reason == ""
    for who in (lee, twin):
        window = Window(LONG_AGO.start_ms + 10 * HOUR, 60)
        refused = aggregates.count(cell, who, "views_by_hour", window)
        assert (refused.reason, refused.counts, refused.left) == ("budget-spent", {}, 0)
    # What is paid for stays answered.
    assert aggregates.count(cell, lee, "views_by_hour", LONG_AGO).counts
    found = [kinds.decode(data) for data in all_entries(cell.settings, cell.database)]
    answers = [entry for entry in found if isinstance(entry, kinds.AggregateAnswered)]
    assert [entry.spent_in_all for entry in answers if entry.spent] == list(range(100, 1001, 100))
    assert [entry.reason for entry in answers if entry.outcome == "refused"] == ["budget-spent"] * 2


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    ("changes", "question", "reason"),
    [
        ({"place": "parent-home"}, "views_by_hour", "excluded-place"),
        ({"reports_to_entity": "parent"}, "views_by_hour", "line-excluded"),
        ({"role": "approver"}, "views_by_hour", "role-not-allowed"),
        ({}, "names_by_hour", "question-not-agreed"),
        # The agreement lists it, but this process cannot answer it.
        ({}, "finishes_by_hashtag", "question-not-agreed"),
    ],
)
def test_who_may_not_ask_is_told_nothing(
    cell: Cell, changes: dict[str, str], question: str, reason: str
) -> None:
    refused = aggregates.count(cell, staff(cell, "max", **changes), question, LONG_AGO)
    assert (refused.reason, refused.counts) == (reason, {})


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    "window", [Window(LONG_AGO.start_ms + 1, 60), Window(LONG_AGO.start_ms, 61), Window(1 << 52, 10)]
)
def test_a_window_that_overlaps_others_or_is_not_over_is_refused(cell: Cell, window: Window) -> None:
    start = window.start_ms - window.start_ms % 600_000 if window.minutes == 10 else window.start_ms
    with pytest.raises(Problem) as refused:
        aggregates.count(cell, staff(cell, "lee"), "views_by_hour", Window(start, window.minutes))
    assert refused.value.status == 422
