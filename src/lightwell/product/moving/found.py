"""What belongs to some hundreds of accounts, as it lies in a cell: each table is asked once for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Table, func, select

from lightwell.base.db import Model, ReadSession
from lightwell.base.labels import declare_cache
from lightwell.base.many import among
from lightwell.product.social import event_log
from lightwell.product.videos import VideoCountRow
from lightwell.residency import sealed_rows
from lightwell.residency.cell import Cell

declare_cache("product.moving.found", "names of tables", "system.operations", "interop")

# Sessions end with the move, marks are made anew, and of an unfinished upload nothing is carried.
LEFT: Final = frozenset(("sessions", "guarded_values", "uploads"))
AT_ONCE: Final = 2000
"""Accounts that are taken together, unless they have much: it bounds memory, and how long a lock is held."""
_MOST_ROWS: Final = 20_000
_MOST_VIDEOS: Final = 50
_MANY: Final = ("viewer_events", "slate_records", "videos")
_COUNTED: Final = (VideoCountRow.video_id, VideoCountRow.views, VideoCountRow.likes, VideoCountRow.shares)
encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode
Item = TypeVar("Item")


class Found(msgspec.Struct):
    """An account's rows by table, sealed as they lie, its counts by video, and the keys of its objects."""

    account_id: str
    tables: dict[str, list[dict[str, Any]]]
    counts: dict[str, tuple[int, int, int]]
    objects: list[str]

    def mark(self) -> bytes:
        """Return 32 bytes that are others once anything of it was written again, were it the same value."""
        return hashlib.sha256(encode([self.tables, self.counts, self.objects])).digest()


@lru_cache(maxsize=4)
def _carried(_known: int) -> tuple[Table, ...]:
    return tuple(table for table in sealed_rows.account_tables() if table.name not in LEFT)


def carried_tables() -> tuple[Table, ...]:
    """Return the tables whose rows go with an account, parents first."""
    return _carried(len(Model.metadata.tables))


def find(cell: Cell, session: ReadSession, account_ids: Sequence[str]) -> dict[str, Found]:
    """Return all that belongs to those of some accounts that are in this cell.

    Args:
        cell, session: where they lie.
        account_ids: at most `AT_ONCE`.
    """
    found = {account_id: Found(account_id, {}, {}, []) for account_id in account_ids}
    for table in carried_tables():
        for row in _rows(cell, session, table, account_ids):
            found[row["account_id"]].tables.setdefault(table.name, []).append(row)
    here = {account_id: one for account_id, one in found.items() if "accounts" in one.tables}
    owners = {row["video_id"]: one for one in here.values() for row in one.tables.get("videos", ())}
    if owners:
        asked = select(*_COUNTED).where(among(session, VideoCountRow.video_id, owners))
        for video_id, *counts in session.execute(asked):
            owners[video_id].counts[video_id] = (counts[0], counts[1], counts[2])
    for video_id, one in owners.items():
        for prefix in (f"drafts/{video_id}", f"videos/{video_id}"):
            one.objects += sorted(cell.objects.list(prefix))
    return here


def first_few(session: ReadSession, account_ids: Sequence[str]) -> int:
    """Say how many of these accounts, from the first on, are little enough to be taken together."""
    rows = dict.fromkeys(account_ids, 0)
    videos = dict.fromkeys(account_ids, 0)
    for name in _MANY:
        mine = Model.metadata.tables[name].c.account_id
        counted = select(mine, func.count()).where(among(session, mine, account_ids)).group_by(mine)
        for account_id, count in session.execute(counted):
            rows[account_id] += count
            if name == "videos":
                videos[account_id] = count
    few = 0
    all_rows = all_videos = 0
    for account_id in account_ids:
        all_rows += rows[account_id]
        all_videos += videos[account_id]
        if few and (all_rows > _MOST_ROWS or all_videos > _MOST_VIDEOS):
            break
        few += 1
    return few


def in_portions(items: Iterable[Item], size: int = AT_ONCE) -> Iterator[list[Item]]:
    """Yield `items` in lists of at most so many."""
    every = list(items)
    for first in range(0, len(every), size):
        yield every[first : first + size]


def _rows(
    cell: Cell, session: ReadSession, table: Table, account_ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    if table.name == "viewer_events" and cell.stream is not None:
        for account_id in account_ids:
            for number, event_id, sealed in event_log.of_viewer(cell, session, account_id):
                yield {"sequence": number, "account_id": account_id, "event_id": event_id, "sealed": sealed}
        return
    mine = among(session, table.c.account_id, account_ids)
    found = session.connection().execute(select(table).where(mine).order_by(*table.primary_key))
    names = tuple(found.keys())
    for row in found:
        yield dict(zip(names, row, strict=True))
