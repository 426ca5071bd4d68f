"""Accounts opened in one cell and sealed anew in another, in memory only, and their files one at a time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import Table, delete, insert, select

from lightwell.base.clock import minute_s
from lightwell.base.db import Model, ReadSession, WriteSession
from lightwell.base.labels import declare_cache
from lightwell.base.many import among
from lightwell.ledger.queue import enqueue_many
from lightwell.product.moving.found import Found, carried_tables, encode
from lightwell.product.social import event_log, state
from lightwell.product.videos import VideoCountRow, VideoRow
from lightwell.product.videos.sealed_media import CATEGORY
from lightwell.product.videos.service import publication_digest
from lightwell.residency import sealed_rows, tripwires
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Refused, Resource
from lightwell.residency.keys import KeyDestroyedError, SealError, VaultError
from lightwell.wire.commitment import OPENING_SIZE, commit
from lightwell.wire.entries import VideoPublished

declare_cache("product.moving.parcel", "names of tables and columns", "system.operations", "interop")

Rename = Callable[[str], str]
"""What a creator (`cell:handle`) is called in the target."""

UNREADABLE: Final = (KeyDestroyedError, SealError, VaultError, msgspec.DecodeError, UnicodeDecodeError)
"""What is raised by an account that was altered, or whose key is not there."""
# What differs between cells, and so is no part of what is compared.
_OWN_TO_A_CELL: Final = {
    "viewer_events": ("sequence",),
    "viewer_states": ("sequence",),
    "videos": ("origin_cell", "opening", "upload_id"),
    "accounts": ("email_index",),
}
_GUARDED: Final = ("email", "phone", "address", "sign_in_ip")
_event: Final = msgspec.msgpack.Decoder(state.StoredEvent).decode
_pack_event: Final = msgspec.msgpack.encode


class Parcel(msgspec.Struct):
    """An account's rows by table, sealed values opened; its counts by video; and of its files the digests."""

    account_id: str
    tables: dict[str, list[dict[str, Any]]]
    counts: dict[str, tuple[int, int, int]]
    files: dict[str, bytes]
    file_bytes: int = 0

    def digest(self, salt: bytes) -> bytes:
        """Return 32 bytes that stand for everything in it but what each cell has of its own."""
        told = {
            name: [[row[column] for column in _compared(name)] for row in rows]
            for name, rows in self.tables.items()
        }
        return hmac.digest(salt, encode([self.account_id, told, self.files]), "sha256")

    def counted(self) -> dict[str, int]:
        """Return its rows by table, and its `objects` and their `bytes`."""
        found = {name: len(rows) for name, rows in self.tables.items()}
        return found | {
            "video_counts": len(self.counts),
            "objects": len(self.files),
            "bytes": self.file_bytes,
        }

    def email(self) -> str:
        """Return the e-mail that the account is known by."""
        found: bytes = self.tables["accounts"][0]["email"]
        return found.decode()

    def add_file(self, key: str, data: bytes) -> None:
        """Note a file's digest and size."""
        self.files[key] = hashlib.sha256(data).digest()
        self.file_bytes += len(data)


class Permits(dict[str, Permit]):
    """The decisions under which accounts of a cell are moved, by category, each made when first needed.

    They are for a portion of accounts at a time and are not kept beyond it.

    Raises:
        Refused: the agreement has no rule by which accounts are moved.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self._cell = cell

    def __missing__(self, category: str) -> Permit:
        who = Principal(kind="process", id="migration", role="migration")
        what = Resource(category=category, residency="protected")
        permit = self[category] = self._cell.decider.decide(who, "move", what, "migration")
        return permit


def open_found(
    cell: Cell, session: ReadSession, found: Found, permits: Mapping[str, Permit], rename: Rename
) -> Parcel:
    """Open the rows of an account, under the purpose `migration`; its files are not looked at.

    Args:
        cell, session: where it lies.
        found: as it lies there.
        permits: `Permits` of this cell.
        rename: applied to the creators that the person's events name.

    Raises:
        Refused: the agreement has no rule by which accounts are moved.
        UNREADABLE: the account was altered, or is erased.
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for table in carried_tables():
        if table.name in found.tables:
            rows = found.tables[table.name]
            tables[table.name] = [sealed_rows.open_row(cell, session, permits, table, row) for row in rows]
    for row in tables.get("viewer_events", ()):
        row["sealed"] = _renamed_event(row["sealed"], rename)
    for row in tables.get("viewer_states", ()):
        row["sealed"] = _renamed_state(row["sealed"], rename)
    return Parcel(found.account_id, tables, dict(found.counts), {})


def note_files(
    cell: Cell, session: ReadSession, found: Found, permits: Mapping[str, Permit], parcel: Parcel
) -> None:
    """Note the digests of an account's files as they lie in this cell; errors as `open_found`."""
    for key in found.objects:
        parcel.add_file(key, _file(cell, session, found.account_id, permits, key))


def put_files(source: Cell, target: Cell, found: Found, parcel: Parcel) -> None:
    """Copy an account's published files, and note their digests."""
    for key in found.objects:
        if not key.startswith("drafts/"):
            data = source.objects.get(key)
            target.objects.put(key, data)
            parcel.add_file(key, data)


def put_drafts(
    source: Cell,
    target: Cell,
    reading: ReadSession,
    session: ReadSession,
    found: Found,
    permits: Mapping[str, Permit],
    parcel: Parcel,
) -> None:
    """Copy an account's drafts, sealed under its key in the target, which exists already."""
    for key in found.objects:
        if key.startswith("drafts/"):
            data = _file(source, reading, found.account_id, permits, key)
            row = _draft_row(key)
            sealed = target.vault.seal(session, found.account_id, "drafts", "part", row, data)
            target.objects.put(key, sealed)
            parcel.add_file(key, data)


