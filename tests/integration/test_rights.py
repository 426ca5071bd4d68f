"""People's rights through HTTP: all of one's data at once, corrections, and an account deleted for good."""

import hashlib
import json
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from lightwell.base.db import Model
from lightwell.product.accounts import AccountRow
from lightwell.product.rights.export import columns_told
from lightwell.product.videos import VideoCountRow, VideoRow, WithdrawnVideoRow
from lightwell.residency import sealed_rows
from lightwell.residency.cell import Cell
from lightwell.residency.keys_models import AccountKey
from lightwell.residency.labels import data_map
from lightwell.wire import entries
from lightwell.wire.canonical import encode
from lightwell.wire.commitment import opens
from tests.factories.catalogue import publish_catalogue, sequence, video_id
from tests.factories.events import event, report
from tests.factories.ledger import all_entries
from tests.factories.people import PASSWORD, form, sign_up

Client = TestClient[Litestar]


def _busy_account(client: Client, cell: Cell) -> tuple[str, str]:
    """An account that watched, was answered a slate, published a video and keeps a draft; and its video."""
    me = sign_up(client)["account_id"]
    publish_catalogue(cell)
    report(client, event("watch", video_id(0), 7000), event("like", video_id(0)))
    assert client.get("/api/feed?k=4").status_code == 200
    video = "00000000000f00d1"
    with cell.database.write() as session:
        common: dict[str, Any] = {
            "account_id": me,
            "publish": True,
            "created_at": 1,
            "origin_cell": "us",
            "creator_handle": "mira.folds",
            "creator_name": "Mira",
            "media": {},
            "hashtags": [],
            "duration_ms": 8000,
            "width": 720,
            "height": 1280,
        }
        session.add(
            VideoRow(video_id=video, status="published", published_at=2, caption="paper cranes", **common)
        )
        draft = "00000000000f00d2"
        said = cell.vault.seal(session, me, "videos", "draft", draft, b'{"caption":"not yet shown"}')
        session.add(VideoRow(video_id=draft, status="ready", draft=said, caption="", **common))
        session.flush()
        session.add(VideoCountRow(video_id=video, views=3, likes=2, shares=1))
    cell.objects.put(f"videos/{video}/540.mp4", b"moving pictures")
    return me, video


def _export(client: Client) -> dict[str, Any]:
    answer = client.get("/api/me/export")
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    found: dict[str, Any] = answer.json()
    return found


def test_an_export_has_what_a_person_gave_did_made_and_was_shown(client: Client, cell: Cell) -> None:
    me, video = _busy_account(client, cell)
    tables = _export(client)["tables"]
    (account,) = tables["accounts"]
    assert account["email"] == "mira.folds@example.org"
    assert account["birthday"] == "1994-03-09"
    assert [row["sealed"]["kind"] for row in tables["viewer_events"]] == ["watch", "like"]
    assert video_id(0) in tables["viewer_states"][0]["sealed"]["likes"]
    videos = {row["status"]: row for row in tables["videos"]}
    assert videos["published"]["caption"] == "paper cranes"
    assert videos["published"]["links"]["540"].endswith(f"{video}/540.mp4")
    assert videos["ready"]["draft"] == {"caption": "not yet shown"}
    slate = tables["slate_records"][0]
    digests = [hashlib.sha256(encode(slate["sealed"][name])).digest() for name in ("inputs", "slate")]
    opening = bytes.fromhex(slate["sealed"]["opening"])
    assert opens(bytes.fromhex(slate["commitment"]), "slate", opening, *digests)
    assert all(row["account_id"] == me for rows in tables.values() for row in rows)


def test_an_export_has_each_column_of_the_data_map_or_says_why_not(client: Client, cell: Cell) -> None:
    _busy_account(client, cell)
    found = _export(client)
    withheld = {one["column"]: one["why"] for one in found["withheld"]}
    keyed = {table.name for table in Model.metadata.tables.values() if "account_id" in table.c}
    for held in data_map():
        if held.kind == "column" and held.place in keyed and held.residency in ("protected", "public"):
            name = f"{held.place}.{held.field}"
            assert name in found["columns"] or withheld.get(name), name
    for table, rows in found["tables"].items():
        for row in rows:
            for column in row.keys() - {"links"}:
                assert f"{table}.{column}" in found["columns"]
    assert "accounts.password" in withheld
    assert PASSWORD not in json.dumps(found)
    assert columns_told()[0] == found["columns"]


def test_every_sealed_table_of_accounts_says_what_names_its_rows() -> None:
    for table in sealed_rows.account_tables():
        if sealed_rows.sealed_columns(table):
            assert sealed_rows.row_name(table, {column.name: "x" for column in table.columns}) == "x"


def test_an_export_is_ones_own(client: Client, cell: Cell) -> None:
    _busy_account(client, cell)
    client.cookies.clear()
    assert client.get("/api/me/export").status_code == 401
    sign_up(client, "other.one", phone="+1 415 555 0199")
    text = json.dumps(_export(client))
    assert "mira.folds" not in text
    assert "other.one@example.org" in text


