"""An agreement binds, and changes, only by the signatures of every party that it names for that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct

from lightwell.agreement.load import digest
from lightwell.agreement.model import Agreement, Party
from lightwell.agreement.roster import Seat, roster_digest
from lightwell.wire import entries as kinds
from lightwell.wire.keys import NoteError, Signature, SigningKey, Verifier
from lightwell.wire.note import join_note, split_note

HEADER: Final = "lightwell/agreement/v1"
MAX_PAPER_CHARACTERS: Final = 16_384
NONE: Final = "-"

_FORM: Final = re.compile(
    rf"{HEADER}\n([a-z0-9][a-z0-9-]{{0,63}})\n([0-9]{{1,9}})\n([0-9a-f]{{64}})\n([0-9a-f]{{64}})\n"
    r"([0-9a-f]{64}|-)\n([0-9a-f]{64}|-)\n\Z"
)


class SigningError(ValueError):
    """A paper that is refused.

    Args:
        reason: `malformed`, `another-paper`, `bad-signature`, `too-few-signatures` or
            `version-does-not-follow`.
        detail: one sentence for the sender.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Settled(Struct, frozen=True):
    """An agreement together with who holds which key: what one entry adopts."""

    agreement: Agreement
    seats: Sequence[Seat]


class Paper(Struct, frozen=True):
    """What a paper says, and its signatures, not verified yet; `amends` and `policy` may be empty."""

    text: str
    agreement: str
    version: int
    digest: str
    roster_digest: str
    amends: str
    policy: str
    signatures: list[Signature]


def paper_text(settled: Settled, amends: str = "", policy: str = "") -> str:
    """Return what parties sign: seven lines, each ending in a newline.

    Args:
        settled: the agreement and the roster that would come into force together.
        amends: digest of the agreement that it follows; empty for a founding.
        policy: digest of the founding ranking policy; empty for an amendment.
    """
    agreement = settled.agreement
    return _text(
        agreement.id,
        agreement.version,
        digest(agreement),
        roster_digest(list(settled.seats)),
        amends,
        policy,
    )


def sign_paper(text: str, key: SigningKey, paper: str = "") -> str:
    """Return the signed note of `text`, with the signatures that `paper` already has.

    Raises:
        SigningError: `malformed` or `another-paper`, when `paper` is no paper or is about something else.
    """
    before: list[Signature] = []
    if paper:
        read = read_paper(paper)
        if read.text != text:
            raise SigningError("another-paper", "The signature file is about another agreement or roster.")
        mine = key.verifier()
        before = [one for one in read.signatures if (one.name, one.key_id) != (mine.name, mine.key_id)]
    return join_note(text, [*before, key.sign_text(text)])


def read_paper(note: str) -> Paper:
    """Read a paper; whose keys signed it is not verified yet.

    Raises:
        SigningError: `malformed`.
    """
    if len(note) > MAX_PAPER_CHARACTERS:
        raise SigningError("malformed", f"A paper has at most {MAX_PAPER_CHARACTERS} characters.")
    try:
        text, signatures = split_note(note)
    except NoteError as error:
        raise SigningError("malformed", f"Not a signed note: {error}.") from None
    found = _FORM.match(text)
    if found is None:
        raise SigningError("malformed", "The signed text is not about an agreement.")
    name, version, agreed, roster, amends, policy = found.groups()
    return Paper(text, name, int(version), agreed, roster, amends.strip(NONE), policy.strip(NONE), signatures)


def signatures_of(settled: Settled, paper: Paper) -> dict[str, str]:
    """Return which of an agreement's parties signed a paper: party id -> signature in hex.

    Raises:
        SigningError: `bad-signature`, when a line bears a party's key and does not verify.
    """
    found: dict[str, str] = {}
    for party in settled.agreement.parties:
        for seat in seats_of_party(settled, party):
            verifier = Verifier.from_vkey(seat.vkey)
            for line in paper.signatures:
                if (line.name, line.key_id) != (verifier.name, verifier.key_id):
                    continue
                if verifier.is_cosigner or not verifier.verify_text(paper.text, line.signature):
                    raise SigningError("bad-signature", f"The signature of {party.name} does not verify.")
                found.setdefault(party.id, line.signature.hex())
    return found


def seats_of_party(settled: Settled, party: Party) -> list[Seat]:
    """List the seats that speak for a party: its role's, or its own name's where parties share a role."""
    seats = [seat for seat in settled.seats if seat.role == party.role]
    alone = sum(other.role == party.role for other in settled.agreement.parties) == 1
    return [seat for seat in seats if alone or seat.name == party.name]