def put_rows(cell: Cell, session: WriteSession, parcels: Sequence[Parcel]) -> None:
    """Write parcels' rows into a cell where the accounts' keys are made already, each value sealed anew."""
    _take_over(session, parcels)
    for table in carried_tables():
        if table.name not in ("viewer_events", "viewer_states"):
            rows = [row for parcel in parcels for row in _sealed(cell, session, table, parcel)]
            if rows:
                session.connection().execute(insert(table), rows)
    _publish_anew(session, parcels)
    last = _put_events(cell, session, parcels)
    states = Model.metadata.tables["viewer_states"]
    folds = [
        row | {"sequence": last.get(row["account_id"], 0)}
        for parcel in parcels
        for row in _sealed(cell, session, states, parcel)
    ]
    if folds:
        session.connection().execute(insert(states), folds)
    guarded = {}
    for parcel in parcels:
        (person,) = parcel.tables["accounts"]
        guarded[parcel.account_id] = [person[name].decode() for name in _GUARDED if person[name]]
    tripwires.guard_all(session, cell.vault, guarded)


def is_permitted(cell: Cell) -> bool:
    """Say whether the agreement lets this cell's people be moved."""
    try:
        Permits(cell)["user.contact.email"]
    except Refused:
        return False
    return True


@lru_cache(maxsize=64)
def _compared(name: str) -> tuple[str, ...]:
    own = _OWN_TO_A_CELL.get(name, ())
    return tuple(column.name for column in Model.metadata.tables[name].c if column.name not in own)


def _sealed(cell: Cell, session: WriteSession, table: Table, parcel: Parcel) -> list[dict[str, Any]]:
    rows = [
        sealed_rows.seal_row(cell, session, table, _at_home(cell, table.name, row))
        for row in parcel.tables.get(table.name, ())
    ]
    if table.name == "accounts":
        rows[0]["email_index"] = cell.vault.blind_index("accounts.email", parcel.email())
    return rows


def _at_home(cell: Cell, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return an opened row as it is in the cell that the account comes to; of videos, which it notes."""
    if name == "videos":
        # The opening is of the entry below, in this cell's own ledger.
        row |= {"origin_cell": cell.settings.cell, "upload_id": None, "opening": None}
        if row["status"] == "published":
            row["opening"] = secrets.token_bytes(OPENING_SIZE)
    return row


def _publish_anew(session: WriteSession, parcels: Sequence[Parcel]) -> None:
    """Commit each published video to the ledger of the cell that it now comes from, with its counts."""
    entries, counts = [], []
    for parcel in parcels:
        for row in parcel.tables.get("videos", ()):
            if row["status"] == "published":
                commitment = commit("video", row["opening"], publication_digest(VideoRow(**row)))
                entries.append(VideoPublished(at=minute_s(), commitment=commitment.hex()))
                views, likes, shares = parcel.counts.get(row["video_id"], (0, 0, 0))
                counts.append({"video_id": row["video_id"], "views": views, "likes": likes, "shares": shares})
    if entries:
        enqueue_many(session, entries)
        session.connection().execute(insert(Model.metadata.tables["video_counts"]), counts)


def _put_events(cell: Cell, session: WriteSession, parcels: Sequence[Parcel]) -> dict[str, int]:
    """Append the events of all accounts to the log; return the number of the last of each."""
    table = Model.metadata.tables["viewer_events"]
    events = [
        (row["account_id"], row["event_id"], row["sealed"])
        for parcel in parcels
        for row in _sealed(cell, session, table, parcel)
    ]
    if not events:
        return {}
    numbers = event_log.append(cell, session, events)
    return {account_id: number for (account_id, _, _), number in zip(events, numbers, strict=True)}


def _take_over(session: WriteSession, parcels: Sequence[Parcel]) -> None:
    """Remove what the target has of videos as a stranger's, and add its counts to those that come."""
    owners = {row["video_id"]: parcel for parcel in parcels for row in parcel.tables.get("videos", ())}
    if not owners:
        return
    for counted in session.scalars(
        select(VideoCountRow).where(among(session, VideoCountRow.video_id, owners))
    ):
        mine = owners[counted.video_id].counts
        views, likes, shares = mine.get(counted.video_id, (0, 0, 0))
        mine[counted.video_id] = (views + counted.views, likes + counted.likes, shares + counted.shares)
    session.execute(delete(VideoCountRow).where(among(session, VideoCountRow.video_id, owners)))
    session.execute(delete(VideoRow).where(among(session, VideoRow.video_id, owners)))
    session.expire_all()


def _renamed_event(plain: bytes, rename: Rename) -> bytes:
    event = _event(plain)
    event.creator = rename(event.creator)
    return _pack_event(event)


def _renamed_state(plain: bytes, rename: Rename) -> bytes:
    fold = state.unpack(plain)
    known = fold.state
    for name in ("follows", "blocked", "muted"):
        setattr(known, name, dict.fromkeys(map(rename, getattr(known, name))))
    return state.pack(fold)


def _file(
    cell: Cell, session: ReadSession, account_id: str, permits: Mapping[str, Permit], key: str
) -> bytes:
    data = cell.objects.get(key)
    if not key.startswith("drafts/"):
        return data
    row = _draft_row(key)
    return cell.vault.unseal(permits[CATEGORY], session, account_id, "drafts", "part", row, data)


def _draft_row(key: str) -> str:
    _, video_id, name, number = key.split("/")
    return f"{video_id}/{name}/{int(number)}"
