"""A policy is approved when the ledger shows who proposed it, what it promotes and whose keys signed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lightwell.agreement.load import digest, parse
from lightwell.agreement.papers import MAX_PAPER_CHARACTERS, PaperError
from lightwell.agreement.policy_papers import make_paper, read_paper
from lightwell.agreement.roster import Seat, roster_digest
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey
from lightwell.wire.note import join_note

AGREEMENT = parse((Path(__file__).parents[3] / "agreements" / "us-2022-draft.toml").read_text("utf-8"))
T = 1_700_000_040
POLICY = "cd" * 32
KEYS = {f"Seat {at}": SigningKey.generate(f"seat-{at}", bytes([at]) * 32) for at in range(4)}
ROSTER = [
    Seat("board" if name != "Seat 3" else "partner", name, key.verifier().vkey())
    for name, key in KEYS.items()
]
ADOPTED = kinds.AgreementAdopted(
    at=T, agreement=AGREEMENT.id, version=1, digest=digest(AGREEMENT), roster_digest=roster_digest(ROSTER)
)
FOUNDING = kinds.PolicyAdopted(at=T, digest="ab" * 32, approvals=0)


def proposed(**changes: Any) -> kinds.PolicyProposed:
    fields = {"at": T, "policy": POLICY, "version": 1, "promotions": 0, "role": "analyst", "seat": ""}
    return kinds.PolicyProposed(**(fields | changes))


def listed(number: int = 1, **changes: Any) -> kinds.PromotionListed:
    fields: dict[str, Any] = {
        "at": T, "policy": POLICY, "promotion": f"{number:064x}", "raises": True,
        "start": T, "end": T + 3600, "ceiling": 10_000,
    }  # fmt: skip
    return kinds.PromotionListed(**(fields | changes))


def approved(name: str, cell: str = "us", **changes: Any) -> kinds.PolicyApproved:
    role = "partner" if name == "Seat 3" else "board"
    paper = read_paper(make_paper(KEYS[name], "approve", cell, POLICY))
    fields = {
        "at": T,
        "policy": POLICY,
        "role": role,
        "seat": name,
        "signature": paper.signature.signature.hex(),
    }
    return kinds.PolicyApproved(**(fields | changes))


def by_staff(role: str = "approver") -> kinds.PolicyApproved:
    return kinds.PolicyApproved(at=T, policy=POLICY, role=role, seat="", signature="")


def adopted(approvals: int = 2) -> kinds.PolicyAdopted:
    return kinds.PolicyAdopted(at=T, digest=POLICY, approvals=approvals)


def judge(entries: Sequence[kinds.Fact], roster: Sequence[Seat] | None = ROSTER) -> TermStatus:
    found = evaluate(AGREEMENT, enumerate([ADOPTED, FOUNDING, *entries]), roster=roster)
    return next(status for status in found if status.id == "F3")


TWO = [approved("Seat 0"), approved("Seat 1")]


def test_the_founding_policy_alone_shows_nothing() -> None:
    assert judge([]).status == "no evidence"


def test_two_other_seats_approve_a_change() -> None:
    assert judge([proposed(), *TWO, adopted()]).status == "met"
    # A roster that is no longer at hand cannot make a breach of what was verified in its time.
    assert judge([proposed(), *TWO, adopted()], roster=None).status == "met"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([*TWO, adopted()], "no earlier entry proposes"),
        ([adopted(), proposed(), *TWO], "no earlier entry proposes"),
        ([proposed(), adopted(0)], "0 of 2 approvals"),
        ([proposed(), adopted(2)], "0 of 2 approvals"),
        ([proposed(), TWO[0], adopted(), TWO[1]], "1 of 2 approvals"),
        ([proposed(), TWO[0], TWO[0], adopted()], "1 of 2 approvals"),
        ([proposed(seat="Seat 0"), *TWO, adopted()], "1 of 2 approvals"),
        ([proposed(), TWO[0], approved("Seat 1", signature="ab" * 64), adopted()], "1 of 2 approvals"),
        ([proposed(), TWO[0], approved("Seat 1", signature="zz"), adopted()], "1 of 2 approvals"),
        ([proposed(), TWO[0], approved("Seat 1", cell="sg"), adopted()], "1 of 2 approvals"),
        ([proposed(), TWO[0], approved("Seat 1", seat="Nobody"), adopted()], "1 of 2 approvals"),
        ([proposed(), TWO[0], approved("Seat 1", role="partner"), adopted()], "1 of 2 approvals"),
        ([proposed(), by_staff("board"), by_staff("partner"), adopted()], "0 of 2 approvals"),
        ([proposed(), by_staff(), by_staff(), adopted()], "0 of 2 approvals"),
        ([proposed(), *TWO, adopted(3)], "is said to have 3 approvals"),
        ([proposed(promotions=2), listed(), *TWO, adopted()], "of 2 promotions"),
        ([proposed(promotions=1), listed(), *TWO, adopted()], "0 of 2 approvals"),
        (
            [
                proposed(promotions=2),
                listed(1),
                listed(2, ceiling=10_001),
                *TWO,
                approved("Seat 3"),
                adopted(),
            ],
            "in more requests than the agreement allows",
        ),
    ],
)
def test_anything_less_is_a_breach(entries: list[kinds.Fact], said: str) -> None:
    found = judge(entries)
    assert found.status == "breached"
    assert said in found.why


def test_promotions_are_approved_by_their_own_roles_and_share_the_ceiling_hour_by_hour() -> None:
    later = listed(2, start=T + 3600, end=T + 7200, ceiling=20_000)
    lowered = listed(3, raises=False, ceiling=1_000_000)
    approvals = [*TWO, approved("Seat 3"), by_staff()]
    entries = [proposed(promotions=3), listed(1), later, lowered, *approvals, adopted(3)]
    assert judge(entries).status == "met", judge(entries).why


@pytest.mark.parametrize(
    "note",
    [
        "",
        "lightwell/policy/v1\n",
        make_paper(KEYS["Seat 0"], "approve", "us", POLICY).replace("approve", "praise"),
        make_paper(KEYS["Seat 0"], "approve", "us", POLICY).replace("us\n", "US\n"),
        make_paper(KEYS["Seat 0"], "approve", "us", POLICY) + "— seat-1 AAAAAAAA\n",
        make_paper(KEYS["Seat 0"], "approve", "us", POLICY) + "x" * MAX_PAPER_CHARACTERS,
        join_note("lightwell/policy/v2\n", [KEYS["Seat 0"].sign_text("x\n")]),
    ],
)
def test_what_is_no_paper_is_refused(note: str) -> None:
    with pytest.raises(PaperError):
        read_paper(note)


def test_every_entry_about_policies_is_encoded_and_read_back() -> None:
    for entry in (proposed(), listed(), *TWO, by_staff()):
        assert kinds.decode(kinds.encode(entry)) == msgspec.structs.replace(entry)
