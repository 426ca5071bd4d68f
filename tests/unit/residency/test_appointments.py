"""Whoever may be vetoed counts only by the authority's signature, or its silence where that is agreed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from lightwell.agreement.appointments import Verb, make_paper
from lightwell.agreement.roster import Seat
from lightwell.apps.web import build_app
from lightwell.base.clock import now_ms
from lightwell.base.errors import Problem
from lightwell.product.accounts.service import SignUp, sign_up
from lightwell.residency import access, access_read, directory
from lightwell.residency.access_models import AccessRequestRow, StaffRow
from lightwell.residency.appointments import is_appointed, proposals, propose
from lightwell.residency.appointments_decided import decide
from lightwell.residency.appointments_models import AppointmentRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.staff import Member, enrol, principal_of
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey
from tests.factories.catalogue import sequence
from tests.factories.cells import found_cell, fresh_key
from tests.factories.ledger import all_entries
from tests.factories.people import form

EMAIL = "user.contact.email"
DAY_MS = 86_400_000
AUTHORITY = fresh_key("authority")
BOARD = fresh_key("board")
SEATS = [
    Seat("authority", "Authority", AUTHORITY.verifier().vkey()),
    Seat("board", "Member 1", BOARD.verifier().vkey()),
]


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    """A cell whose analysts and executives count by consent only."""
    opened = _cell(tmp_path, "consent")
    yield opened
    opened.close()


def _cell(folder: Path, counts: str) -> Cell:
    found_cell(folder / "us", "sqlite:///cell.db", seats=SEATS).close()
    file = folder / "us" / "agreement.toml"
    text = file.read_text("utf-8")
    changed = text.replace('roles = ["executive"]', 'roles = ["executive", "analyst"]')
    changed = changed.replace('counts = "no-veto"', f'counts = "{counts}"')
    file.write_text(changed, "utf-8")
    return Cell.open(folder / "us")


def _enter(cell: Cell, name: str, **changes: Any) -> str:
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
        propose(cell, session, staff_id)
        return staff_id


def _who(cell: Cell, staff_id: str) -> Principal:
    with cell.database.read() as session:
        return principal_of(cell, session, session.get_one(StaffRow, staff_id))


def _proposal(cell: Cell, staff_id: str) -> AppointmentRow:
    with cell.database.read() as session:
        return [row for row, _ in proposals(session) if row.staff_id == staff_id][-1]


def _say(cell: Cell, verb: Verb, staff_id: str, key: SigningKey = AUTHORITY, where: str = "us") -> str:
    row = _proposal(cell, staff_id)
    return decide(cell, make_paper(key, verb, where, row.appointment_id, row.commitment))


def _ask(cell: Cell, staff_id: str) -> access.Answer:
    with cell.database.write() as session:
        form = access.Ask("mira.folds", [EMAIL], "account_support", 5)
        return access.ask(cell, session, _who(cell, staff_id), form)


def _facts(cell: Cell, *wanted: type[kinds.Fact]) -> list[Any]:
    found = [kinds.decode(data) for data in all_entries(cell.settings, cell.database)]
    return [entry for entry in found if isinstance(entry, wanted)]


def test_nobody_acts_before_the_authority_has_consented(cell: Cell) -> None:
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    ana = _enter(cell, "Ana")
    assert _ask(cell, ana).reason == "not-appointed"
    assert _say(cell, "consent", ana) == "consented"
    assert _ask(cell, ana).status == "pending"
    (proposed,), (decided,) = _facts(cell, kinds.AppointmentProposed), _facts(cell, kinds.AppointmentDecided)
    assert (proposed.role, proposed.counts_at, decided.outcome) == ("analyst", 0, "consented")
    told = b"".join(all_entries(cell.settings, cell.database))
    assert b"Ana" not in told
    assert ana.encode() not in told


def test_a_veto_ends_it_with_the_grants_of_whoever_reports_to_them(cell: Cell) -> None:
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    ana, approver = _enter(cell, "Ana"), _enter(cell, "Pia", role="approver")
    _say(cell, "consent", ana)
    request_id = _ask(cell, ana).request_id
    with cell.database.write() as session:
        assert access.approve(cell, session, _who(cell, approver), request_id).status == "granted"
    sequence(cell)
    head = _enter(cell, "Head", role="executive")
    with cell.database.write() as session:
        # Below somebody who does not count yet, nobody counts; their grants end at once.
        assert directory.change_member(cell, session, ana, directory.Change(reports_to=head)) == 1
        assert access_read.read(cell, session, _who(cell, ana), request_id).reason
        assert session.get_one(AccessRequestRow, request_id).status == "revoked"
    assert _say(cell, "veto", head) == "vetoed"
    assert not _who(cell, head).appointed
    assert _ask(cell, ana).reason == "not-appointed"
    assert [entry.what for entry in _facts(cell, kinds.DirectoryChanged)][-1] == ["appointment"]


def test_an_approval_of_somebody_who_no_longer_counts_holds_no_grant(cell: Cell) -> None:
    sign_up(cell, SignUp(**form("mira.folds")), "127.0.0.1", "browser")
    ana, approver = _enter(cell, "Ana"), _enter(cell, "Pia", role="approver")
    _say(cell, "consent", ana)
    request_id = _ask(cell, ana).request_id
    with cell.database.write() as session:
        assert access.approve(cell, session, _who(cell, approver), request_id).status == "granted"
    head = _enter(cell, "Head", role="executive")
    with cell.database.write() as session:
        assert directory.change_member(cell, session, approver, directory.Change(reports_to=head)) == 1
        assert session.get_one(AccessRequestRow, request_id).status == "revoked"


def test_silence_counts_only_after_the_agreed_days_and_a_late_veto_is_refused(tmp_path: Path) -> None:
    cell = _cell(tmp_path, "no-veto")
    ana = _enter(cell, "Ana")
    with cell.database.read() as session:
        row = session.get_one(StaffRow, ana)
        assert not is_appointed(cell, session, row, now_ms() + 30 * DAY_MS - 60_000)
        assert is_appointed(cell, session, row, now_ms() + 30 * DAY_MS + 60_000)
    with cell.database.write() as session:
        kept = session.get_one(AppointmentRow, _proposal(cell, ana).appointment_id)
        kept.counts_at = now_ms() - 1
    with pytest.raises(Problem) as late:
        _say(cell, "veto", ana)
    assert late.value.extra["reason"] == "too-late"
    assert _who(cell, ana).appointed
    cell.close()


@pytest.mark.parametrize(
    ("key", "where", "reason"),
    [(fresh_key("authority"), "us", "not-empowered"), (BOARD, "us", "not-empowered"),
     (AUTHORITY, "sg", "wrong-cell")],
)  # fmt: skip
def test_nobody_elses_word_counts(cell: Cell, key: SigningKey, where: str, reason: str) -> None:
    ana = _enter(cell, "Ana")
    with pytest.raises(Problem) as refusal:
        _say(cell, "consent", ana, key, where)
    assert refusal.value.extra["reason"] == reason
    assert not _who(cell, ana).appointed


def test_a_paper_is_about_one_person_and_is_taken_once(cell: Cell) -> None:
    ana, eve = _enter(cell, "Ana"), _enter(cell, "Eve")
    mine, other = _proposal(cell, ana), _proposal(cell, eve)
    with pytest.raises(Problem) as swapped:
        decide(cell, make_paper(AUTHORITY, "consent", "us", other.appointment_id, mine.commitment))
    assert swapped.value.extra["reason"] == "another-person"
    assert _say(cell, "veto", ana) == "vetoed"
    with pytest.raises(Problem) as again:
        _say(cell, "consent", ana)
    assert again.value.extra["reason"] == "already-decided"
    assert not _who(cell, ana).appointed


def test_who_was_never_proposed_or_hides_behind_another_account_does_not_count(cell: Cell) -> None:
    with cell.database.write() as session:
        quiet = enrol(session, Member(
            name="Quiet", vkey=fresh_key("q").verifier().vkey(), role="analyst", employer="operator",
            place="us", vetted=True,
        ))  # fmt: skip
    assert not _who(cell, quiet).appointed
    head = _enter(cell, "Head", role="executive")
    second = _enter(cell, "Head-again", role="approver", person=head)
    assert not _who(cell, second).appointed
    _say(cell, "consent", head)
    assert _who(cell, second).appointed


def test_a_new_role_that_may_be_vetoed_is_proposed_anew(cell: Cell) -> None:
    pia = _enter(cell, "Pia", role="approver")
    assert _who(cell, pia).appointed
    with cell.database.write() as session:
        directory.change_member(cell, session, pia, directory.Change(role="executive"))
    assert not _who(cell, pia).appointed
    assert [entry.role for entry in _facts(cell, kinds.AppointmentProposed)] == ["executive"]


def test_anybody_delivers_the_paper_over_http_and_no_name_is_listed(cell: Cell) -> None:
    ana = _enter(cell, "Ana")
    row = _proposal(cell, ana)
    with TestClient(build_app(cell), base_url="http://us.test") as client:
        (listed,) = client.get("/api/appointments").json()["appointments"]
        assert (listed["commitment"], listed["state"]) == (row.commitment, "proposed")
        assert "Ana" not in str(listed)
        assert ana not in str(listed)
        assert client.post("/api/appointments/decisions", json={"paper": "x"}).status_code == 400
        paper = make_paper(AUTHORITY, "consent", "us", row.appointment_id, row.commitment)
        answer = client.post("/api/appointments/decisions", json={"paper": paper})
        assert (answer.status_code, answer.json()) == (200, {"outcome": "consented"})
        assert client.post("/api/appointments/decisions", json={"paper": paper}).status_code == 409
