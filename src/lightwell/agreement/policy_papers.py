"""Papers about ranking policies: the signed word that one is proposed, approved or to be adopted here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, cast

from msgspec import Struct

from lightwell.agreement import papers
from lightwell.agreement.model import Agreement
from lightwell.agreement.papers import read_form
from lightwell.agreement.roster import Seat
from lightwell.wire.keys import Signature, SigningKey
from lightwell.wire.note import sign_note

HEADER: Final = "lightwell/policy/v1"
Verb = Literal["propose", "approve", "adopt"]

_FORM: Final = re.compile(
    rf"{HEADER}\n(propose|approve|adopt)\n([a-z][a-z0-9_-]{{0,39}})\n([0-9a-f]{{64}})\n\Z"
)


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
    (verb, cell, policy), signature = read_form(note, _FORM, "a ranking policy")
    return Paper(cast(Verb, verb), cell, policy, signature)


def signed_by(seat: Seat, verb: Verb, cell: str, policy: str, signature: str) -> bool:
    """Say whether a seat's key made a signature (hex) over that text; a malformed one is nobody's."""
    return papers.signed_by(seat, text(verb, cell, policy), signature)


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
