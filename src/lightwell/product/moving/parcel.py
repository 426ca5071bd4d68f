"""One account with all that belongs to it, opened in one cell and sealed anew in another, in memory only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Table, delete, insert, select

from lightwell.base.clock import minute_s
from lightwell.base.db import Model, ReadSession, WriteSession
from lightwell.ledger.queue import enqueue
from lightwell.product.accounts.service import DETAILS
from lightwell.product.social import event_log, state
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.sealed_media import CATEGORY
from lightwell.product.videos.service import publication_digest
from lightwell.residency import sealed_rows, tripwires
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.wire.commitment import OPENING_SIZE, commit
from lightwell.wire.entries import VideoPublished

Rename = Callable[[str], str]
"""What a creator (`cell:handle`) is called in the target."""

# Sessions end with the move, marks and unfinished uploads are not carried, and a plan is no part of anybody.
LEFT: Final = frozenset(("sessions", "guarded_values", "uploads"))
# What differs between cells, and so is no part of what is compared.
_OWN_TO_A_CELL: Final = frozenset(
    (
        "viewer_events.sequence",
        "viewer_states.sequence",
        "videos.origin_cell",
        "videos.opening",
        "videos.upload_id",
        "accounts.email_index",
    )
)
_event: Final = msgspec.msgpack.Decoder(state.StoredEvent).decode
_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


class Parcel(msgspec.Struct):
    """An account's rows by table, sealed values opened, its counts by video, and its objects by key."""

    account_id: str
    tables: dict[str, list[dict[str, Any]]]
    counts: dict[str, tuple[int, int, int]]
    objects: dict[str, bytes]

    def digest(self, salt: bytes) -> bytes:
        """Return 32 bytes that stand for everything in it but what each cell has of its own."""
        told = {
            table: [
                {name: value for name, value in row.items() if f"{table}.{name}" not in _OWN_TO_A_CELL}
                for row in rows
            ]
            for table, rows in self.tables.items()
        }
        files = {key: hashlib.sha256(data).digest() for key, data in self.objects.items()}
        return hmac.digest(salt, _encode([self.account_id, told, files]), "sha256")

    def counted(self) -> dict[str, int]:
        """Return its rows by table, and its `objects` and their `bytes`."""
        found = {table: len(rows) for table, rows in self.tables.items() if rows}
        size = sum(map(len, self.objects.values()))
        return found | {"video_counts": len(self.counts), "objects": len(self.objects), "bytes": size}


def carried_tables() -> list[Table]:
    """Return the tables whose rows go with an account, parents first."""
    return [table for table in sealed_rows.account_tables() if table.name not in LEFT]


def open_parcel(cell: Cell, session: ReadSession, account_id: str, rename: Rename) -> Parcel:
    """Open everything that belongs to an account, under the purpose `migration`.

    Args:
        cell, session: where it lies.
        account_id: whose.
        rename: applied to the creators that the person's events name.

    Raises:
        Refused: the agreement has no rule by which accounts are moved.
        KeyDestroyedError, SealError: the account is erased, or was altered.
    """
    tables = {
        table.name: [
            _opened(cell, session, account_id, table, row, rename)
            for row in _rows(cell, session, table, account_id)
        ]
        for table in carried_tables()
    }
    ids = [row["video_id"] for row in tables["videos"]]
    counts: dict[str, tuple[int, int, int]] = {}
    if ids:
        for row in session.scalars(select(VideoCountRow).where(VideoCountRow.video_id.in_(ids))):
            counts[row.video_id] = (row.views, row.likes, row.shares)
    objects = {key: data for video_id in ids for key, data in _objects(cell, session, account_id, video_id)}
    return Parcel(account_id, {str(name): rows for name, rows in tables.items()}, counts, objects)


def put_objects(cell: Cell, session: ReadSession, parcel: Parcel) -> None:
    """Store a parcel's objects, drafts sealed under the account's key in this cell, which exists already."""
    for key, data in parcel.objects.items():
        if key.startswith("drafts/"):
            row = _draft_row(key)
            cell.objects.put(key, cell.vault.seal(session, parcel.account_id, "drafts", "part", row, data))
        else:
            cell.objects.put(key, data)


def put_rows(cell: Cell, session: WriteSession, parcel: Parcel) -> None:
    """Write a parcel's rows into a cell where the account's key is made already, each value sealed anew."""
    account_id = parcel.account_id
    last = 0
    for table in carried_tables():
        rows = [_sealed(cell, session, table, row) for row in parcel.tables.get(table.name, [])]
        if table.name == "viewer_events":
            events = [(account_id, row["event_id"], row["sealed"]) for row in rows]
            last = event_log.append(cell, session, events)[-1] if events else 0
            continue
        for row in rows:
            if table.name == "viewer_states":
                row["sequence"] = last
            if table.name == "videos":
                _take_over(session, parcel, row)
                row |= {"origin_cell": cell.settings.cell, "upload_id": None, "opening": None}
        if rows:
            session.execute(insert(table), rows)
    _publish_anew(cell, session, parcel)
    (person,) = parcel.tables["accounts"]
    guarded = [person[name].decode() for name in ("email", "phone", "address", "sign_in_ip") if person[name]]
    tripwires.guard(session, cell.vault, account_id, guarded)


