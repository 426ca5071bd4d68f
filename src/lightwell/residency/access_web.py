"""Staff over HTTP: sign in with a key, ask, approve, revoke, and read what a live grant names."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from msgspec import Meta, Struct
from sqlalchemy import func, select

from lightwell.base.db import ReadSession
from lightwell.base.threads import in_thread
from lightwell.ledger.places import integrated
from lightwell.residency import access, access_read, access_search
from lightwell.residency import staff as directory
from lightwell.residency.access_models import AccessApprovalRow, AccessRequestRow, StaffPasskeyRow, StaffRow
from lightwell.residency.access_rules import decision_leaf
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Grant, Principal, Refused, Resource
from lightwell.residency.labels import label_of

COOKIE: Final = "lightwell_staff"
_LISTED: Final = 100

Key = Annotated[str, Meta(max_length=300)]


class ChallengeForm(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that will sign."""

    vkey: Key


class SignInForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A key, the challenge it was given and its hex signature over it."""

    vkey: Key
    challenge: Annotated[str, Meta(max_length=200)]
    signature: Annotated[str, Meta(max_length=200)]


class SearchForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked for, and by what."""

    sought: Annotated[str, Meta(min_length=1, max_length=100)]
    by: access_search.By = "handle"


class AskForm(Struct, frozen=True, forbid_unknown_fields=True):
    """A request for access, as typed; see `access.Ask`."""

    subject: Annotated[str, Meta(max_length=40)]
    fields: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)]
    purpose: Annotated[str, Meta(max_length=40)]
    minutes: int
    ticket: Annotated[str, Meta(max_length=40)] = ""


def current_staff(cell: Cell, token: str | None) -> Principal | None:
    """Return who is signed in at the staff desk with this cookie, as the directory knows them now."""
    if not token or len(token) > 100:
        return None
    with cell.database.read() as session:
        row = directory.signed_in(cell, session, token)
        return None if row is None else directory.principal_of(cell, session, row)


@post("/api/staff/challenge", status_code=200)
@in_thread
def give_challenge(data: ChallengeForm, cell: Cell) -> dict[str, str]:
    """Give a challenge that the key may sign within two minutes."""
    return {"challenge": directory.challenge(cell, data.vkey)}


