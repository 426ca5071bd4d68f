"""Staff access on a real cell: who is refused, when a grant lives, what a look shows and records."""

from collections.abc import Callable
from typing import Any

import pytest

from lightwell.agreement.load import digest
from lightwell.agreement.roster import roster_digest
from lightwell.agreement.terms import evaluate
from lightwell.base.errors import Problem
from lightwell.ledger.sequencer import Sequencer
from lightwell.product.accounts.service import SignUp, sign_up
from lightwell.residency import access, access_read
from lightwell.residency.access_models import StaffRow
from lightwell.residency.access_read import MASK, Reading
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal, Refused
from lightwell.residency.staff import Member, enrol, line_excluded, principal_of
from lightwell.wire import entries as kinds
from tests.factories.cells import fresh_key
from tests.factories.ledger import all_entries
from tests.factories.people import form

EMAIL = "user.contact.email"
PHONE = "user.contact.phone_number"
MINUTE = 60_000


def hire(cell: Cell, name: str = "ana", **changes: Any) -> str:
    fields: dict[str, Any] = {
        "name": name,
        "vkey": fresh_key(f"staff-{name}").verifier().vkey(),
        "role": "analyst",
        "employer": "operator",
        "place": "us",
        "vetted": True,
    }
    with cell.database.write() as session:
        return enrol(session, Member(**(fields | changes)))


def principal(cell: Cell, staff_id: str) -> Principal:
    with cell.database.read() as session:
        return principal_of(cell, session, session.get_one(StaffRow, staff_id))


def ask(cell: Cell, staff_id: str, **changes: Any) -> access.Answer:
    fields: dict[str, Any] = {
        "subject": "mira.folds",
        "fields": [EMAIL],
        "purpose": "account_support",
        "minutes": 10,
        "ticket": "SUP-7",
    }
    with cell.database.write() as session:
        return access.ask(cell, session, principal(cell, staff_id), access.Ask(**(fields | changes)))


def approve(cell: Cell, staff_id: str, request_id: str) -> access.Answer:
    with cell.database.write() as session:
        return access.approve(cell, session, principal(cell, staff_id), request_id)


def revoke(cell: Cell, staff_id: str, request_id: str) -> access.Answer:
    with cell.database.write() as session:
        return access.revoke(cell, session, principal(cell, staff_id), request_id)


def read(cell: Cell, staff_id: str, request_id: str) -> Reading:
    with cell.database.write() as session:
        return access_read.read(cell, session, principal(cell, staff_id), request_id)


def ledger(cell: Cell, *wanted: type[kinds.Fact]) -> list[Any]:
    found = [kinds.decode(row) for row in all_entries(cell.settings, cell.database)]
    return [entry for entry in found if isinstance(entry, wanted)]


def sequence(cell: Cell) -> None:
    Sequencer(cell.settings, cell.database, cell.vault.signing_key("ledger")).run_once()


def granted(cell: Cell, analyst: str, **changes: Any) -> str:
    request_id = ask(cell, analyst, **changes).request_id
    assert approve(cell, hire(cell, "tom", role="approver"), request_id).status == "granted"
    sequence(cell)
    return request_id