def missing(settled: Settled, signed: Iterable[str]) -> list[str]:
    """List the parties that must sign and have not, in the agreement's order."""
    have = set(signed)
    return [party for party in settled.agreement.signing.parties if party not in have]


def check_founding(settled: Settled, note: str, policy: str = "") -> dict[str, str]:
    """Return who signed the first agreement of a cell; all who must have.

    Args:
        settled: the agreement and roster.
        note: the paper.
        policy: digest of the founding ranking policy, if the paper is to name it.

    Raises:
        SigningError: see there.
    """
    paper = read_paper(note)
    if paper.text != paper_text(settled, policy=policy):
        raise SigningError("another-paper", "The paper is about another agreement, roster or policy.")
    return _complete(settled, paper, [settled])


def check_amendment(old: Settled, new: Settled, note: str) -> dict[str, str]:
    """Return who signed an amendment: all who must under the old agreement and under the new one.

    The old parties' signatures count by the keys of the old roster, so that a new roster with other keys
    changes nothing about who must agree to it.

    Args:
        old: what is in force.
        new: what would be.
        note: the paper.

    Raises:
        SigningError: see there.
    """
    paper = read_paper(note)
    if paper.text != paper_text(new, amends=digest(old.agreement)):
        raise SigningError("another-paper", "The paper does not amend the agreement in force to this one.")
    if new.agreement.version != old.agreement.version + 1:
        raise SigningError(
            "version-does-not-follow",
            f"Version {old.agreement.version} is in force; the next one is {old.agreement.version + 1}, "
            f"not {new.agreement.version}.",
        )
    return _complete(new, paper, [old, new])


def adopted_entry(
    settled: Settled, at: int, signed: Mapping[str, str], amends: str = "", policy: str = ""
) -> kinds.AgreementAdopted:
    """Return the entry that records an adoption with its signatures, so that anybody can verify them.

    Args:
        settled: what is adopted.
        at: seconds since the epoch.
        signed: party id -> signature in hex, as a check returned it.
        amends: digest of the agreement it follows; empty for a founding.
        policy: digest of the founding ranking policy, if the paper names it.
    """
    agreement = settled.agreement
    return kinds.AgreementAdopted(
        at=at,
        agreement=agreement.id,
        version=agreement.version,
        digest=digest(agreement),
        roster_digest=roster_digest(list(settled.seats)),
        parties=list(signed),
        signatures=list(signed.values()),
        amends=amends or UNSET,
        policy=policy or UNSET,
    )


def faults_of(entry: kinds.AgreementAdopted, new: Settled | None, old: Settled | None) -> list[str]:
    """Say what an entry that amends lacks, as clauses; empty if all who must have signed it.

    Args:
        entry: the adoption.
        new: what it adopts, if it is at hand.
        old: what was in force before, if it is at hand.
    """
    pairs = zip(entry.parties or [], entry.signatures or [], strict=False)
    text = _text(
        entry.agreement,
        entry.version,
        entry.digest,
        entry.roster_digest,
        entry.amends or "",
        entry.policy or "",
    )
    signed = [(party, signature) for party, signature in pairs]
    faults = []
    for settled in (old, new):
        if settled is None:
            continue
        lacking = missing(settled, [party for party, raw in signed if _verifies(settled, party, text, raw)])
        names = [party.name for party in settled.agreement.parties if party.id in lacking]
        if names:
            faults.append(f"an agreement was adopted without the signature of {' and '.join(names)}")
    return list(dict.fromkeys(faults))


def _complete(subject: Settled, paper: Paper, bound: Sequence[Settled]) -> dict[str, str]:
    signed: dict[str, str] = {}
    for settled in bound:
        found = signatures_of(settled, paper)
        lacking = missing(settled, found)
        if lacking:
            names = [party.name for party in settled.agreement.parties if party.id in lacking]
            raise SigningError(
                "too-few-signatures",
                f"Version {subject.agreement.version} is not signed by {' and '.join(names)}.",
            )
        signed |= found
    return signed


def _verifies(settled: Settled, party_id: str, text: str, raw: str) -> bool:
    party = settled.agreement.party(party_id)
    if party is None:
        return False
    try:
        signature = bytes.fromhex(raw)
    except ValueError:
        return False
    verifiers = [Verifier.from_vkey(seat.vkey) for seat in seats_of_party(settled, party)]
    return any(not one.is_cosigner and one.verify_text(text, signature) for one in verifiers)


def _text(name: str, version: int, agreed: str, roster: str, amends: str, policy: str) -> str:
    return f"{HEADER}\n{name}\n{version}\n{agreed}\n{roster}\n{amends or NONE}\n{policy or NONE}\n"
