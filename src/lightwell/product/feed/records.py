"""The sealed record of a slate opens for its viewer, and for the partner's clean room, under a permit."""

from typing import Any

import msgspec
from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.base.errors import not_found
from lightwell.product.accounts import Account
from lightwell.product.feed.models import SlateRecordRow
from lightwell.product.feed.padding import padding_for_replay
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.keys import KeyDestroyedError

_CATEGORY = "user.behavior.browsing_history"


class Record(msgspec.Struct, array_like=True):
    """What stands inside the seal of a slate record."""

    inputs: bytes
    slate: bytes
    opening: bytes


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def own_record(cell: Cell, session: ReadSession, account: Account, leaf: bytes) -> tuple[Record, bytes]:
    """Return the record of a slate to the viewer it was made for, and its commitment.

    Raises:
        Problem: 404 for a slate that does not exist or was somebody else's.
    """
    row = session.get(SlateRecordRow, leaf)
    if row is None or row.account_id != account.account_id:
        raise not_found("slate of yours")
    permit = _permit(cell, Principal(kind="account", id=account.account_id, role="self"), "use_own", row)
    return open_record(cell, session, permit, row), row.commitment


def records_for_replay(cell: Cell, session: ReadSession, commitments: list[bytes]) -> list[dict[str, str]]:
    """Open the records behind `commitments` for the partner's clean room; unknown ones are left out.

    A record that no longer opens (altered bytes, erased viewer) is left out too: the clean room then
    reports the slate as missing.
    """
    rows = session.scalars(select(SlateRecordRow).where(SlateRecordRow.commitment.in_(commitments)))
    found = []
    process = Principal(kind="process", id="cleanroom", role="cleanroom")
    for row in rows:
        permit = _permit(cell, process, "replay", row)
        try:
            record = open_record(cell, session, permit, row)
        except (ValueError, msgspec.DecodeError, KeyDestroyedError):
            continue
        found.append(
            {
                "commitment": row.commitment.hex(),
                "inputs": record.inputs.decode(),
                "slate": record.slate.decode(),
                "opening": record.opening.hex(),
            }
        )
    return found + padding_for_replay(session, commitments)


def open_record(cell: Cell, session: ReadSession, permit: Permit, row: SlateRecordRow) -> Record:
    """Unseal one slate record under a decision already made.

    Raises:
        ValueError: its bytes are not whole.
        KeyDestroyedError: its viewer was erased.
    """
    plain = cell.vault.unseal(
        permit, session, row.account_id, "slate_records", "sealed", row.commitment.hex(), row.sealed
    )
    return _decode(plain)


def shown(record: Record, commitment: bytes, leaf: bytes) -> dict[str, Any]:
    """Return a record whole, as its viewer is answered it."""
    return {
        "inputs": record.inputs.decode(),
        "slate": record.slate.decode(),
        "opening": record.opening.hex(),
        "commitment": commitment.hex(),
        "leaf": leaf.hex(),
    }


def _permit(cell: Cell, principal: Principal, action: str, row: SlateRecordRow) -> Permit:
    resource = Resource(category=_CATEGORY, residency="protected", owner=row.account_id)
    return cell.decider.decide(principal, action, resource)
