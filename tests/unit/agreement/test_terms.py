"""Terms judged by entries: met only on evidence, breached when entries show it, else no evidence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lightwell.agreement.checks import CHECKS
from lightwell.agreement.evidence import Evidence
from lightwell.agreement.load import digest, parse
from lightwell.agreement.roster import Seat, roster_digest
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey

AGREEMENT = parse((Path(__file__).parents[3] / "agreements" / "us-2022-draft.toml").read_text("utf-8"))
HASH = "ab" * 32
T = 1_700_000_040  # a whole minute


def vkey(byte: int) -> str:
    return SigningKey.generate(f"seat-{byte}", bytes([byte]) * 32).verifier().vkey()


ROSTER = [Seat("board", f"Member {n}", vkey(n)) for n in range(3)] + [Seat("authority", "Authority", vkey(9))]
ADOPTED = kinds.AgreementAdopted(
    at=T, agreement=AGREEMENT.id, version=1, digest=digest(AGREEMENT), roster_digest=roster_digest(ROSTER)
)


def judge(entries: Sequence[kinds.Fact], *, adopted: bool = True, **more: Any) -> dict[str, TermStatus]:
    """Judge entries that follow an adoption at index 0, so that the first of them has index 1."""
    whole = [ADOPTED, *entries] if adopted else list(entries)
    return {status.id: status for status in evaluate(AGREEMENT, enumerate(whole), **more)}


def requested(**changes: Any) -> kinds.AccessRequested:
    fields: dict[str, Any] = {
        "at": T,
        "request": "r",
        "place": "us",
        "role": "analyst",
        "fields": ["user.contact.email"],
        "purpose": "account_support",
    }
    return kinds.AccessRequested(**(fields | changes))


def granted(**changes: Any) -> kinds.AccessDecided:
    fields: dict[str, Any] = {
        "at": T,
        "request": "r",
        "outcome": "granted",
        "reason": "approved",
        "place": "us",
        "role": "analyst",
        "approvals": 1,
        "expires_at": T + 600,
    }
    return kinds.AccessDecided(**(fields | changes))


def used(**changes: Any) -> kinds.AccessUsed:
    fields: dict[str, Any] = {"at": T, "request": "r", "fields": ["user.contact.email"]}
    return kinds.AccessUsed(**(fields | changes))


def sent(**changes: Any) -> kinds.TransferSent:
    fields: dict[str, Any] = {
        "at": T,
        "transfer": "t",
        "flow": "public-video",
        "peer": "sg",
        "digest": HASH,
        "size": 1000,
    }
    return kinds.TransferSent(**(fields | changes))


def received(**changes: Any) -> kinds.TransferReceived:
    fields: dict[str, Any] = {
        "at": T,
        "transfer": "t",
        "flow": "public-video",
        "peer": "us",
        "digest": HASH,
        "size": 1000,
    }
    return kinds.TransferReceived(**(fields | changes))


def served(**changes: Any) -> kinds.SlateServed:
    return kinds.SlateServed(**({"at": T, "commitment": HASH, "snapshot": HASH, "policy": HASH} | changes))


POLICY = kinds.PolicyAdopted(at=T, digest=HASH, approvals=0)
SNAPSHOT = kinds.SnapshotPublished(at=T, snapshot=HASH, events=HASH, settings=HASH, code=HASH, videos=3)


def test_an_empty_ledger_is_no_evidence_for_anything() -> None:
    assert {status.status for status in judge([], adopted=False).values()} == {"no evidence"}
    assert {status.status for status in judge([]).values()} == {"no evidence"}


def test_every_check_of_the_model_exists_and_every_term_is_judged() -> None:
    assert set(CHECKS) >= {term.check for term in AGREEMENT.terms}
    assert list(judge([])) == [term.id for term in AGREEMENT.terms]


def test_nothing_is_met_under_an_agreement_the_ledger_did_not_adopt() -> None:
    other = kinds.AgreementAdopted(at=T, agreement="other", version=2, digest=HASH, roster_digest=HASH)
    found = judge([requested(), granted(), other])
    assert found["P1"].status == "no evidence"
    assert "other version 2" in found["P1"].why


def test_a_breach_stays_a_breach_whatever_was_adopted() -> None:
    assert judge([requested(), granted(place="sg")], adopted=False)["P1"].status == "breached"


def test_an_unknown_kind_of_entry_proves_nothing() -> None:
    evidence = Evidence([(0, ADOPTED), (1, kinds.UnknownEntry("Praise", 1, b"{}"))])
    assert {status.status for status in evaluate(AGREEMENT, evidence)} == {"no evidence"}


def test_access_granted_at_home_and_refused_abroad_is_met_with_its_entries() -> None:
    refused = granted(
        request="x", outcome="refused", reason="not-at-home", place="sg", approvals=0, expires_at=0
    )
    found = judge([requested(), granted(), used(), requested(request="x", place="sg"), refused])["P1"]
    assert found.status == "met"
    assert found.entries == [1, 2, 3, 4, 5]
    assert "1 not-at-home" in found.why


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([requested(place="sg"), granted(place="sg")], "staff in sg"),
        ([requested(), granted(place="parent-home")], "parent-home"),
        ([requested(), granted(approvals=0)], "0 of 1 approvals"),
        ([requested(), granted(expires_at=T + 7200)], "longer than 60 minutes"),
        ([requested(role="admin"), granted(role="admin")], "role admin"),
        ([granted()], "nobody asked"),
        ([requested(fields=["user.behavior"]), granted()], "no grant may name"),
        ([requested(purpose="debugging"), granted()], "no agreed purpose"),
        ([requested(), used()], "without a grant"),
        ([requested(), granted(), used(at=T + 600)], "run out"),
        ([requested(), granted(), used(fields=["user.device"])], "does not name"),
        (
            [requested(), granted(), kinds.AccessEnded(at=T, request="r", why="revoked"), used()],
            "after the grant had been revoked",
        ),
        (
            [requested(), granted(), kinds.AccessEnded(at=T, request="r", why="expired"), used()],
            "after the grant had expired",
        ),
    ],
)
def test_access_outside_the_rules_is_a_breach_that_names_its_entry(
    entries: list[kinds.Fact], what: str
) -> None:
    found = judge(entries)["P1"]
    assert found.status == "breached"
    assert what in found.why
    assert found.entries


def test_staff_abroad_let_in_breaches_where_data_stays_too() -> None:
    assert judge([requested(place="sg"), granted(place="sg")])["S1"].status == "breached"


def test_home_is_the_cells_own_region() -> None:
    entries = [requested(place="sg"), granted(place="sg")]
    assert judge(entries, region="sg")["P1"].status == "met"
    assert judge(entries, region="us")["P1"].status == "breached"


def test_slates_are_met_only_by_replays() -> None:
    entries = [POLICY, SNAPSHOT, served(), served()]
    assert judge(entries)["F1"].status == "no evidence"
    found = judge(entries, verdicts={3: "identical"})["F1"]
    assert found.status == "met"
    assert found.entries == [3]
    assert "1 of 2 slates" in found.why


def test_a_verdict_about_something_else_is_no_evidence() -> None:
    assert judge([POLICY, SNAPSHOT, served()], verdicts={99: "identical"})["F1"].status == "no evidence"


@pytest.mark.parametrize("outcome", ["differs", "missing", "unopened", "snapshot-missing", "anything else"])
def test_one_slate_that_does_not_replay_is_a_breach(outcome: str) -> None:
    entries = [POLICY, SNAPSHOT, served(), served()]
    found = judge(entries, verdicts={3: "identical", 4: outcome})["F1"]
    assert found.status == "breached"
    assert found.entries == [4]


@pytest.mark.parametrize("entries", [[SNAPSHOT, served()], [POLICY, served()], [served(), POLICY, SNAPSHOT]])
def test_a_slate_under_a_policy_or_snapshot_not_in_the_ledger_is_a_breach(entries: list[kinds.Fact]) -> None:
    assert judge(entries)["F1"].status == "breached"


def test_transfers_recorded_alike_at_both_ends_are_met() -> None:
    found = judge([sent()], peers={"sg": Evidence([(0, received())])})
    assert found["G2"].status == "met"
    assert found["D2"].status == "met"
    assert found["G1"].status == "met"
    assert judge([sent()])["G2"].status == "no evidence"


def test_a_transfer_the_other_end_never_recorded_is_a_breach_once_its_time_is_over() -> None:
    early = Evidence([(0, kinds.ConnectionRefused(at=T + 600, process="web", reason="x"))])
    late = Evidence([(0, kinds.ConnectionRefused(at=T + 601, process="web", reason="x"))])
    assert judge([sent()], peers={"sg": early})["G2"].status == "no evidence"
    assert judge([sent()], peers={"sg": late})["G2"].status == "breached"
    assert judge([received(peer="sg")], peers={"sg": late})["G2"].status == "breached"


def test_ends_that_tell_different_messages_are_a_breach() -> None:
    other = Evidence([(0, received(digest="cd" * 32))])
    assert judge([sent()], peers={"sg": other})["G2"].status == "breached"


@pytest.mark.parametrize("entry", [sent(flow="export"), sent(peer="fr"), received(peer="parent-home")])
def test_what_crosses_without_a_flow_is_a_breach(entry: kinds.Fact) -> None:
    assert judge([entry])["D2"].status == "breached"


def test_a_message_over_its_flows_size_is_a_breach() -> None:
    assert judge([sent(size=2**40)])["G1"].status == "breached"


def test_protected_data_stopped_at_the_gateway_is_evidence() -> None:
    stopped = kinds.TransferRefused(at=T, transfer="t", flow="public-video", peer="sg", reason="tripwire")
    late = kinds.TransferRefused(at=T, transfer="t", flow="public-video", peer="sg", reason="over-budget")
    assert judge([stopped])["D1"].status == "met"
    assert judge([late])["D1"].status == "no evidence"
    assert judge([late])["G1"].status == "met"


TAKEN = kinds.OrderTaken(at=T, order="o", verb="suspend", scope="uploads", digest=HASH, signer="authority")


def effective(process: str, at: int, order: str = "o") -> kinds.OrderEffective:
    return kinds.OrderEffective(at=at, order=order, process=process)


def test_an_order_obeyed_in_time_is_met() -> None:
    found = judge([TAKEN, effective("web", T + 1), effective("worker", T + 2)], now=T + 60)["O1"]
    assert found.status == "met"
    assert found.entries == [1, 2, 3]
    assert "web and worker" in found.why


def test_an_order_nobody_obeyed_is_a_breach_once_its_time_is_over() -> None:
    assert judge([TAKEN], now=T + 5)["O1"].status == "no evidence"
    assert judge([TAKEN], now=T + 6)["O1"].status == "breached"


def test_an_order_obeyed_late_is_a_breach() -> None:
    assert judge([TAKEN, effective("web", T + 6)])["O1"].status == "breached"


def test_an_order_that_one_process_ignores_is_a_breach() -> None:
    again = kinds.OrderTaken(
        at=T + 60, order="p", verb="lift", scope="uploads", digest=HASH, signer="authority"
    )
    entries = [TAKEN, effective("web", T), effective("worker", T), again, effective("web", T + 61, "p")]
    assert judge(entries, now=T + 64)["O1"].status == "met"
    found = judge(entries, now=T + 120)["O1"]
    assert found.status == "breached"
    assert "worker never obeyed" in found.why


def test_refused_orders_alone_are_no_evidence_of_obedience() -> None:
    refused = kinds.OrderRefused(at=T, digest=HASH, reason="bad-signature")
    assert judge([refused], now=T + 60)["O1"].status == "no evidence"


def test_the_board_is_never_met_by_seats_alone_and_breached_by_missing_ones() -> None:
    assert judge([], roster=ROSTER)["B1"].status == "no evidence"
    assert "3 board members" in judge([], roster=ROSTER)["B1"].why
    assert judge([], roster=ROSTER[:1])["B1"].status == "breached"


def test_entries_shown_are_bounded_and_the_sentence_counts_them_all() -> None:
    entries = [POLICY, SNAPSHOT, *([served()] * 500)]
    found = judge(entries, verdicts=dict.fromkeys(range(3, 503), "identical"))["F1"]
    assert len(found.entries) == 100
    assert found.entries[-1] == 502
    assert "500 of 500 slates" in found.why
