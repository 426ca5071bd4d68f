"""The staff desk over HTTP: sign-in by key, and the same refusals as problem documents."""

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from lightwell.ledger.sequencer import Sequencer
from lightwell.residency.access_models import StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.staff import CHALLENGE_MS, Member, challenge, enrol
from lightwell.wire.keys import SigningKey
from tests.factories.cells import fresh_key
from tests.factories.people import sign_up

Client = TestClient[Litestar]
ASK = {
    "subject": "mira.folds",
    "fields": ["user.contact.email"],
    "purpose": "account_support",
    "minutes": 10,
    "ticket": "SUP-1",
}


def hire(cell: Cell, name: str, role: str = "analyst", place: str = "us") -> SigningKey:
    key = fresh_key(f"staff-{name}")
    vkey = key.verifier().vkey()
    with cell.database.write() as session:
        enrol(session, Member(name=name, vkey=vkey, role=role, employer="operator", place=place, vetted=True))
    return key


def answer(client: Client, key: SigningKey, **changes: Any) -> Any:
    vkey = key.verifier().vkey()
    given = client.post("/api/staff/challenge", json={"vkey": vkey}).json()["challenge"]
    signature = key.sign(b"lightwell/sign-in/v1\n" + given.encode()).hex()
    body = {"vkey": vkey, "challenge": given, "signature": signature} | changes
    return client.post("/api/staff/session", json=body), body


def sign_in(client: Client, key: SigningKey) -> None:
    response, _ = answer(client, key)
    assert response.status_code == 200, response.text


def test_a_grant_over_http_from_request_to_revocation(client: Client, cell: Cell) -> None:
    sign_up(client, "mira.folds")
    analyst, approver = hire(cell, "ana"), hire(cell, "tom", "approver")
    sign_in(client, analyst)
    asked = client.post("/api/access/requests", json=ASK)
    assert asked.status_code == 201
    assert asked.json()["status"] == "pending"
    path = f"/api/access/requests/{asked.json()['request_id']}"
    assert client.post(f"{path}/approve").json()["reason"] == "role-not-allowed"
    sign_in(client, approver)
    listed = client.get("/api/access/requests").json()["requests"]
    assert [(row["by"], row["mine"], row["subject"]) for row in listed] == [("ana", False, "mira.folds")]
    assert client.post(f"{path}/approve").json()["status"] == "granted"
    sign_in(client, analyst)
    early = client.get(f"{path}/fields")
    assert (early.status_code, early.json()["reason"]) == (403, "grant-not-sequenced")
    Sequencer(cell.settings, cell.database, cell.vault.signing_key("ledger")).run_once()
    shown = client.get(f"{path}/fields")
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    assert shown.json()["fields"]["user.contact.email"] == "mira.folds@example.org"
    assert isinstance(client.get("/api/access/requests").json()["requests"][0]["entry"], int)
    assert client.post(f"{path}/revoke").json()["status"] == "revoked"
    assert client.get(f"{path}/fields").json()["reason"] == "grant-ended"


def test_staff_abroad_are_refused_with_a_problem_document(client: Client, cell: Cell) -> None:
    sign_in(client, hire(cell, "lee", place="sg"))
    refused = client.post("/api/access/requests", json=ASK)
    assert refused.status_code == 403
    assert refused.headers["content-type"].startswith("application/problem+json")
    body = refused.json()
    assert body["type"].endswith(":refused")
    assert body["reason"] == "not-at-home"
    own = client.get("/api/access/requests").json()["requests"]
    assert [(row["request_id"], row["status"]) for row in own] == [(body["request_id"], "refused")]


def test_staff_see_only_their_own_requests_unless_they_may_approve(client: Client, cell: Cell) -> None:
    sign_up(client, "mira.folds")
    sign_in(client, hire(cell, "ana"))
    client.post("/api/access/requests", json=ASK)
    for name, role, place in (("bo", "analyst", "us"), ("lee", "approver", "sg")):
        sign_in(client, hire(cell, name, role, place))
        assert client.get("/api/access/requests").json()["requests"] == []


def test_without_a_staff_session_the_desk_is_closed(client: Client) -> None:
    sign_up(client, "mira.folds")
    assert client.get("/api/access/requests").status_code == 401
    assert client.post("/api/access/requests", json=ASK).status_code == 401
    assert client.get("/api/access/requests/0123456789abcdef/fields").status_code == 401


def test_a_challenge_works_once(client: Client, cell: Cell) -> None:
    key = hire(cell, "ana")
    response, body = answer(client, key)
    assert response.status_code == 200
    assert client.post("/api/staff/session", json=body).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "00" * 64},
        {"signature": "not hex"},
        {"challenge": "0" * 32 + ".1." + "0" * 64},
        {"challenge": "..é"},
        {"challenge": ""},
    ],
)
def test_a_wrong_answer_opens_nothing(client: Client, cell: Cell, changes: dict[str, str]) -> None:
    response, _ = answer(client, hire(cell, "ana"), **changes)
    assert response.status_code == 401
    assert "lightwell_staff" not in client.cookies


def test_a_key_that_is_in_no_directory_opens_nothing(client: Client) -> None:
    response, _ = answer(client, fresh_key("stranger"))
    assert response.status_code == 401


def test_a_key_cannot_answer_the_challenge_of_another(client: Client, cell: Cell) -> None:
    ana, bo = hire(cell, "ana"), hire(cell, "bo")
    theirs = client.post("/api/staff/challenge", json={"vkey": bo.verifier().vkey()}).json()["challenge"]
    signature = ana.sign(b"lightwell/sign-in/v1\n" + theirs.encode()).hex()
    response, _ = answer(client, ana, challenge=theirs, signature=signature)
    assert response.status_code == 401


def test_an_old_challenge_opens_nothing(client: Client, cell: Cell) -> None:
    key = hire(cell, "ana")
    old = challenge(cell, key.verifier().vkey(), now=1_000_000 - CHALLENGE_MS)
    signature = key.sign(b"lightwell/sign-in/v1\n" + old.encode()).hex()
    response, _ = answer(client, key, challenge=old, signature=signature)
    assert response.status_code == 401


def test_whoever_leaves_is_signed_out_at_once(client: Client, cell: Cell) -> None:
    key = hire(cell, "ana")
    sign_in(client, key)
    assert client.get("/api/staff/session").json()["name"] == "ana"
    with cell.database.write() as session:
        for row in session.query(StaffRow):
            row.active = False
    assert client.get("/api/staff/session").status_code == 401


def test_signing_out_ends_the_session(client: Client, cell: Cell) -> None:
    sign_in(client, hire(cell, "ana"))
    token = client.cookies["lightwell_staff"]
    assert client.delete("/api/staff/session").status_code == 204
    client.cookies.clear()
    headers = {"cookie": f"lightwell_staff={token}"}
    assert client.get("/api/staff/session", headers=headers).status_code == 401


@pytest.mark.parametrize("body", [{}, {"subject": 1}, ASK | {"more": 1}, ASK | {"fields": "user"}, []])
def test_a_form_of_another_shape_is_a_client_error(client: Client, cell: Cell, body: Any) -> None:
    sign_in(client, hire(cell, "ana"))
    assert client.post("/api/access/requests", json=body).status_code == 400


def test_an_unknown_request_is_not_found(client: Client, cell: Cell) -> None:
    sign_in(client, hire(cell, "ana"))
    assert client.get("/api/access/requests/0123456789abcdef/fields").status_code == 404
    assert client.post("/api/access/requests/0123456789abcdef/approve").status_code == 404