def test_an_export_says_when_staff_asked_to_look(client: Client, cell: Cell) -> None:
    from lightwell.residency.access_models import AccessRequestRow, StaffRow

    me = sign_up(client)["account_id"]
    with cell.database.write() as session:
        session.add(
            StaffRow(
                staff_id="00000000000000aa",
                person="p",
                name="Nora Quill",
                vkey="k",
                role="analyst",
                employer="operator",
                place="us",
                vetted=True,
            )
        )
        session.flush()
        session.add(
            AccessRequestRow(
                request_id="00000000000000bb",
                staff_id="00000000000000aa",
                person="p",
                place="us",
                role="analyst",
                subject_id=me,
                subject_handle="mira.folds",
                fields=["user.contact.email"],
                purpose="account_support",
                minutes=5,
                ticket="",
                status="expired",
                reason="expired",
                requested_at=7,
                uses=2,
            )
        )
    found = _export(client)
    assert [(look["fields"], look["uses"]) for look in found["looks"]] == [(["user.contact.email"], 2)]
    assert "Nora Quill" not in json.dumps(found)


def test_details_are_corrected_sealed_and_found_again(client: Client, cell: Cell) -> None:
    me = sign_up(client)["account_id"]
    changed = {
        "email": "New.Mira@example.org",
        "phone": "",
        "address": "9 Other Row",
        "display_name": "M. F.",
    }
    answer = client.patch("/api/me", json={"password": PASSWORD, **changed})
    assert answer.status_code == 200, answer.text
    own = client.get("/api/me").json()
    assert (own["email"], own["phone"], own["address"]) == ("new.mira@example.org", None, "9 Other Row")
    assert (own["display_name"], own["birthday"]) == ("M. F.", "1994-03-09")
    client.cookies.clear()
    taken = client.post("/api/accounts", json=form("other.one", email="new.mira@example.org"))
    assert taken.status_code == 409
    assert client.post("/api/accounts", json=form("other.two", email="mira.folds@example.org")).is_success
    with cell.database.read() as session:
        stored = session.get_one(AccountRow, me)
        assert b"Other Row" not in bytes(stored.address or b"")


def test_a_correction_needs_the_password_and_usable_values(client: Client) -> None:
    sign_up(client, "other.one")
    client.cookies.clear()
    sign_up(client)
    before = client.get("/api/me").json()
    assert client.patch("/api/me", json={"password": "guessed it", "phone": ""}).status_code == 403
    for wrong in ({"email": "nowhere"}, {"birthday": "2024-01-01"}, {"display_name": " "}, {"phone": "call"}):
        answer = client.patch("/api/me", json={"password": PASSWORD, **wrong})
        assert answer.status_code == 422, wrong
        assert answer.json()["field"] == next(iter(wrong))
    mine = {"password": PASSWORD, "email": "other.one@example.org"}
    assert client.patch("/api/me", json=mine).status_code == 409
    assert client.get("/api/me").json() == before


def test_an_account_is_deleted_only_with_its_password(client: Client) -> None:
    sign_up(client)
    wrong = client.request("DELETE", "/api/me", json={"password": "guessed it"})
    assert wrong.status_code == 403
    assert wrong.json()["type"] == "urn:lightwell:problem:wrong-password"
    assert client.request("DELETE", "/api/me", json={}).status_code == 400
    assert client.get("/api/me").status_code == 200


def test_a_deleted_account_leaves_no_row_no_key_and_no_file(client: Client, cell: Cell) -> None:
    me, video = _busy_account(client, cell)
    token = client.cookies["lightwell_session"]
    answer = client.request("DELETE", "/api/me", json={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    with cell.database.read() as session:
        for table in Model.metadata.sorted_tables:
            for name in ("account_id", "subject_id"):
                if name in table.c:
                    assert not session.execute(select(table).where(table.c[name] == me)).all(), table.name
        assert session.get(AccountKey, me) is None
        assert session.get(VideoRow, video) is None
        assert session.get(WithdrawnVideoRow, video) is not None
    assert list(cell.objects.list(f"videos/{video}")) == []
    client.cookies.clear()
    assert client.get("/api/me", headers={"cookie": f"lightwell_session={token}"}).status_code == 401
    again = client.post("/api/session", json={"handle": "mira.folds", "password": PASSWORD})
    assert again.status_code == 401


def test_a_deletion_is_an_entry_that_only_its_person_can_open(client: Client, cell: Cell) -> None:
    me, _ = _busy_account(client, cell)
    told = client.request("DELETE", "/api/me", json={"password": PASSWORD}).json()
    sequence(cell)
    facts = [entries.decode(data) for data in all_entries(cell.settings, cell.database)]
    (erased,) = [fact for fact in facts if isinstance(fact, entries.AccountErased)]
    assert erased.commitment == told["commitment"]
    digest = hashlib.sha256(encode({"account": me})).digest()
    commitment, opening = bytes.fromhex(told["commitment"]), bytes.fromhex(told["opening"])
    assert opens(commitment, "erasure", opening, digest)
    assert not opens(commitment, "erasure", bytes(32), digest)
    assert any(isinstance(fact, entries.VideoWithdrawn) for fact in facts)
    assert me.encode() not in b"".join(all_entries(cell.settings, cell.database))
