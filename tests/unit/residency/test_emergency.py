"""Break-glass on a real cell of either database: it ends, does not follow itself, and others judge it."""

from typing import Any

import pytest

from lightwell.base.errors import Problem
from lightwell.product.accounts.service import SignUp, sign_up
from lightwell.residency import access, access_emergency, directory
from lightwell.residency.access_rules import Answer, Ask
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from tests.factories.people import form
from tests.unit.residency.test_access import EMAIL, hire, principal, read, sequence


@pytest.fixture(autouse=True)
def mira(cell: Cell) -> None:
    sign_up(cell, SignUp(**form("mira.folds")), "203.0.113.7", "a browser")


def break_glass(cell: Cell, who: Principal, **changes: Any) -> Answer:
    alone = changes.pop("alone", True)
    fields: dict[str, Any] = {
        "subject": "mira.folds",
        "fields": [EMAIL],
        "purpose": "security_incident",
        "minutes": 15,
    }
    with cell.database.write() as session:
        return access_emergency.open_emergency(cell, session, who, Ask(**(fields | changes)), alone=alone)


def test_an_emergency_opened_alone_reads_ends_and_is_judged_by_another(cell: Cell) -> None:
    analyst, approver = hire(cell), principal(cell, hire(cell, "tom", role="approver"))
    who = principal(cell, analyst)
    opened = break_glass(cell, who)
    assert opened.status == "granted"
    assert read(cell, analyst, opened.request_id).reason == "grant-not-sequenced"
    sequence(cell)
    assert read(cell, analyst, opened.request_id).fields[EMAIL] == "mira.folds@example.org"
    assert break_glass(cell, who).reason == "emergency-open"
    with cell.database.write() as session:
        assert access.end_expired(session, (opened.expires_at or 0) + 1) == 1
    assert read(cell, analyst, opened.request_id).reason == "grant-ended"
    with cell.database.write() as session:
        judged = access_emergency.review(cell, session, approver, opened.request_id, justified=True)
    assert judged.status == "justified"
    assert break_glass(cell, who).reason == "emergency-chain"


def test_a_witness_who_leaves_takes_the_emergency_along(cell: Cell) -> None:
    analyst, one, two = hire(cell), hire(cell, "one"), hire(cell, "two")
    opened = break_glass(cell, principal(cell, analyst), alone=False)
    for witness in (one, two):
        with cell.database.write() as session:
            answer = access.approve(cell, session, principal(cell, witness), opened.request_id)
    assert answer.status == "granted"
    with cell.database.write() as session:
        assert directory.dismiss(cell, session, two) == 1
    assert read(cell, analyst, opened.request_id).reason != ""


def test_an_emergency_cannot_be_longer_than_agreed(cell: Cell) -> None:
    with pytest.raises(Problem) as refused:
        break_glass(cell, principal(cell, hire(cell)), minutes=16)
    assert refused.value.status == 422