def email_of(cell: Cell, session: ReadSession, account_id: str) -> str:
    """Return an account's e-mail, by which it is known whether the target has it already."""
    table = Model.metadata.tables["accounts"]
    row = session.execute(select(table).where(table.c.account_id == account_id)).mappings().one()
    permit = permit_to_move(cell, account_id, DETAILS["email"])
    return (sealed_rows.open_value(cell, session, permit, table, dict(row), "email") or b"").decode()


def permit_to_move(cell: Cell, account_id: str, category: str) -> Permit:
    """Ask for the decision under which an account is moved; raises `Refused` if the agreement has none."""
    return cell.decider.decide(
        Principal(kind="process", id="migration", role="migration"),
        "move",
        Resource(category=category, residency="protected", owner=account_id),
        "migration",
    )


def _rows(cell: Cell, session: ReadSession, table: Table, account_id: str) -> Iterator[dict[str, Any]]:
    if table.name == "viewer_events":
        for number, event_id, sealed in event_log.of_viewer(cell, session, account_id):
            yield {"sequence": number, "account_id": account_id, "event_id": event_id, "sealed": sealed}
        return
    statement = select(table).where(table.c.account_id == account_id).order_by(*table.primary_key)
    for row in session.connection().execute(statement).mappings():
        yield {str(name): bytes(v) if isinstance(v, memoryview) else v for name, v in row.items()}


def _opened(
    cell: Cell, session: ReadSession, account_id: str, table: Table, row: dict[str, Any], rename: Rename
) -> dict[str, Any]:
    opened = dict(row)
    for column in sealed_rows.sealed_columns(table):
        permit = permit_to_move(cell, account_id, sealed_rows.label_in(table, column).category)
        plain = sealed_rows.open_value(cell, session, permit, table, row, column)
        if plain is not None and table.name == "viewer_events":
            plain = _renamed_event(plain, rename)
        if plain is not None and table.name == "viewer_states":
            plain = _renamed_state(plain, rename)
        opened[column] = plain
    return opened


def _sealed(cell: Cell, session: ReadSession, table: Table, row: dict[str, Any]) -> dict[str, Any]:
    sealed = dict(row)
    for column in sealed_rows.sealed_columns(table):
        plain = row[column]
        if plain is not None:
            sealed[column] = sealed_rows.seal_value(cell, session, table, row, column, plain)
    if table.name == "accounts":
        sealed["email_index"] = cell.vault.blind_index("accounts.email", row["email"].decode())
    return sealed


def _renamed_event(plain: bytes, rename: Rename) -> bytes:
    event = _event(plain)
    event.creator = rename(event.creator)
    return msgspec.msgpack.encode(event)


def _renamed_state(plain: bytes, rename: Rename) -> bytes:
    fold = state.unpack(plain)
    known = fold.state
    for name in ("follows", "blocked", "muted"):
        setattr(known, name, dict.fromkeys(map(rename, getattr(known, name))))
    return state.pack(fold)


def _objects(cell: Cell, session: ReadSession, account_id: str, video_id: str) -> Iterator[tuple[str, bytes]]:
    for key in sorted(cell.objects.list(f"videos/{video_id}")):
        yield key, cell.objects.get(key)
    for key in sorted(cell.objects.list(f"drafts/{video_id}")):
        permit = permit_to_move(cell, account_id, CATEGORY)
        sealed = cell.objects.get(key)
        row = _draft_row(key)
        yield key, cell.vault.unseal(permit, session, account_id, "drafts", "part", row, sealed)


def _draft_row(key: str) -> str:
    _, video_id, name, number = key.split("/")
    return f"{video_id}/{name}/{int(number)}"


def _take_over(session: WriteSession, parcel: Parcel, row: dict[str, Any]) -> None:
    """Remove what the target has of a video as a stranger's, and add its counts to those that come."""
    video_id = row["video_id"]
    known = session.get(VideoRow, video_id)
    if known is None:
        return
    counted = session.get(VideoCountRow, video_id)
    if counted is not None:
        views, likes, shares = parcel.counts.get(video_id, (0, 0, 0))
        parcel.counts[video_id] = (views + counted.views, likes + counted.likes, shares + counted.shares)
    session.execute(delete(VideoCountRow).where(VideoCountRow.video_id == video_id))
    session.execute(delete(VideoRow).where(VideoRow.video_id == video_id))
    session.expire_all()


def _publish_anew(cell: Cell, session: WriteSession, parcel: Parcel) -> None:
    """Commit each published video to the ledger of the cell that it now comes from, with its counts."""
    for told in parcel.tables.get("videos", []):
        if told["status"] != "published":
            continue
        row = session.get_one(VideoRow, told["video_id"])
        opening = secrets.token_bytes(OPENING_SIZE)
        row.opening = cell.vault.seal(session, parcel.account_id, "videos", "opening", row.video_id, opening)
        commitment = commit("video", opening, publication_digest(row))
        enqueue(session, VideoPublished(at=minute_s(), commitment=commitment.hex()))
        views, likes, shares = parcel.counts.get(row.video_id, (0, 0, 0))
        session.add(VideoCountRow(video_id=row.video_id, views=views, likes=likes, shares=shares))
    session.flush()
