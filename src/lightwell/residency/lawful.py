"""Lawful process is taken in, approved and answered only by people of the regional entity at home.

A demand is a request for access with the purpose `legal_process`: what holds for every such request (others
approve, the entry stands first, only granted fields, minutes) holds for it, and more.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from msgspec import Struct
from sqlalchemy import select

from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.base.errors import Problem, not_found
from lightwell.ledger.queue import enqueue
from lightwell.residency import access, access_read
from lightwell.residency.access_models import AccessRequestRow
from lightwell.residency.access_rules import Answer, Ask, approvals_of, ledger_names
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Principal
from lightwell.residency.lawful_models import LawfulRequestRow
from lightwell.wire import canonical
from lightwell.wire.commitment import OPENING_SIZE, commit
from lightwell.wire.entries import (
    LawfulRequestAnswered,
    LawfulRequestReceived,
    LawfulRequestRefused,
    minute,
)

PURPOSE: Final = access.LEGAL_PROCESS
KIND: Final = "lawful-request"
MINUTES: Final = 15
_WORDS: Final = re.compile(r"[^\W_][\w .,:;/()§&'-]{2,99}")


class Demand(Struct, frozen=True, forbid_unknown_fields=True):
    """What an authority demands: who it is, by which legal basis, about whom (a handle), which fields."""

    authority: str
    basis: str
    subject: str
    fields: list[str]


def register(cell: Cell, session: WriteSession, who: Principal, form: Demand) -> Answer:
    """Take a demand in; a refusal is returned, not raised, so that its entries are committed.

    Raises:
        Problem: 422 a field is not usable, or there is no such account; nothing is recorded then.
    """
    for name in ("authority", "basis"):
        if not _WORDS.fullmatch(getattr(form, name)):
            detail = "Name the authority and the legal basis in 3 to 100 plain characters."
            raise Problem(422, "unusable-field", detail, field=name)
    reason = refusal_for(cell, who)
    if reason:
        return _refuse(session, who, "", reason)
    ask = Ask(form.subject, form.fields, PURPOSE, MINUTES)
    answer = access.ask(cell, session, who, ask, lawful=True)
    if answer.status == "refused":
        return _refuse(session, who, answer.request_id, answer.reason)
    now = now_ms()
    opening = secrets.token_bytes(OPENING_SIZE)
    session.add(
        LawfulRequestRow(
            request_id=answer.request_id,
            authority=form.authority,
            basis=form.basis,
            fields=form.fields,
            opening=opening,
            registered_at=now,
        )
    )
    content = {"authority": form.authority, "basis": form.basis, "subject": form.subject}
    digest = hashlib.sha256(canonical.encode(content)).digest()
    enqueue(
        session,
        LawfulRequestReceived(
            at=minute(now // 1000),
            request=answer.request_id,
            commitment=commit(KIND, opening, digest).hex(),
            fields=ledger_names(cell, form.fields),
            entity=who.employer,
            place=who.place,
        ),
    )
    session.flush()
    return answer


def approve(cell: Cell, session: WriteSession, who: Principal, request_id: str) -> Answer:
    """Count another's approval of a demand; errors and refusals as `access.approve`."""
    _found(session, request_id)
    reason = refusal_for(cell, who)
    if reason:
        return _refuse(session, who, request_id, reason)
    answer = access.approve(cell, session, who, request_id, lawful=True)
    if answer.status == "refused":
        _refuse(session, who, request_id, answer.reason)
    return answer


def answer(cell: Cell, session: WriteSession, who: Principal, request_id: str) -> access_read.Reading:
    """Return the fields with which a demand is answered; a second answer to one demand is refused.

    The caller shows them after the transaction has committed. A refusal is returned, not raised.

    Raises:
        Problem: 404 no such demand; 409 it was answered before.
    """
    row = _found(session, request_id)
    if row.answered_at is not None:
        raise Problem(409, "already-answered", "This demand was answered; another needs a demand of its own.")
    reason = refusal_for(cell, who)
    if reason:
        _refuse(session, who, request_id, reason)
        return access_read.Reading({}, reason)
    reading = access_read.read(cell, session, who, request_id, lawful=True)
    if reading.reason == "grant-not-sequenced":
        return reading
    if reading.reason:
        _refuse(session, who, request_id, reading.reason)
        return reading
    row.answered_at = now = now_ms()
    given = {name: value for name, value in reading.fields.items() if name in row.fields}
    enqueue(
        session,
        LawfulRequestAnswered(
            at=minute(now // 1000),
            request=request_id,
            fields=sorted(given),
            approvals=approvals_of(cell, session, request_id),
            entity=who.employer,
            place=who.place,
        ),
    )
    return access_read.Reading(given, "", reading.expires_at, reading.watermark)


def refusal_for(cell: Cell, who: Principal) -> str:
    """Return why somebody is not one through whom demands are answered, or nothing."""
    region = cell.settings.region
    entities = {
        party.id for party in cell.agreement.parties if party.role == "operator" and party.place == region
    }
    if who.excluded_line:
        return "line-excluded"
    if who.place != region:
        return "not-at-home"
    return "" if who.employer in entities else "regional-entity-only"


def _found(session: WriteSession, request_id: str) -> LawfulRequestRow:
    row = session.scalar(
        select(LawfulRequestRow)
        .join(AccessRequestRow, AccessRequestRow.request_id == LawfulRequestRow.request_id)
        .where(LawfulRequestRow.request_id == request_id)
    )
    if row is None:
        raise not_found("lawful request")
    return row


def _refuse(session: WriteSession, who: Principal, request_id: str, reason: str) -> Answer:
    at = minute(now_ms() // 1000)
    entry = LawfulRequestRefused(at=at, request=request_id, reason=reason, place=who.place, role=who.role)
    enqueue(session, entry)
    return Answer(request_id, "refused", reason)
