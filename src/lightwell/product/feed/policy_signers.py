"""Whose signature stands on a paper about a ranking policy: a seat of the roster, or a member of staff."""

from __future__ import annotations

from typing import get_args

from msgspec import Struct
from sqlalchemy import select

from lightwell.agreement import policy_papers
from lightwell.agreement.papers import PaperError
from lightwell.agreement.policy_papers import Paper, Verb, read_paper
from lightwell.agreement.roster import Role, seats_of
from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem
from lightwell.residency.access_models import StaffRow
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Refused
from lightwell.residency.staff import principal_of
from lightwell.wire.keys import NoteError, Verifier


class Signer(Struct, frozen=True):
    """Whose key signed a paper: a seat of the roster, or a member of staff (`seat` is empty then)."""

    key: str
    person: str
    role: str
    seat: str


def open_signed(cell: Cell, session: ReadSession, note: str, verb: Verb) -> tuple[Paper, Signer]:
    """Open a paper and find its signer.

    Args:
        cell: the cell it must be for.
        session: any session of the cell.
        note: the signed note as received.
        verb: what it must ask for.

    Raises:
        Problem: 400 malformed, 422 for another cell or verb, 401 nobody known signed it, 403 `refused` for a
            member of staff who may not act here.
    """
    try:
        paper = read_paper(note)
    except PaperError as error:
        raise Problem(400, "unusable-paper", f"The paper is refused: {error}.", field="paper") from error
    if (paper.verb, paper.cell) != (verb, cell.settings.cell):
        detail = f"The paper asks to {paper.verb} at {paper.cell}; this is to {verb} at {cell.settings.cell}."
        raise Problem(422, "another-paper", detail, field="paper")
    signer = _seat(cell, paper) or _staff(cell, session, paper)
    if signer is None:
        raise Problem(401, "unknown-signer", "No seat of the roster and nobody here signed this paper.")
    return paper, signer


def _seat(cell: Cell, paper: Paper) -> Signer | None:
    for role in ("board", "partner"):
        for seat in seats_of(cell.roster, role, cell.settings.cell):
            key = _verifying(seat.vkey, paper)
            if key is not None:
                return Signer(key=key, person=f"seat:{key}", role=role, seat=seat.name)
    return None


def _staff(cell: Cell, session: ReadSession, paper: Paper) -> Signer | None:
    prefix = f"{paper.signature.name}+{paper.signature.key_id.hex()}+"
    rows = session.scalars(
        select(StaffRow).where(StaffRow.vkey.startswith(prefix, autoescape=True), StaffRow.active.is_(True))
    )
    for row in rows:
        key = _verifying(row.vkey, paper)
        if key is not None:
            _require_home(cell, session, row)
            return Signer(key=key, person=f"staff:{row.person}", role=row.role, seat="")
    return None


def _require_home(cell: Cell, session: ReadSession, row: StaffRow) -> None:
    who = principal_of(cell, session, row)
    faults = {
        "excluded-place": cell.agreement.excludes_place(who.place),
        "line-excluded": who.excluded_line,
        "not-appointed": not who.appointed,
        "not-at-home": who.place != cell.settings.region,
        "not-vetted": not who.vetted,
        # The operator's own directory must not make anybody a partner or a board member.
        "role-not-allowed": who.role in get_args(Role),
    }
    for reason, holds in faults.items():
        if holds:
            raise Refused(reason)


def _verifying(vkey: str, paper: Paper) -> str | None:
    """Return the key's material in base 64 if it made the paper's signature; its name is not part of it."""
    try:
        verifier = Verifier.from_vkey(vkey)
    except NoteError:
        return None
    known = (verifier.name, verifier.key_id) == (paper.signature.name, paper.signature.key_id)
    signed = policy_papers.text(paper.verb, paper.cell, paper.policy)
    if not known or verifier.is_cosigner or not verifier.verify_text(signed, paper.signature.signature):
        return None
    return vkey.split("+", 2)[2]
