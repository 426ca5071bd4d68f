"""The term about the agreement itself: met only when all who must signed every version."""

from pathlib import Path

from lightwell.agreement import signing
from lightwell.agreement.load import digest, parse
from lightwell.agreement.roster import Seat
from lightwell.agreement.signing import Settled
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.wire import entries as kinds
from lightwell.wire.keys import SigningKey

TEXT = (Path(__file__).parents[3] / "agreements" / "template.toml").read_text("utf-8")
KEYS = {
    role: SigningKey.generate(f"key-{role}", bytes([at]) * 32)
    for at, role in enumerate(("operator", "parent", "partner", "authority"))
}
SEATS = [Seat(role, role, key.verifier().vkey()) for role, key in KEYS.items()]  # type: ignore[arg-type]
FIRST = Settled(parse(TEXT), SEATS)
CHANGED = TEXT.replace("version = 1", "version = 2", 1).replace("value = 60,", "value = 45,", 1)
SECOND = Settled(parse(CHANGED), SEATS)
UNSIGNED = ("at", "agreement", "version", "digest", "roster_digest")


def note(text: str, *roles: str) -> str:
    made = ""
    for role in roles or KEYS:
        made = signing.sign_paper(text, KEYS[role], made)
    return made


def founding() -> kinds.AgreementAdopted:
    signed = signing.check_founding(FIRST, note(signing.paper_text(FIRST)))
    return signing.adopted_entry(FIRST, 60, signed)


def amendment(*roles: str) -> kinds.AgreementAdopted:
    before = digest(FIRST.agreement)
    paper = signing.read_paper(note(signing.paper_text(SECOND, amends=before), *roles))
    return signing.adopted_entry(SECOND, 120, signing.signatures_of(SECOND, paper), amends=before)


def judge(settled: Settled, *entries: kinds.AgreementAdopted) -> TermStatus:
    held = {0: FIRST, 1: SECOND}
    found = evaluate(settled.agreement, enumerate(entries), roster=settled.seats, held=held)
    return next(status for status in found if status.id == "A1")


def test_a_founding_and_an_amendment_that_all_signed_meet_the_term() -> None:
    assert judge(FIRST, founding()).status == "met"
    found = judge(SECOND, founding(), amendment())
    assert (found.status, found.entries) == ("met", [0, 1])


def test_an_amendment_that_one_party_did_not_sign_breaches_it() -> None:
    found = judge(SECOND, founding(), amendment("operator", "parent", "partner"))
    assert found.status == "breached"
    assert "without the signature of The public authority" in found.why


def test_an_amendment_that_follows_no_version_breaches_it() -> None:
    whole = amendment()
    loose = kinds.AgreementAdopted(**{name: getattr(whole, name) for name in UNSIGNED})
    found = judge(SECOND, founding(), loose)
    assert (found.status, found.entries) == ("breached", [1])


def test_a_signature_of_another_paper_counts_for_nothing() -> None:
    whole = amendment()
    fields = {name: getattr(whole, name) for name in whole.__struct_fields__}
    wrong = kinds.AgreementAdopted(**(fields | {"signatures": founding().signatures}))
    assert judge(SECOND, founding(), wrong).status == "breached"


def test_a_founding_without_signatures_is_no_evidence() -> None:
    plain = kinds.AgreementAdopted(**{name: getattr(founding(), name) for name in UNSIGNED})
    assert judge(FIRST, plain).status == "no evidence"
