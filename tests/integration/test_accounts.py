"""Accounts through HTTP, on both databases."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import text

from lightwell.residency.cell import Cell
from tests.factories.people import PASSWORD, form, sign_up

Client = TestClient[Litestar]


def test_a_new_account_is_signed_in_and_reads_its_own_data(client: Client) -> None:
    made = sign_up(client, "mira.folds")
    own = client.get("/api/me").json()
    assert own["account_id"] == made["account_id"]
    assert own["email"] == "mira.folds@example.org"
    assert own["phone"] == "+1 415 555 0132"
    assert own["birthday"] == "1994-03-09"
    assert own["address"] == "12 Atrium Lane, Austin"
    assert own["home_cell"] == "us"


def test_protected_fields_are_nowhere_in_clear_in_the_database(client: Client, cell: Cell) -> None:
    sign_up(client, "mira.folds")
    with cell.database.read() as session:
        row = session.execute(text("SELECT * FROM accounts")).one()
    stored = b"\n".join(bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row)
    for secret in (b"mira.folds@example.org", b"555 0132", b"1994-03-09", b"Atrium Lane", PASSWORD.encode()):
        assert secret not in stored


def test_signing_out_ends_the_session(client: Client) -> None:
    sign_up(client)
    token = client.cookies["lightwell_session"]
    assert client.delete("/api/session").status_code == 204
    client.cookies.clear()
    assert client.get("/api/me", headers={"cookie": f"lightwell_session={token}"}).status_code == 401


def test_signing_in_needs_the_right_password(client: Client) -> None:
    sign_up(client, "mira.folds")
    client.cookies.clear()
    wrong = client.post("/api/session", json={"handle": "mira.folds", "password": "something else"})
    assert wrong.status_code == 401
    assert wrong.headers["content-type"] == "application/problem+json"
    unknown = client.post("/api/session", json={"handle": "nobody.here", "password": PASSWORD})
    assert unknown.json() == wrong.json()
    right = client.post("/api/session", json={"handle": "mira.folds", "password": PASSWORD})
    assert right.status_code == 200
    assert client.get("/api/me").status_code == 200


def test_handle_and_email_belong_to_one_account_only(client: Client) -> None:
    sign_up(client, "mira.folds")
    assert client.post("/api/accounts", json=form("mira.folds", email="b@example.org")).status_code == 409
    again = client.post("/api/accounts", json=form("mira.two", email="MIRA.folds@example.org"))
    assert again.status_code == 409
    assert again.json()["type"] == "urn:lightwell:problem:email-taken"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("handle", "Mira Folds"),
        ("handle", "x"),
        ("password", "short"),
        ("display_name", ""),
        ("display_name", "a\u0007b"),
        ("email", "not an address"),
        ("phone", "call me"),
        ("birthday", "yesterday"),
        ("birthday", "2024-01-01"),
        ("birthday", "1802-01-01"),
    ],
)
def test_an_unusable_field_is_named_and_nothing_is_stored(
    client: Client, cell: Cell, field: str, value: str
) -> None:
    answer = client.post("/api/accounts", json=form(**{field: value}))
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    with cell.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM accounts")).scalar() == 0
        assert session.execute(text("SELECT count(*) FROM account_keys")).scalar() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"handle": 3}', b'{"handle":"a.b","extra":1}'])
def test_a_malformed_body_is_a_problem_document_not_an_error(client: Client, body: bytes) -> None:
    answer = client.post("/api/accounts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "status" in answer.json()


def test_a_request_from_another_sites_page_is_refused(client: Client) -> None:
    answer = client.post("/api/accounts", json=form(), headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert client.post("/api/accounts", json=form(), headers={"origin": "http://us.test"}).status_code == 201


def test_nobody_reads_an_account_without_a_session(client: Client) -> None:
    assert client.get("/api/me").status_code == 401
    client.cookies.set("lightwell_session", "made-up")
    assert client.get("/api/me").status_code == 401
