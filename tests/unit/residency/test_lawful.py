"""Lawful process: taken in, approved and answered by the regional entity at home, and by nobody else."""

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from lightwell.agreement.evidence import Case, Evidence
from lightwell.agreement.lawful_check import lawful_at_home
from lightwell.base.clock import now_ms
from lightwell.base.errors import Problem
from lightwell.product.accounts.service import SignUp, sign_up
from lightwell.residency import access, access_read, lawful
from lightwell.residency.access_models import StaffRow
from lightwell.residency.access_web import COOKIE
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.staff import Member, enrol, open_session, principal_of
from lightwell.wire import entries as kinds
from tests.factories.catalogue import sequence
from tests.factories.cells import fresh_key
from tests.factories.ledger import all_entries
from tests.factories.people import form

EMAIL = "user.contact.email"
DEMAND = lawful.Demand("District Court of Austin", "Warrant 24-117, 18 U.S.C. 2703", "mira.folds", [EMAIL])


def _hire(cell: Cell, name: str, **changes: Any) -> Principal:
    fields: dict[str, Any] = {
        "name": name,
        "vkey": fresh_key(f"staff-{name}").verifier().vkey(),
        "role": "analyst",
        "employer": "operator",
        "place": "us",
        "vetted": True,
    }
    with cell.database.write() as session:
        staff_id = enrol(session, Member(**(fields | changes)))
        return principal_of(cell, session, session.get_one(StaffRow, staff_id))


def _facts(cell: Cell, *wanted: type[kinds.Fact]) -> list[Any]:
    found = [kinds.decode(data) for data in all_entries(cell.settings, cell.database)]
    return [entry for entry in found if isinstance(entry, wanted)]


def _registered(cell: Cell) -> tuple[Principal, str]:
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    clerk = _hire(cell, "clerk")
    with cell.database.write() as session:
        taken = lawful.register(cell, session, clerk, DEMAND)
    assert taken.status == "pending"
    return clerk, taken.request_id


def _granted(cell: Cell) -> tuple[Principal, str]:
    clerk, request_id = _registered(cell)
    counsel = _hire(cell, "counsel", role="approver")
    with cell.database.write() as session:
        assert lawful.approve(cell, session, counsel, request_id).status == "granted"
    sequence(cell)
    return clerk, request_id


def test_a_demand_is_answered_once_with_the_granted_fields_and_recorded(cell: Cell) -> None:
    clerk, request_id = _granted(cell)
    with cell.database.write() as session:
        assert lawful.answer(cell, session, clerk, request_id).fields == {EMAIL: "mira.folds@example.org"}
    with cell.database.write() as session, pytest.raises(Problem) as again:
        lawful.answer(cell, session, clerk, request_id)
    assert again.value.slug == "already-answered"
    (received,) = _facts(cell, kinds.LawfulRequestReceived)
    (answered,) = _facts(cell, kinds.LawfulRequestAnswered)
    assert (received.request, received.fields) == (request_id, [EMAIL])
    assert (answered.request, answered.fields, answered.approvals) == (request_id, [EMAIL], 1)
    assert [(entry.entity, entry.place) for entry in (received, answered)] == [("operator", "us")] * 2
    judged = lawful_at_home(
        Case(
            agreement=cell.agreement,
            evidence=Evidence(enumerate(_facts(cell, kinds.Fact))),
            region="us",
            verdicts={},
            peers={},
            regions={},
            roster=None,
            now=now_ms() // 1000 + 600,
        )
    )
    assert (judged.status, judged.why[:32]) == ("met", "1 demand taken in, 1 answered at"), judged
    told = b"".join(all_entries(cell.settings, cell.database))
    for secret in (b"mira", b"Austin", b"Warrant"):
        assert secret not in told


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ({"place": "sg"}, "not-at-home"),
        ({"employer": "partner", "role": "partner"}, "regional-entity-only"),
        ({"employer": "parent"}, "line-excluded"),
        ({"reports_to_entity": "parent"}, "line-excluded"),
        ({"vetted": False}, "not-vetted"),
    ],
)
def test_nobody_else_takes_a_demand_in(cell: Cell, who: dict[str, Any], reason: str) -> None:
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    stranger = _hire(cell, "stranger", **who)
    with cell.database.write() as session:
        answer = lawful.register(cell, session, stranger, DEMAND)
    assert (answer.status, answer.reason) == ("refused", reason)
    (refused,) = _facts(cell, kinds.LawfulRequestRefused)
    assert refused.reason == reason
    assert not _facts(cell, kinds.LawfulRequestReceived)


