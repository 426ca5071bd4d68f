"""Term P2: an appointment that may be vetoed is proposed, signed for or unopposed, before its holder acts."""

from typing import Any

import pytest
from msgspec import UNSET

from lightwell.agreement import appointments as papers
from lightwell.agreement.load import digest, parse
from lightwell.agreement.roster import Seat, roster_digest
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey
from tests.factories.cells import AGREEMENTS
from tests.unit.agreement.test_terms import HASH, T, requested

DAY = 86_400
TEXT = (AGREEMENTS / "us-2022-draft.toml").read_text("utf-8")
VETO = parse(TEXT.replace('roles = ["executive"]', 'roles = ["executive", "analyst"]'))
CONSENT = parse(TEXT.replace('counts = "no-veto"', 'counts = "consent"'))
KEY = SigningKey.generate("authority", bytes([7]) * 32)
OTHER = SigningKey.generate("authority", bytes([8]) * 32)
ROSTER = [Seat("authority", "Authority", KEY.verifier().vkey())]
ID = "00000000000000aa"


def proposed(**changes: Any) -> kinds.AppointmentProposed:
    fields: dict[str, Any] = {"at": T, "appointment": ID, "role": "executive", "commitment": HASH}
    return kinds.AppointmentProposed(**(fields | {"counts_at": T + 30 * DAY + 60} | changes))


def decided(outcome: Any = "consented", key: SigningKey = KEY, **changes: Any) -> kinds.AppointmentDecided:
    verb: papers.Verb = "consent" if outcome == "consented" else "veto"
    signature = key.sign_text(papers.text(verb, "us", ID, HASH)).signature.hex()
    fields: dict[str, Any] = {"at": T, "appointment": ID, "outcome": outcome, "signature": signature}
    return kinds.AppointmentDecided(**(fields | {"role": "authority", "seat": "Authority"} | changes))


def entered(role: Any = "executive") -> kinds.DirectoryChanged:
    return kinds.DirectoryChanged(at=T, change="enrolled", what=[], ended=0, role=role)


def granted(at: int) -> kinds.AccessDecided:
    return kinds.AccessDecided(
        at=at, request="r", outcome="granted", reason="approved", place="us", role="analyst", approvals=1,
        expires_at=at + 600,
    )  # fmt: skip


def judge(*entries: kinds.Fact, agreement: Any = VETO, now: int = T + 3600) -> TermStatus:
    adopted = kinds.AgreementAdopted(
        at=T, agreement=agreement.id, version=1, digest=digest(agreement), roster_digest=roster_digest(ROSTER)
    )
    found = evaluate(agreement, enumerate([adopted, *entries]), roster=ROSTER, now=now)
    return next(term for term in found if term.id == "P2")


def test_a_signed_consent_or_veto_is_met_with_its_entries_and_a_proposal_alone_is_not() -> None:
    assert judge(entered(), proposed()).status == "no evidence"
    for outcome in ("consented", "vetoed"):
        found = judge(entered(), proposed(), decided(outcome))
        assert (found.status, found.entries) == ("met", [2, 3])
    assert judge(entered(), proposed(), now=T + 31 * DAY).status == "met"
    assert judge().status == "no evidence"


def test_people_whom_nobody_may_veto_are_entered_freely() -> None:
    assert judge(entered("driver"), entered(UNSET), now=T + 99 * DAY).status == "no evidence"


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([entered()], "made executive without being proposed"),
        ([entered(), entered(), proposed()], "without being proposed"),
        ([decided()], "nobody had proposed"),
        ([proposed(), decided(key=OTHER)], "without the signature"),
        ([proposed(), decided("vetoed", signature=decided().signature)], "without the signature"),
        ([proposed(commitment="cd" * 32), decided()], "without the signature"),
        ([proposed(), decided(role="operator")], "no say in it"),
        ([proposed(), decided(), decided("vetoed")], "decided twice"),
        ([proposed(counts_at=T + DAY)], "before 30 days had passed"),
        ([requested(), granted(T)], "no appointment counted"),
        ([proposed(role="analyst"), requested(), granted(T)], "no appointment counted"),
        ([proposed(role="analyst"), decided("vetoed"), granted(T + 31 * DAY)], "no appointment counted"),
        ([proposed(role="analyst"), granted(T), decided()], "no appointment counted"),
    ],
)
def test_an_appointment_past_the_authority_is_a_breach(entries: list[kinds.Fact], what: str) -> None:
    found = judge(*entries)
    assert found.status == "breached"
    assert what in found.why


def test_who_was_consented_to_or_unopposed_may_act() -> None:
    assert judge(proposed(role="analyst"), decided(), granted(T)).status == "met"
    assert judge(proposed(role="analyst"), granted(T + 31 * DAY)).status == "met"


def test_where_consent_is_asked_for_silence_is_a_breach() -> None:
    assert "without the consent" in judge(proposed(), agreement=CONSENT).why
    assert judge(proposed(counts_at=0), agreement=CONSENT, now=T + 99 * DAY).status == "no evidence"
    assert judge(proposed(counts_at=0), decided(), agreement=CONSENT).status == "met"