@pytest.fixture
def mira(cell: Cell) -> str:
    return sign_up(cell, SignUp(**form("mira.folds")), "203.0.113.7", "a browser")[0].account_id


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Move the clock of staff access to some milliseconds from now."""
    start = access.now_ms()

    def move(milliseconds: int) -> None:
        for module in (access, access_read):
            monkeypatch.setattr(module, "now_ms", lambda: start + milliseconds)

    return move


@pytest.mark.usefixtures("mira")
def test_a_grant_shows_the_granted_field_and_masks_the_rest(cell: Cell) -> None:
    analyst = hire(cell)
    shown = read(cell, analyst, granted(cell, analyst))
    assert shown.reason == ""
    assert shown.fields[EMAIL] == "mira.folds@example.org"
    assert shown.fields[PHONE] == MASK
    assert set(shown.fields.values()) == {"mira.folds@example.org", MASK}


@pytest.mark.usefixtures("mira")
def test_every_step_is_an_entry_in_order(cell: Cell) -> None:
    analyst = hire(cell)
    request_id = granted(cell, analyst)
    read(cell, analyst, request_id)
    revoke(cell, analyst, request_id)
    found = ledger(cell, kinds.AccessRequested, kinds.AccessDecided, kinds.AccessUsed, kinds.AccessEnded)
    assert [type(entry).__name__ for entry in found] == [
        "AccessRequested",
        "AccessDecided",
        "AccessUsed",
        "AccessEnded",
    ]
    assert {entry.request for entry in found} == {request_id}
    assert found[1].approvals == 1
    assert found[2].fields == [EMAIL]


@pytest.mark.usefixtures("mira")
def test_the_ledger_names_neither_staff_nor_subject(cell: Cell, mira: str) -> None:
    analyst = hire(cell, "support-seven")
    read(cell, analyst, granted(cell, analyst))
    whole = b"".join(all_entries(cell.settings, cell.database))
    for name in (analyst, mira, "mira", "SUP-7", "support-seven"):
        assert name.encode() not in whole


@pytest.mark.usefixtures("mira")
def test_a_grant_is_not_live_before_its_entry_is_sequenced(cell: Cell) -> None:
    analyst = hire(cell)
    request_id = ask(cell, analyst).request_id
    approve(cell, hire(cell, "tom", role="approver"), request_id)
    assert read(cell, analyst, request_id).reason == "grant-not-sequenced"
    sequence(cell)
    assert read(cell, analyst, request_id).reason == ""


@pytest.mark.usefixtures("mira")
@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ({"place": "sg"}, "not-at-home"),
        ({"place": "parent-home"}, "excluded-place"),
        ({"vetted": False}, "not-vetted"),
        ({"role": "admin"}, "role-not-allowed"),
        ({"role": "approver"}, "role-not-allowed"),
        ({"employer": "parent"}, "line-excluded"),
        ({"reports_to_entity": "parent"}, "line-excluded"),
        ({"reports_to": "0123456789abcdef"}, "line-excluded"),
    ],
)
def test_whoever_may_not_ask_is_refused_and_the_ledger_shows_it(
    cell: Cell, who: dict[str, Any], reason: str
) -> None:
    answer = ask(cell, hire(cell, **who))
    assert (answer.status, answer.reason) == ("refused", reason)
    decided = ledger(cell, kinds.AccessDecided)
    assert [(entry.outcome, entry.reason) for entry in decided] == [("refused", reason)]
    assert len(ledger(cell, kinds.AccessRequested)) == 1


@pytest.mark.usefixtures("mira")
@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"fields": ["user.behavior.search_history"]}, "field-not-grantable"),
        ({"fields": [EMAIL, "user.payment"]}, "field-not-grantable"),
        ({"fields": ["user.astrology"]}, "no-class"),
        ({"purpose": "debugging"}, "purpose-not-agreed"),
    ],
)
def test_what_no_grant_may_name_is_refused(cell: Cell, form: dict[str, Any], reason: str) -> None:
    assert ask(cell, hire(cell), **form).reason == reason


def test_a_made_up_name_never_reaches_the_ledger(cell: Cell) -> None:
    analyst = hire(cell)
    made_up = ["user.contact.mira_at_example", "user.leak_this"]
    ask(cell, analyst, fields=made_up, purpose="tell_them_mira_is_here", subject="nobody")
    entry = ledger(cell, kinds.AccessRequested)[0]
    assert entry.fields == ["unlisted", "user.contact"]
    assert entry.purpose == "other"


@pytest.mark.usefixtures("mira")
@pytest.mark.parametrize(
    "form",
    [
        {"subject": "nobody"},
        {"fields": []},
        {"fields": [EMAIL, EMAIL]},
        {"fields": [f"user.contact.c{n}" for n in range(6)]},
        {"fields": ["mira.folds@example.org"]},
        {"minutes": 0},
        {"minutes": 61},
        {"ticket": "please call +1 415 555 0132"},
    ],
)
def test_an_unusable_form_leaves_nothing_behind(cell: Cell, form: dict[str, Any]) -> None:
    analyst = hire(cell)
    with pytest.raises(Problem) as caught:
        ask(cell, analyst, **form)
    assert caught.value.status == 422
    assert ledger(cell, kinds.AccessRequested) == []


def test_staff_abroad_cannot_find_out_whether_an_account_exists(cell: Cell) -> None:
    abroad = hire(cell, place="sg")
    assert ask(cell, abroad, subject="nobody").reason == "not-at-home"


@pytest.mark.usefixtures("mira")
def test_nobody_approves_their_own_request(cell: Cell) -> None:
    partner = hire(cell, role="partner")
    request_id = ask(cell, partner).request_id
    answer = approve(cell, partner, request_id)
    assert (answer.status, answer.reason) == ("refused", "self-approval")
    assert read(cell, partner, request_id).reason == "no-grant"


@pytest.mark.usefixtures("mira")
def test_the_same_person_under_two_accounts_is_one_person(cell: Cell) -> None:
    analyst = hire(cell, person="ana-real")
    other = hire(cell, "ana-two", role="approver", person="ana-real")
    assert approve(cell, other, ask(cell, analyst).request_id).reason == "self-approval"


def test_one_key_opens_one_account_only(cell: Cell) -> None:
    key = fresh_key("shared").verifier().vkey()
    hire(cell, vkey=key)
    with pytest.raises(Problem) as caught:
        hire(cell, "second", vkey=key)
    assert caught.value.slug == "key-taken"


@pytest.mark.usefixtures("mira")
@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ({"role": "approver", "place": "sg"}, "not-at-home"),
        ({"role": "approver", "employer": "parent"}, "line-excluded"),
        ({"role": "approver", "vetted": False}, "not-vetted"),
        ({"role": "analyst"}, "role-not-allowed"),
    ],
)
def test_an_excluded_approver_counts_for_nothing(cell: Cell, who: dict[str, Any], reason: str) -> None:
    request_id = ask(cell, hire(cell)).request_id
    assert approve(cell, hire(cell, "eve", **who), request_id).reason == reason
    refused = ledger(cell, kinds.AccessDecided)
    assert [(entry.outcome, entry.reason) for entry in refused] == [("refused", reason)]
    # The request stays open for somebody who may.
    assert approve(cell, hire(cell, "tom", role="approver"), request_id).status == "granted"


@pytest.mark.usefixtures("mira")
def test_a_decided_request_cannot_be_approved_again(cell: Cell) -> None:
    analyst = hire(cell)
    request_id = granted(cell, analyst)
    with pytest.raises(Problem) as caught:
        approve(cell, hire(cell, "uma", role="approver"), request_id)
    assert caught.value.slug == "not-pending"


@pytest.mark.usefixtures("mira")
def test_the_clock_starts_at_approval_and_ends_the_grant(cell: Cell, at: Callable[[int], None]) -> None:
    analyst = hire(cell)
    request_id = ask(cell, analyst, minutes=5).request_id
    at(20 * MINUTE)
    approve(cell, hire(cell, "tom", role="approver"), request_id)
    sequence(cell)
    at(24 * MINUTE)
    assert read(cell, analyst, request_id).reason == ""
    at(25 * MINUTE)
    assert read(cell, analyst, request_id).reason == "grant-expired"
    assert [entry.why for entry in ledger(cell, kinds.AccessEnded)] == ["expired"]


@pytest.mark.usefixtures("mira")
def test_expired_grants_are_ended_once_each(cell: Cell, at: Callable[[int], None]) -> None:
    granted(cell, hire(cell))
    at(11 * MINUTE)
    for expected in (1, 0):
        with cell.database.write() as session:
            assert access.end_expired(session, access.now_ms()) == expected
    assert len(ledger(cell, kinds.AccessEnded)) == 1


@pytest.mark.usefixtures("mira")
def test_a_revoked_grant_is_refused_at_once(cell: Cell) -> None:
    analyst = hire(cell)
    request_id = granted(cell, analyst)
    assert revoke(cell, hire(cell, "uma", role="approver"), request_id).status == "revoked"
    refusal = read(cell, analyst, request_id)
    assert refusal.reason == "grant-ended"
    assert refusal.fields == {}
    with pytest.raises(Problem) as caught:
        revoke(cell, analyst, request_id)
    assert caught.value.slug == "already-over"


@pytest.mark.usefixtures("mira")
def test_somebody_abroad_cannot_revoke_for_others(cell: Cell) -> None:
    request_id = granted(cell, hire(cell))
    with pytest.raises(Refused):
        revoke(cell, hire(cell, "lee", role="approver", place="sg"), request_id)


@pytest.mark.usefixtures("mira")
def test_a_withdrawn_request_cannot_be_approved(cell: Cell) -> None:
    analyst = hire(cell)
    request_id = ask(cell, analyst).request_id
    assert revoke(cell, analyst, request_id).reason == "withdrawn"
    with pytest.raises(Problem):
        approve(cell, hire(cell, "tom", role="approver"), request_id)


@pytest.mark.usefixtures("mira")
def test_a_colleague_cannot_read_under_anothers_grant(cell: Cell) -> None:
    request_id = granted(cell, hire(cell))
    assert read(cell, hire(cell, "bo"), request_id).reason == "grant-of-another"
    assert read(cell, hire(cell, "lee", place="sg"), request_id).reason == "not-at-home"


@pytest.mark.usefixtures("mira")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"place": "sg"}, "not-at-home"),
        ({"vetted": False}, "not-vetted"),
        ({"employer": "parent"}, "line-excluded"),
    ],
)
def test_a_grant_dies_when_its_holder_moves_or_changes_sides(
    cell: Cell, change: dict[str, Any], reason: str
) -> None:
    analyst = hire(cell)
    request_id = granted(cell, analyst)
    with cell.database.write() as session:
        row = session.get_one(StaffRow, analyst)
        for name, value in change.items():
            setattr(row, name, value)
    assert read(cell, analyst, request_id).reason == reason
    assert ledger(cell, kinds.AccessDecided)[-1].reason == reason


@pytest.mark.usefixtures("mira")
def test_a_chain_of_renewals_ends(cell: Cell, at: Callable[[int], None]) -> None:
    analyst = hire(cell, person="ana-real")
    for _ in range(3):
        assert ask(cell, analyst, minutes=60).status == "pending"
    assert ask(cell, analyst, minutes=1).reason == "chain-too-long"
    # Another account of the same person does not start a new count; another day does.
    assert ask(cell, hire(cell, "ana-two", person="ana-real"), minutes=1).reason == "chain-too-long"
    at(25 * 60 * MINUTE)
    assert ask(cell, analyst, minutes=1).status == "pending"


@pytest.mark.usefixtures("mira")
def test_a_request_kept_for_another_day_lapses(cell: Cell, at: Callable[[int], None]) -> None:
    request_id = ask(cell, hire(cell)).request_id
    approver = hire(cell, "tom", role="approver")
    at(25 * 60 * MINUTE)
    assert approve(cell, approver, request_id).reason == "lapsed"
    with pytest.raises(Problem):
        approve(cell, approver, request_id)


def test_a_line_that_ends_at_the_parent_some_steps_up_is_excluded(cell: Cell) -> None:
    top = hire(cell, "top", reports_to_entity="parent")
    middle = hire(cell, "middle", reports_to=top)
    below = middle
    for depth in range(5):
        below = hire(cell, f"deep{depth}", reports_to=below)
    assert principal(cell, below).excluded_line
    free = hire(cell, "free-top")
    assert not principal(cell, hire(cell, "free", reports_to=free)).excluded_line


def test_a_line_that_runs_in_a_circle_is_excluded(cell: Cell) -> None:
    one = hire(cell, "one")
    two = hire(cell, "two", reports_to=one)
    with cell.database.write() as session:
        session.get_one(StaffRow, one).reports_to = two
    with cell.database.read() as session:
        assert line_excluded(session, session.get_one(StaffRow, one), ["parent"])


@pytest.mark.usefixtures("mira")
def test_what_really_happened_makes_the_term_met(cell: Cell) -> None:
    analyst = hire(cell)
    request_id = granted(cell, analyst)
    read(cell, analyst, request_id)
    revoke(cell, analyst, request_id)
    read(cell, analyst, request_id)
    ask(cell, hire(cell, "lee", place="sg"))
    rows = all_entries(cell.settings, cell.database)
    adopted = kinds.AgreementAdopted(
        at=0,
        agreement=cell.agreement.id,
        version=cell.agreement.version,
        digest=digest(cell.agreement),
        roster_digest=roster_digest(cell.roster),
    )
    entries = enumerate([adopted, *(kinds.decode(row) for row in rows)])
    status = next(found for found in evaluate(cell.agreement, entries) if found.id == "P1")
    assert status.status == "met"
    assert "1 request granted" in status.why
    assert "1 grant-ended, 1 not-at-home" in status.why