def test_nobody_else_approves_or_answers_one(cell: Cell) -> None:
    clerk, request_id = _registered(cell)
    partner = _hire(cell, "pia", employer="partner", role="partner")
    with cell.database.write() as session:
        assert lawful.approve(cell, session, partner, request_id).reason == "regional-entity-only"
        assert lawful.approve(cell, session, clerk, request_id).status == "refused"
        # Nor by the door of other requests, which knows of no such entity.
        assert access.approve(cell, session, partner, request_id).reason == "regional-entity-only"
    counsel = _hire(cell, "counsel", role="approver")
    with cell.database.write() as session:
        assert lawful.approve(cell, session, counsel, request_id).status == "granted"
    sequence(cell)
    with cell.database.write() as session:
        assert lawful.answer(cell, session, partner, request_id).reason == "regional-entity-only"
        assert access_read.read(cell, session, clerk, request_id).reason == "regional-entity-only"
    assert not _facts(cell, kinds.LawfulRequestAnswered, kinds.AccessUsed)


def test_no_request_claims_the_purpose_without_a_demand(cell: Cell) -> None:
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    clerk = _hire(cell, "clerk")
    with cell.database.write() as session:
        asked = access.ask(cell, session, clerk, access.Ask("mira.folds", [EMAIL], "legal_process", 5))
    assert (asked.status, asked.reason) == ("refused", "regional-entity-only")


def test_a_demand_names_its_authority_and_its_basis(cell: Cell) -> None:
    clerk = _hire(cell, "clerk")
    for wrong in (lawful.Demand("", "b c d", "x", [EMAIL]), lawful.Demand("A court", "<b>", "x", [EMAIL])):
        with cell.database.write() as session, pytest.raises(Problem) as refusal:
            lawful.register(cell, session, clerk, wrong)
        assert refusal.value.status == 422


def test_over_http_staff_sign_in_and_a_stranger_gets_a_problem(
    cell: Cell, client: TestClient[Litestar]
) -> None:
    body = {"authority": DEMAND.authority, "basis": DEMAND.basis, "subject": "mira.folds", "fields": [EMAIL]}
    assert client.post("/api/lawful/requests", json=body).status_code == 401
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    ids: dict[str, str] = {}
    for name, role, place in (
        ("clerk", "analyst", "us"),
        ("counsel", "approver", "us"),
        ("far", "analyst", "sg"),
    ):
        who = _hire(cell, name, role=role, place=place)
        with cell.database.write() as session:
            row = session.get_one(StaffRow, who.id)
            ids[name] = open_session(cell, session, row, f"challenge of {name}", now_ms())

    def act(name: str, method: str, path: str, json: Any = None) -> Any:
        cookie = {"cookie": f"{COOKIE}={ids[name]}"}
        return client.request(method, f"/api/lawful/requests{path}", json=json, headers=cookie)

    assert act("far", "POST", "", body).json()["reason"] == "not-at-home"
    request_id = act("clerk", "POST", "", body).json()["request_id"]
    assert act("counsel", "POST", f"/{request_id}/approve").status_code == 200
    sequence(cell)
    assert act("clerk", "GET", f"/{request_id}/answer").json()["fields"] == {EMAIL: "mira.folds@example.org"}
    assert act("clerk", "GET", f"/{request_id}/answer").status_code == 409
    assert act("clerk", "GET", "/0000000000000000/answer").status_code == 404
