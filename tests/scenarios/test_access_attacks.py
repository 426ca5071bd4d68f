"""Attempts by staff to see what they may not: each is refused or alarmed, recorded, and nothing gets out."""

import itertools
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from lightwell.residency import directory
from lightwell.residency.access_models import AccessApprovalRow, AccessRequestRow
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.sealing import SealError
from lightwell.wire.entries import (
    AccessDecided,
    AccessEnded,
    AccessOpened,
    AccessRequested,
    AccessReviewed,
    AccessUsed,
    AggregateAnswered,
    ConnectionRefused,
    DirectoryChanged,
)
from tests.scenarios.staffed_cell import (
    ADDRESS,
    ASK,
    EMAIL,
    IP,
    PHONE,
    Desk,
    StaffedCell,
    count_of,
    fields_of,
    granted,
    staffed_cell,
    within,
)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StaffedCell]:
    with staffed_cell(tmp_path_factory.mktemp("staffed")) as running:
        yield running


@pytest.fixture
def mira(cell: StaffedCell) -> str:
    return cell.live(f"mira.{next(_numbers)}")


@pytest.fixture
def analyst(cell: StaffedCell) -> Desk:
    return cell.hire(f"analyst-{next(_numbers)}")


@pytest.fixture
def approver(cell: StaffedCell) -> Desk:
    return cell.hire(f"approver-{next(_numbers)}", role="approver")


def test_1_a_master_admin_reads_nothing(cell: StaffedCell, mira: str, analyst: Desk, approver: Desk) -> None:
    others = granted(analyst, approver, mira)
    admin = cell.hire("root", role="master_admin")
    assert admin.refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "role-not-allowed"
    assert admin.refused("GET", fields_of(others)) == "role-not-allowed"
    waiting = analyst.asked(mira)
    assert admin.refused("POST", f"/api/access/requests/{waiting}/approve") == "role-not-allowed"
    listed = admin.call("GET", "/api/access/requests").json()["requests"]
    assert {(row["mine"], row["status"]) for row in listed} == {(True, "refused")}
    for path in ("/api/accounts", "/api/admin", "/api/access/export", "/api/data"):
        assert admin.call("GET", path).status_code in (404, 405)
    cell.shows(AccessDecided, request=others, outcome="refused", reason="role-not-allowed")
    cell.nothing_got_out()
    assert cell.term("P1") == "met"


def test_1_a_grant_written_straight_into_the_database_opens_nothing(
    cell: StaffedCell, mira: str, analyst: Desk, approver: Desk
) -> None:
    granted_id = granted(analyst, approver, mira)
    forged = analyst.asked(mira, fields=[PHONE])
    with cell.console.database.write() as session:
        model = session.get_one(AccessRequestRow, granted_id)
        row = session.get_one(AccessRequestRow, forged)
        row.status, row.granted_at, row.expires_at = "granted", model.granted_at, model.expires_at
        row.decided_leaf, row.opened_with = model.decided_leaf, 1
        approvals = select(AccessApprovalRow).where(AccessApprovalRow.request_id == granted_id)
        given = session.scalars(approvals).one()
        kept = {name: getattr(given, name) for name in ("person", "staff_id", "vkey", "approved_at")}
        session.add(AccessApprovalRow(request_id=forged, **kept))
    assert analyst.refused("GET", fields_of(forged)) == "grant-not-sequenced"
    # One more field in the row of a real grant is another request than the one in the ledger.
    with cell.console.database.write() as session:
        session.get_one(AccessRequestRow, granted_id).fields = [EMAIL, PHONE]
    assert analyst.refused("GET", fields_of(granted_id)) == "grant-not-sequenced"
    with cell.console.database.write() as session:
        session.get_one(AccessRequestRow, forged).status = "refused"
    cell.nothing_got_out()


