"""The reading desk: only granted fields are unsealed, the rest is masked, and every look is an entry."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lightwell.agreement.model import covers
from lightwell.base.clock import now_ms
from lightwell.base.db import WriteSession
from lightwell.base.errors import not_found
from lightwell.ledger.queue import enqueue
from lightwell.residency import access
from lightwell.residency.access_models import AccessRequestRow, StaffRow
from lightwell.residency.access_rules import record_refusal
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Refused, Resource
from lightwell.residency.subjects import places, read_field
from lightwell.wire.entries import AccessUsed, minute

MASK: Final = "••••••"

# The grant is approved and its entry is on its way; this is no attempt at anything.
_NOT_YET: Final = "grant-not-sequenced"


class Watermark(Struct, frozen=True):
    """What is written over everything a look shows: who looked, when, under which grant, how often so far.

    `at` is milliseconds since the epoch; a picture of the screen names its source.
    """

    who: str
    at: int
    grant: str
    look: int


class Reading(Struct, frozen=True):
    """What one look showed: values of granted fields, masks for the others; or why it showed nothing."""

    fields: dict[str, str | None]
    reason: str = ""
    expires_at: int | None = None
    watermark: Watermark | None = None


def read(
    cell: Cell, session: WriteSession, who: Principal, request_id: str, *, lawful: bool = False
) -> Reading:
    """Unseal the fields of a live grant and queue the AccessUsed entry in the same transaction.

    The caller shows the values only after the transaction has committed. A refusal is returned, not
    raised, so that its entry is committed. `lawful`: a demand is being answered, by whoever may.

    Raises:
        Problem: 404 no such request.
    """
    now = now_ms()
    row = session.get(AccessRequestRow, request_id, with_for_update=True)
    if row is None:
        raise not_found("access request")
    if row.status == "granted" and row.expires_at is not None and row.expires_at <= now:
        access.end_expired(session, now)
    permits, reason = _permits(cell, session, who, row, now)
    if row.purpose == access.LEGAL_PROCESS and not lawful:
        reason = reason or "regional-entity-only"
    if reason:
        if reason != _NOT_YET:
            record_refusal(session, who, request_id, reason, now)
        return Reading({}, reason)
    shown: dict[str, str | None] = {
        category: MASK
        for category in places()
        if covers(cell.agreement.access.staff.categories, category) and category not in permits
    }
    for category, permit in permits.items():
        shown[category] = read_field(cell, session, permit, row.subject_id or "")
    row.uses += 1
    enqueue(session, AccessUsed(at=minute(now // 1000), request=request_id, fields=sorted(permits)))
    mark = Watermark(session.get_one(StaffRow, who.id).name, now, request_id, row.uses)
    return Reading(dict(sorted(shown.items())), "", row.expires_at, mark)


def _permits(
    cell: Cell, session: WriteSession, who: Principal, row: AccessRequestRow, now: int
) -> tuple[dict[str, Permit], str]:
    """Ask the decider for every field of the request; one refusal refuses all."""
    grant = access.live_grant(cell, session, row)
    permits: dict[str, Permit] = {}
    for category in row.fields:
        resource = Resource(category=category, region=cell.settings.region, owner=row.subject_id or "")
        try:
            permits[category] = cell.decider.decide(
                who, "read_granted", resource, row.purpose, grant=grant, now=now
            )
        except Refused as refused:
            return {}, refused.reason
    return permits, ""
