"""Papers about ranking policies: the signed word that one is proposed, approved or to be adopted here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, cast

from msgspec import Struct

from lightwell.agreement.model import Agreement
from lightwell.agreement.roster import Seat
from lightwell.wire.keys import NoteError, Signature, SigningKey, Verifier
from lightwell.wire.note import sign_note, split_note

HEADER: Final = "lightwell/policy/v1"
MAX_PAPER_CHARACTERS: Final = 1_000
Verb = Literal["propose", "approve", "adopt"]

_FORM: Final = re.compile(
    rf"{HEADER}\n(propose|approve|adopt)\n([a-z][a-z0-9_-]{{0,39}})\n([0-9a-f]{{64}})\n\Z"
)


class PaperError(ValueError):
    """The text is no paper about a ranking policy."""


class Paper(Struct, frozen=True):
    """What a paper says, and its one signature, not verified yet."""

    verb: Verb
    cell: str
    policy: str
    signature: Signature


class Approver(Struct, frozen=True):
    """Whose approval it was: the role it counts for, and the key's 32 bytes (or what stands for them)."""

    role: str
    key: str


def text(verb: Verb, cell: str, policy: str) -> str:
    """Return what is signed.

    Args:
        verb: what is asked.
        cell: the cell it is asked of.
        policy: digest of the ranking policy's canonical bytes, in hex.
    """
    return f"{HEADER}\n{verb}\n{cell}\n{policy}\n"


def make_paper(key: SigningKey, verb: Verb, cell: str, policy: str) -> str:
    """Return the signed note; arguments as `text`."""
    return sign_note(text(verb, cell, policy), key)


def read_paper(note: str) -> Paper:
    """Read a paper; whose key signed it is for the caller to find and verify.

    Raises:
        PaperError: malformed, or it has not one signature.
    """
    if len(note) > MAX_PAPER_CHARACTERS:
        raise PaperError(f"a paper has at most {MAX_PAPER_CHARACTERS} characters")
    try:
        signed, signatures = split_note(note)
    except NoteError as error:
        raise PaperError(f"not a signed note: {error}") from None
    found = _FORM.match(signed)
    if found is None:
        raise PaperError("the signed text is not about a ranking policy")
    if len(signatures) != 1:
        raise PaperError("a paper has one signature")
    verb, cell, policy = found.groups()
    return Paper(cast(Verb, verb), cell, policy, signatures[0])


def signed_by(seat: Seat, verb: Verb, cell: str, policy: str, signature: str) -> bool:
    """Say whether a seat's key made a signature (hex) over that text; a malformed one is nobody's."""
    try:
        verifier = Verifier.from_vkey(seat.vkey)
        raw = bytes.fromhex(signature)
    except (NoteError, ValueError):
        return False
    return not verifier.is_cosigner and verifier.verify_text(text(verb, cell, policy), raw)


def needed(agreement: Agreement, *, promotes: bool, deploys: bool) -> dict[str, int]:
    """Return how many approvals a policy needs, by what it is: each count is of its own roles.

    Args:
        agreement: says how many, and whose.
        promotes: it holds a promotion.
        deploys: it names another organisation's ranker.
    """
    kinds = {"ranking-policy": True, "promotion": promotes, "deployment": deploys}
    return {what: agreement.approvals_needed(what) for what, holds in kinds.items() if holds}


def given(agreement: Agreement, what: str, approvers: Iterable[Approver]) -> int:
    """Count the approvals that the agreement counts for something, each key once."""
    roles = agreement.approver_roles(what)
    return len({approver.key for approver in approvers if approver.role in roles})


def lacking(agreement: Agreement, wanted: Mapping[str, int], approvers: Iterable[Approver]) -> dict[str, int]:
    """Return how many approvals are still missing, by what for; empty when there are enough."""
    known = list(approvers)
    counts = {what: most - given(agreement, what, known) for what, most in wanted.items()}
    return {what: missing for what, missing in counts.items() if missing > 0}


def promotion_ceiling(agreement: Agreement) -> int:
    """Return the share of requests that raised videos may reach together in any hour, in millionths."""
    return agreement.limits.promotion_share_per_mille.value * 1_000
