"""Erasing an account leaves nothing that opens, finds or proves anything of it; others keep all they have."""

from contextlib import suppress
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from lightwell.base.db import Model
from lightwell.residency import erasure
from lightwell.residency.cell import Cell
from lightwell.residency.keys import KeyDestroyedError
from tests.factories.people import PASSWORD, sign_up


def rows(cell: Cell, account_id: str) -> dict[str, list[Any]]:
    with cell.database.read() as session:
        return {
            table.name: found
            for table in Model.metadata.sorted_tables
            if "account_id" in table.c
            and (
                found := session.execute(select(table).where(table.c.account_id == account_id))
                .mappings()
                .all()
            )
        }


@pytest.fixture
def two(cell: Cell, client: TestClient[Litestar]) -> tuple[str, str]:
    ana = sign_up(client, "ana.one")["account_id"]
    client.cookies.clear()
    ben = sign_up(client, "ben.two")["account_id"]
    return ana, ben


def test_erasing_destroys_key_index_rows_and_sealed_values(
    cell: Cell, client: TestClient[Litestar], two: tuple[str, str]
) -> None:
    ana, ben = two
    before = rows(cell, ben)
    with cell.database.write() as session:
        sealed = cell.vault.seal(session, ana, "accounts", "email", ana, b"kept elsewhere")
        erased = erasure.erase(cell, session, ana)
    assert erased.emptied == {"accounts": 1}
    assert {"sessions", "guarded_values"} <= set(erased.deleted)
    left = rows(cell, ana)
    assert set(left) == {"accounts"}
    (row,) = left["accounts"]
    assert {row[name] for name in ("email", "password", "birthday", "sign_in_ip", "device")} == {b""}
    assert row["phone"] is None
    assert row["email_index"] != cell.vault.blind_index("accounts.email", "ana.one@example.org")
    with cell.database.read() as session, pytest.raises(KeyDestroyedError):
        cell.vault.seal(session, ana, "accounts", "email", ana, sealed)
    assert rows(cell, ben) == before
    assert client.get("/api/me").json()["email"] == "ben.two@example.org"


def test_erased_account_cannot_sign_in_and_its_address_is_free_again(
    cell: Cell, client: TestClient[Litestar], two: tuple[str, str]
) -> None:
    with cell.database.write() as session:
        erasure.erase(cell, session, two[0])
    client.cookies.clear()
    answer = client.post("/api/session", json={"handle": "ana.one", "password": PASSWORD})
    assert 400 <= answer.status_code < 500
    assert sign_up(client, "ana.new", email="ana.one@example.org")["account_id"]


def test_erasing_rolls_back_whole_and_may_be_done_twice(cell: Cell, two: tuple[str, str]) -> None:
    before = rows(cell, two[0])
    with suppress(ZeroDivisionError), cell.database.write() as session:
        erasure.erase(cell, session, two[0])
        raise ZeroDivisionError
    assert rows(cell, two[0]) == before
    for _ in range(2):
        with cell.database.write() as session:
            erasure.erase(cell, session, two[0])
    assert set(rows(cell, two[0])) == {"accounts"}