def test_2_a_colleague_abroad_cannot_run_the_query(cell: StaffedCell, mira: str) -> None:
    unvetted = cell.hire("new-here", vetted=False)
    assert unvetted.refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "not-vetted"
    abroad = cell.sit("abroad")
    assert abroad.refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "not-at-home"
    sister = cell.hire("in-parents-home", place="parent-home")
    assert sister.refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "excluded-place"
    assert sister.refused("POST", "/api/aggregates", count_of("views_by_hour")) == "excluded-place"
    cell.shows(AccessDecided, outcome="refused", reason="not-at-home", place="sg")
    # What the colleague abroad is given instead: counts with noise, the same ones however often asked.
    answers = [abroad.call("POST", "/api/aggregates", count_of("accounts_active")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({str(answer.json()["counts"]) for answer in answers}) == 1
    for number in answers[0].json()["counts"].values():
        assert number is None or number >= 20
    assert [answer.json()["spent"] for answer in answers] == [100, 0, 0]
    colleague = cell.hire("also-abroad", place="sg")
    again = colleague.call("POST", "/api/aggregates", count_of("accounts_active"))
    assert again.json()["counts"] == answers[0].json()["counts"]
    for step in range(1, 10):
        answer = abroad.call("POST", "/api/aggregates", count_of("accounts_active", step))
        assert answer.status_code == 200, answer.text
    assert abroad.refused("POST", "/api/aggregates", count_of("accounts_active", 10)) == "budget-spent"
    assert abroad.refused("POST", "/api/aggregates", count_of("emails_of_everybody")) == "question-not-agreed"
    cell.shows(AggregateAnswered, outcome="refused", reason="budget-spent", place="sg", spent_in_all=1000)
    cell.nothing_got_out()
    assert cell.term("P1") == "met"
    assert cell.term("P4") == "met"


def test_3_a_tool_with_a_path_of_its_own_finds_only_seals(
    cell: StaffedCell, mira: str, tmp_path: Path
) -> None:
    # A backup of the database, and every file of the cell, read as bytes.
    backup = tmp_path / "backup.db"
    with sqlite3.connect(cell.folder / "cell.db") as source, sqlite3.connect(backup) as target:
        source.backup(target)
    files = [backup, *(path for path in cell.folder.rglob("*") if path.is_file())]
    whole = [path.read_bytes() for path in files]
    assert any(mira.encode() in data for data in whole)  # what is public is there to be found
    for canary in cell.canaries:
        assert not [path for path, data in zip(files, whole, strict=True) if canary.encode() in data]
    # Inside a process of the cell: no proof of a decision can be made up, and another's opens nothing.
    who = Principal(kind="staff", id="tool", role="master_admin", place="us", vetted=True)
    with pytest.raises(TypeError):
        Permit(object(), who, "read_granted", Resource(category=EMAIL), "account_support", 0)
    trainer = cell.console.decider.decide(
        Principal(kind="process", id="trainer", role="trainer"), "train", Resource(category="user.behavior")
    )
    sealed = sqlite3.connect(backup).execute("SELECT account_id, email FROM accounts LIMIT 1").fetchone()
    with cell.console.database.read() as session, pytest.raises(Exception) as refused:  # noqa: PT011
        cell.console.vault.unseal(trainer, session, sealed[0], "accounts", "email", sealed[0], sealed[1])
    assert not isinstance(refused.value, SealError)
    cell.nothing_got_out()


def test_3_a_tool_that_connects_elsewhere_is_stopped_and_recorded(cell: StaffedCell) -> None:
    tool = """
        import socket, sys
        from pathlib import Path
        import lightwell.apps.web
        from lightwell.apps.startup import open_cell
        cell = open_cell(Path(sys.argv[1]), "tool")
        try:
            socket.create_connection(("127.0.0.1", 5432), 2)
            print("connected")
        except OSError as error:
            print(type(error).__name__)
        cell.doors.flush(cell.database)
        cell.close()
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(tool), str(cell.folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert ran.stdout.split() == ["DoorClosedError"]
    cell.shows(ConnectionRefused, process="tool")


def test_4_a_line_that_ends_at_the_parent_is_cut_off_at_any_depth(
    cell: StaffedCell, mira: str, approver: Desk
) -> None:
    above = cell.hire("vp", place="sg", reports_to_entity="parent")
    lines = [above]
    for step in range(3):
        lines.append(cell.hire(f"line-{step}", reports_to=cell.staff_id(lines[-1].key)))
    assert lines[-1].refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "line-excluded"
    # A loop has no end that anybody could vouch for.
    one = cell.hire("loop-1")
    two = cell.hire("loop-2", reports_to=cell.staff_id(one.key))
    with cell.console.database.write() as session:
        change = directory.Change(reports_to=cell.staff_id(two.key))
        directory.change_member(cell.console, session, cell.staff_id(one.key), change)
    assert two.refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "line-excluded"
    # A second account with a clean line does not wash the person.
    clean = cell.hire("line-clean", person=cell.staff_id(lines[-1].key))
    assert clean.refused("POST", "/api/access/requests", ASK | {"subject": mira}) == "line-excluded"
    cell.shows(AccessDecided, outcome="refused", reason="line-excluded")
    cell.nothing_got_out()
    assert cell.term("P1") == "met"


def test_4_a_change_of_the_directory_ends_live_grants_at_once(
    cell: StaffedCell, mira: str, approver: Desk
) -> None:
    chief = cell.hire("chief")
    analyst = cell.hire("under-chief", reports_to=cell.staff_id(chief.key))
    request_id = granted(analyst, approver, mira)
    with cell.console.database.write() as session:
        change = directory.Change(reports_to_entity="parent")
        ended = directory.change_member(cell.console, session, cell.staff_id(chief.key), change)
    assert ended == 1
    assert analyst.refused("GET", fields_of(request_id)) == "line-excluded"
    cell.shows(DirectoryChanged, change="changed", what=["line"], ended=1)
    cell.shows(AccessEnded, request=request_id, why="revoked")
    # So does losing the one who approved.
    other = cell.hire("not-under-chief")
    second = granted(other, approver, mira)
    with cell.console.database.write() as session:
        assert directory.dismiss(cell.console, session, cell.staff_id(approver.key)) == 1
    assert other.refused("GET", fields_of(second)) == "too-few-approvals"
    cell.nothing_got_out()
    assert cell.term("P1") == "met"


def test_5_a_spreadsheet_for_debugging_cannot_be_made(cell: StaffedCell, mira: str, analyst: Desk) -> None:
    ask = ASK | {"subject": mira}
    path = "/api/access/requests"
    assert analyst.refused("POST", path, ask | {"purpose": "debugging"}) == "purpose-not-agreed"
    assert analyst.refused("POST", path, ask | {"fields": ["user.name"]}) in (
        "field-not-grantable",
        "no-class",
    )
    assert analyst.refused("POST", path, ask | {"fields": ["user"]}) in ("field-not-grantable", "no-class")
    # Not all at once, and not one after the other.
    assert analyst.ask(f"{mira},{mira}", fields=[EMAIL, IP]).status_code == 422
    crowd = [cell.live(f"crowd.{next(_numbers)}") for _ in range(6)]
    for handle in crowd[:5]:
        analyst.asked(handle, fields=[EMAIL, IP], minutes=1)
    assert analyst.refused("POST", path, ask | {"subject": crowd[5]}) == "bulk-search"
    second = cell.hire("second-account", person=cell.staff_id(analyst.key))
    assert second.refused("POST", path, ask | {"subject": crowd[5]}) == "bulk-search"
    cell.shows(AccessDecided, outcome="refused", reason="bulk-search")
    cell.shows(AccessRequested, purpose="other")
    cell.nothing_got_out()
    assert cell.term("P1") == "met"


def test_7_nobody_approves_for_themselves_or_from_outside(
    cell: StaffedCell, mira: str, analyst: Desk, approver: Desk
) -> None:
    request_id = analyst.asked(mira)
    path = f"/api/access/requests/{request_id}/approve"
    own = cell.hire("own-second-account", role="approver", person=cell.staff_id(analyst.key))
    under = cell.hire("approver-under-parent", role="approver", reports_to_entity="parent")
    abroad = cell.hire("approver-abroad", role="approver", place="sg")
    unvetted = cell.hire("approver-unvetted", role="approver", vetted=False)
    tries = {analyst: "role-not-allowed", own: "self-approval", under: "line-excluded"}
    tries |= {abroad: "not-at-home", unvetted: "not-vetted"}
    for who, reason in tries.items():
        assert who.refused("POST", path) == reason
        cell.shows(AccessDecided, request=request_id, outcome="refused", reason=reason)
    both = cell.hire("asks-and-approves", role="partner")
    mine = both.asked(mira)
    assert both.refused("POST", f"/api/access/requests/{mine}/approve") == "self-approval"
    assert analyst.refused("GET", fields_of(request_id)) == "no-grant"
    # One key is one member: nobody is entered twice under it.
    with pytest.raises(Exception, match="belongs to another"):
        cell.hire("same-key", key=analyst.key)
    cell.nothing_got_out()
    assert cell.term("P1") == "met"


def test_8_a_grant_reaches_its_person_field_place_and_time_only(
    cell: StaffedCell, mira: str, analyst: Desk, approver: Desk
) -> None:
    request_id = granted(analyst, approver, mira)
    shown = analyst.read(request_id).json()
    assert shown["fields"][EMAIL] == f"{mira}.canary@harbour.example"
    assert {value for name, value in shown["fields"].items() if name != EMAIL} == {"••••••"}
    mark = shown["watermark"]
    assert mark["grant"] == request_id
    assert mark["who"].startswith("analyst-")
    assert mark["look"] == 2
    # Another person's grant, and one's own from another place.
    thief = cell.hire("thief")
    assert thief.refused("GET", fields_of(request_id)) == "grant-of-another"
    traveller = cell.hire("traveller")
    taken = granted(traveller, approver, mira)
    with cell.console.database.write() as session:
        directory.change_member(
            cell.console, session, cell.staff_id(traveller.key), directory.Change(place="sg")
        )
    assert traveller.refused("GET", fields_of(taken)) == "not-at-home"
    # After revocation, in every process: each new connection may reach another one.
    assert approver.call("POST", f"/api/access/requests/{request_id}/revoke").status_code == 200
    for _ in range(8):
        with Desk(cell, analyst.key) as fresh:
            assert fresh.refused("GET", fields_of(request_id)) == "grant-ended"
    # After its time: the clock of a grant that was approved an hour ago.
    late = granted(analyst, approver, mira, minutes=1)
    with cell.console.database.write() as session:
        row = session.get_one(AccessRequestRow, late)
        row.granted_at, row.expires_at = (row.granted_at or 0) - 3_600_000, (row.expires_at or 0) - 3_600_000
    assert analyst.refused("GET", fields_of(late)) in ("grant-expired", "grant-not-sequenced", "grant-ended")
    cell.shows(AccessEnded, request=late, why="expired")
    cell.shows(AccessEnded, request=request_id, why="revoked")
    assert [entry.fields for entry in cell.entries(AccessUsed)][-1] == [EMAIL]
    cell.nothing_got_out()
    assert cell.term("P1") == "met"


def test_9_an_emergency_ends_is_reviewed_and_makes_no_chain(
    cell: StaffedCell, mira: str, approver: Desk
) -> None:
    form = ASK | {"subject": mira, "purpose": "security_incident", "minutes": 15}
    path = "/api/access/emergencies"
    analyst, one, two = (cell.hire(f"on-call-{name}") for name in ("a", "b", "c"))
    assert analyst.call("POST", path, form | {"minutes": 16}).status_code == 422
    assert analyst.refused("POST", path, form | {"purpose": "account_support"}) == "purpose-not-agreed"
    abroad = cell.hire("on-call-abroad", place="sg")
    assert abroad.refused("POST", path, form) == "not-at-home"
    # Before two witnesses, and neither of them oneself, nothing is open.
    opened = analyst.call("POST", path, form).json()["request_id"]
    witness = f"/api/access/requests/{opened}/approve"
    assert analyst.refused("POST", witness) == "self-approval"
    assert one.call("POST", witness).json()["status"] == "pending"
    assert one.call("POST", witness).status_code == 409
    assert abroad.refused("POST", witness) == "not-at-home"
    assert analyst.refused("GET", fields_of(opened)) == "no-grant"
    assert two.call("POST", witness).json()["status"] == "granted"
    assert analyst.read(opened).json()["fields"][EMAIL] == f"{mira}.canary@harbour.example"
    cell.shows(AccessOpened, request=opened, witnesses=2, alarmed=False)
    # While it is open or unreviewed nobody opens another on this account, nor this person any other.
    assert analyst.refused("POST", path, form | {"alone": True}) == "emergency-open"
    assert one.refused("POST", path, form | {"alone": True}) == "emergency-open"
    other = cell.live(f"other.{next(_numbers)}")
    assert analyst.refused("POST", path, form | {"subject": other}) == "emergency-open"
    review = f"/api/access/requests/{opened}/review"
    assert approver.call("POST", review, {"justified": True}).status_code == 409  # still open
    assert analyst.call("POST", f"/api/access/requests/{opened}/revoke").status_code == 200
    # Nobody reviewed it: a day later the term is breached, not before.
    assert cell.term("P3") == "no evidence"
    assert cell.term("P3", later_seconds=25 * 3600) == "breached"
    assert analyst.refused("POST", review, {"justified": True}) == "role-not-allowed"
    mine = cell.hire("on-call-a-as-approver", role="approver", person=cell.staff_id(analyst.key))
    assert mine.refused("POST", review, {"justified": True}) == "same-person"
    assert approver.call("POST", review, {"justified": True}).json()["status"] == "justified"
    cell.shows(AccessReviewed, request=opened, outcome="justified")
    assert within(lambda: cell.term("P3") == "met", "P3 met")
    assert cell.term("P3", later_seconds=25 * 3600) == "met"
    # Reviewed or not, the next one on this account waits for another day.
    assert analyst.refused("POST", path, form | {"alone": True}) == "emergency-chain"
    assert one.refused("POST", path, form | {"alone": True}) == "emergency-chain"
    # Alone: it opens at once, and the monitor raises the alarm.
    alone = two.call("POST", path, form | {"subject": other, "alone": True})
    assert alone.json()["status"] == "granted"
    assert two.read(alone.json()["request_id"]).status_code == 200
    cell.shows(AccessOpened, alarmed=True, witnesses=0)
    within(lambda: [one for one in cell.findings() if one["title"].startswith("Alarm:")], "the alarm")
    assert two.call("POST", f"/api/access/requests/{alone.json()['request_id']}/revoke").status_code == 200
    assert cell.term("P1") == "met"
    # Found to be none, it is a breach, and stays one.
    judged = f"/api/access/requests/{alone.json()['request_id']}/review"
    assert approver.call("POST", judged, {"justified": False}).json()["status"] == "unjustified"
    within(lambda: cell.term("P3") == "breached", "P3 breached")
    cell.nothing_got_out()


@pytest.mark.parametrize(
    ("by", "sought"),
    [
        ("interest", "cancer"),
        ("interest", "mental health support"),
        ("interest", "Ｍuslim"),
        ("interest", "élection"),
        ("handle", "#lgbtq"),
        ("handle", "#mentalhealth"),
        ("handle", "church goers"),
    ],
)
def test_10_a_search_by_a_sensitive_interest_is_refused(
    cell: StaffedCell, analyst: Desk, by: str, sought: str
) -> None:
    answer = analyst.call("POST", "/api/access/search", {"by": by, "sought": sought})
    assert (answer.status_code, answer.json()["reason"]) == (403, "sensitive-interest")
    request = answer.json()["request_id"]
    cell.shows(AccessDecided, request=request, outcome="refused", reason="sensitive-interest")
    # The ledger does not say what was looked for.
    assert cell.shows(AccessRequested, request=request).fields == ["user.behavior"]
    cell.nothing_got_out()


def test_10_a_search_finds_one_account_by_its_handle_and_nothing_else(
    cell: StaffedCell, mira: str, analyst: Desk
) -> None:
    path = "/api/access/search"
    assert analyst.call("POST", path, {"sought": f"@{mira.upper()}"}).json() == {"handle": mira}
    assert analyst.call("POST", path, {"sought": "nobody.here"}).status_code == 404
    for sought in ("mira*", "mira%", f"{mira}@harbour.example", "a b"):
        assert analyst.refused("POST", path, {"sought": sought}) == "bulk-search"
    assert analyst.refused("POST", path, {"by": "interest", "sought": "gardening"}) == "bulk-search"


@pytest.mark.parametrize(
    ("by", "sought"),
    [
        ("viewers", "0123456789abcdef"),
        ("viewers", "#gardening"),
        ("handle", "#gardening"),
        ("handle", "/v/01"),
    ],
)
def test_11_the_viewers_of_a_video_or_hashtag_are_never_listed(
    cell: StaffedCell, mira: str, analyst: Desk, by: str, sought: str
) -> None:
    answer = analyst.call("POST", "/api/access/search", {"by": by, "sought": sought})
    assert (answer.status_code, answer.json()["reason"]) == (403, "viewer-list")
    cell.shows(AccessDecided, request=answer.json()["request_id"], reason="viewer-list")
    behaviour = ASK | {"subject": mira, "fields": ["user.behavior"]}
    assert analyst.refused("POST", "/api/access/requests", behaviour) == "field-not-grantable"
    for path in ("/api/videos/0123456789abcdef/viewers", "/api/hashtags/gardening/viewers"):
        assert analyst.call("GET", path).status_code == 404
    cell.nothing_got_out()


def test_12_payment_and_tax_data_cannot_be_stored_as_interop(cell: StaffedCell) -> None:
    categories = ("user.financial.bank_account", "user.government_id", "user.financial")
    planted = f"""
        import sys
        from pathlib import Path
        from sqlalchemy import String
        from sqlalchemy.orm import Mapped, mapped_column
        import lightwell.apps.web
        from lightwell.agreement.load import parse
        from lightwell.apps.startup import open_cell
        from lightwell.base.db import Model
        from lightwell.base.labels import label
        from lightwell.residency.labels import disagreements

        class PayoutRow(Model):
            __tablename__ = "payouts"
            account_id: Mapped[str] = mapped_column(
                String(16), primary_key=True, info=label("user.unique_id", "interop")
            )
            one: Mapped[str] = mapped_column(String(40), info=label("{categories[0]}", "interop"))
            two: Mapped[str] = mapped_column(String(40), info=label("{categories[1]}", "interop"))
            three: Mapped[str] = mapped_column(String(40), info=label("{categories[2]}", "public"))

        folder = Path(sys.argv[1])
        print(*disagreements(parse((folder / "agreement.toml").read_text("utf-8"))), sep="\\n")
        try:
            open_cell(folder, "web")
            print("opened")
        except ValueError as error:
            print("refused:", error)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(planted), str(cell.folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "opened" not in ran.stdout
    assert "refused: 3 labels disagree with the agreement" in ran.stdout, ran.stderr
    for column, category in zip(("one", "two", "three"), categories, strict=True):
        assert f"payouts.{column} ({category})" in ran.stdout
        assert not cell.console.agreement.admits(category, "interop")


def test_13_internal_audit_does_not_pull_a_journalists_address_or_contacts(
    cell: StaffedCell, analyst: Desk
) -> None:
    reporter = cell.live(f"reporter.{next(_numbers)}")
    audit = cell.hire("internal-audit", role="internal_audit")
    path = "/api/access/requests"
    leak = ASK | {"subject": reporter, "fields": [IP], "purpose": "leak_investigation"}
    assert audit.refused("POST", path, leak) == "role-not-allowed"
    assert audit.refused("POST", path, leak | {"purpose": "security_incident"}) == "role-not-allowed"
    assert audit.refused("POST", "/api/access/emergencies", leak | {"alone": True}) == "role-not-allowed"
    assert analyst.refused("POST", path, leak) == "purpose-not-agreed"
    contacts = leak | {"fields": ["user.social"], "purpose": "security_incident"}
    assert analyst.refused("POST", path, contacts) in ("field-not-grantable", "no-class")
    cell.shows(AccessDecided, outcome="refused", reason="role-not-allowed", role="internal_audit")
    # With a plausible purpose an analyst may ask, and then two people and the ledger know of it.
    asked = analyst.asked(reporter, fields=[IP, ADDRESS], purpose="security_incident")
    assert analyst.refused("GET", fields_of(asked)) == "no-grant"
    cell.nothing_got_out()
    assert cell.term("P1") == "met"
