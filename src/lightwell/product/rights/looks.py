"""Each time that staff asked to see a person's protected fields: from where, why, and what became of it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.ledger.places import integrated
from lightwell.residency.access_models import AccessRequestRow
from lightwell.residency.access_rules import decision_leaf

_TOLD: Final = (
    "request_id",
    "requested_at",
    "place",
    "role",
    "fields",
    "purpose",
    "status",
    "granted_at",
    "expires_at",
    "uses",
)


def looks_at(session: ReadSession, account_id: str) -> list[dict[str, Any]]:
    """Return what staff asked about one person, oldest first; it names nobody of the staff.

    Args:
        session: any session of the person's home cell.
        account_id: whose.

    Returns:
        For each request its id, times (milliseconds), place and role of who asked, fields, purpose, status,
        number of looks (`uses`), and `entry`: the index of its decision in the ledger, or None while it
        waits for one.
    """
    rows = session.scalars(
        select(AccessRequestRow)
        .where(AccessRequestRow.subject_id == account_id)
        .order_by(AccessRequestRow.requested_at)
    ).all()
    leaves = [decision_leaf(row) or b"" for row in rows]
    places = integrated(session, list(filter(None, leaves)))
    return [
        {name: getattr(row, name) for name in _TOLD} | {"entry": places.get(leaf)}
        for row, leaf in zip(rows, leaves, strict=True)
    ]