@post("/api/staff/session", status_code=200)
@in_thread
def open_session(data: SignInForm, cell: Cell, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Sign in with a signed challenge; the answer sets the staff cookie."""
    with cell.database.write() as session:
        who, token = directory.sign_in(cell, session, data.vkey, data.challenge, data.signature)
        return signed_in_answer(session, who, token, request)


def signed_in_answer(
    session: ReadSession, who: Principal, token: str, request: Request[Any, Any, Any]
) -> Response[dict[str, Any]]:
    """Answer a sign-in with who it was and the cookie of the session."""
    name = session.get_one(StaffRow, who.id).name
    cookie = Cookie(
        key=COOKIE,
        value=token,
        httponly=True,
        samesite="strict",
        path="/",
        secure=request.url.scheme == "https",
        max_age=directory.SESSION_MS // 1000,
    )
    return Response(_shown_principal(who, name), cookies=[cookie], status_code=200)


@get("/api/staff/session")
@in_thread
def read_session(cell: Cell, staff: Principal) -> dict[str, Any]:
    """Say who is signed in, and what the agreement lets them ask for."""
    with cell.database.read() as session:
        name = session.get_one(StaffRow, staff.id).name
        passkeys = session.scalar(
            select(func.count()).select_from(StaffPasskeyRow).where(StaffPasskeyRow.staff_id == staff.id)
        )
    rule = cell.agreement.access.staff
    limits = cell.agreement.limits
    return _shown_principal(staff, name) | {
        "passkeys": passkeys,
        "region": cell.settings.region,
        "may_ask": may_ask(cell, staff),
        "may_approve": may_approve(cell, staff),
        "may_review": may_review(cell, staff),
        "emergency_purposes": cell.agreement.access.emergency.purposes,
        "emergency_minutes": limits.max_emergency_minutes.value,
        "emergency_witnesses": limits.emergency_witnesses.value,
        "purposes": rule.purposes,
        "categories": rule.categories,
        "max_minutes": cell.agreement.limits.max_grant_minutes.value,
        "approvals_needed": cell.agreement.approvals_needed("grant"),
    }


@delete("/api/staff/session", status_code=204)
@in_thread
def close_session(cell: Cell, request: Request[Any, Any, Any]) -> Response[None]:
    """Sign out."""
    token = request.cookies.get(COOKIE)
    if token:
        with cell.database.write() as session:
            directory.sign_out(cell, session, token)
    answer: Response[None] = Response(None, status_code=204)
    answer.delete_cookie(COOKIE, path="/")
    return answer


@post("/api/access/requests", status_code=201)
@in_thread
def ask_for_access(data: AskForm, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Ask; a refusal is recorded in the ledger and answered as a 403 problem with its reason."""
    form = access.Ask(data.subject, data.fields, data.purpose, data.minutes, data.ticket)
    with cell.database.write() as session:
        answer = access.ask(cell, session, staff, form)
    return answered(answer)


@post("/api/access/search", status_code=200)
@in_thread
def search_accounts(data: SearchForm, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Find one account by its handle; any other search is refused, and the refusal is an entry."""
    with cell.database.write() as session:
        found = access_search.search(cell, session, staff, data.by, data.sought)
    if found.reason:
        refusal = Refused(found.reason)
        refusal.extra["request_id"] = found.request_id
        raise refusal
    return {"handle": found.handle}


@get("/api/access/requests")
@in_thread
def list_requests(cell: Cell, staff: Principal) -> dict[str, Any]:
    """List one's own requests, and for those who may approve, the others' too; newest first."""
    with cell.database.read() as session:
        query = select(AccessRequestRow).order_by(AccessRequestRow.requested_at.desc()).limit(_LISTED)
        if not may_approve(cell, staff):
            own = AccessRequestRow.staff_id == staff.id
            # An emergency waits for witnesses: any colleague who may ask sees it.
            to_witness = (AccessRequestRow.emergency == "witnessed") & (AccessRequestRow.status == "pending")
            query = query.where(own | to_witness if may_ask(cell, staff) else own)
        rows = list(session.scalars(query))
        return {"requests": _shown_requests(cell, session, staff, rows)}


@post("/api/access/requests/{request_id:str}/approve", status_code=200)
@in_thread
def approve_request(request_id: str, cell: Cell, staff: Principal) -> dict[str, Any]:
    """Approve another person's request."""
    with cell.database.write() as session:
        answer = access.approve(cell, session, staff, request_id)
    return answered(answer)


@post("/api/access/requests/{request_id:str}/revoke", status_code=200)
@in_thread
def revoke_request(request_id: str, cell: Cell, staff: Principal) -> dict[str, Any]:
    """End a grant, or withdraw a pending request."""
    with cell.database.write() as session:
        answer = access.revoke(cell, session, staff, request_id)
    return {"request_id": answer.request_id, "status": answer.status, "reason": answer.reason}


@get("/api/access/requests/{request_id:str}/fields")
@in_thread
def read_fields(request_id: str, cell: Cell, staff: Principal) -> Response[dict[str, Any]]:
    """Show the granted fields of a live grant, the others masked; the look is an entry."""
    with cell.database.write() as session:
        reading = access_read.read(cell, session, staff, request_id)
    if reading.reason:
        raise Refused(reading.reason)
    body = {
        "request_id": request_id,
        "fields": reading.fields,
        "expires_at": reading.expires_at,
        "watermark": reading.watermark,
    }
    return Response(body, headers={"cache-control": "no-store"})


def may_approve(cell: Cell, who: Principal) -> bool:
    """Say whether somebody could approve another person's request for the first grantable field."""
    rule = cell.agreement.access.staff
    other = Grant("", "", "", "", (), "", 0, 0, 0, sequenced=False)
    resource = Resource(category=rule.categories[0], region=cell.settings.region, owner="")
    try:
        cell.decider.decide(who, "approve", resource, rule.purposes[0], grant=other)
    except Refused:
        return False
    return True


def may_ask(cell: Cell, who: Principal) -> bool:
    """Say whether somebody could ask for the first grantable field, for one purpose at least."""
    rule = cell.agreement.access.staff
    resource = Resource(category=rule.categories[0], region=cell.settings.region, owner="")
    return cell.decider.allows(who, "ask", resource, rule.purposes[0])


def may_review(cell: Cell, who: Principal) -> bool:
    """Say whether somebody could look at what the gateway stopped; asking that is no attempt at it."""
    category = label_of("quarantine", "message").category
    resource = Resource(category=category, region=cell.settings.region, owner="", residency="protected")
    purpose = next(iter(cell.agreement.access.quarantine.purposes), "")
    return cell.decider.allows(who, "look_quarantined", resource, purpose)


def answered(answer: access.Answer) -> dict[str, Any]:
    """Say over HTTP what became of a request.

    Raises:
        Refused: it was refused; the entry of that stands already.
    """
    if answer.status == "refused":
        refusal = Refused(answer.reason)
        refusal.extra["request_id"] = answer.request_id
        raise refusal
    return {
        "request_id": answer.request_id,
        "status": answer.status,
        "reason": answer.reason,
        "approvals": answer.approvals,
        "expires_at": answer.expires_at,
    }


def _shown_principal(who: Principal, name: str) -> dict[str, Any]:
    return {
        "staff_id": who.id,
        "name": name,
        "role": who.role,
        "place": who.place,
        "employer": who.employer,
        "vetted": who.vetted,
        "line_excluded": who.excluded_line,
    }


def _shown_requests(
    cell: Cell, session: ReadSession, who: Principal, rows: list[AccessRequestRow]
) -> list[dict[str, Any]]:
    ids = [row.request_id for row in rows]
    people = {row.staff_id for row in rows}
    named = session.execute(select(StaffRow.staff_id, StaffRow.name).where(StaffRow.staff_id.in_(people)))
    names: dict[str, str] = {row[0]: row[1] for row in named}
    counted = session.execute(
        select(AccessApprovalRow.request_id, func.count())
        .where(AccessApprovalRow.request_id.in_(ids))
        .group_by(AccessApprovalRow.request_id)
    )
    counts: dict[str, int] = {row[0]: row[1] for row in counted}
    leaves = {row.request_id: leaf for row in rows if (leaf := decision_leaf(row)) is not None}
    places = integrated(session, list(leaves.values()))
    return [
        {
            "request_id": row.request_id,
            "by": names.get(row.staff_id, ""),
            "mine": row.staff_id == who.id,
            "place": row.place,
            "role": row.role,
            "subject": row.subject_handle,
            "fields": row.fields,
            "purpose": row.purpose,
            "minutes": row.minutes,
            "ticket": row.ticket,
            "status": row.status,
            "reason": row.reason,
            "approvals": counts.get(row.request_id, 0),
            "approvals_needed": _needed(cell, row),
            "requested_at": row.requested_at,
            "expires_at": row.expires_at,
            "uses": row.uses,
            "emergency": row.emergency,
            "review": row.review,
            "review_by": row.review_by,
            "entry": places.get(leaves.get(row.request_id, b"")),
        }
        for row in rows
    ]


def _needed(cell: Cell, row: AccessRequestRow) -> int:
    if row.emergency:
        return 0 if row.emergency == "alone" else cell.agreement.limits.emergency_witnesses.value
    return cell.agreement.approvals_needed("grant")


routes = [
    search_accounts,
    give_challenge,
    open_session,
    read_session,
    close_session,
    ask_for_access,
    list_requests,
    approve_request,
    revoke_request,
    read_fields,
]
