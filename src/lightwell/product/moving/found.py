"""What belongs to some hundreds of accounts, as it lies in a cell: each table is asked once for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Select, String, Table, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from lightwell.base.db import Model, ReadSession
from lightwell.product.social import event_log
from lightwell.product.videos import VideoCountRow
from lightwell.residency import sealed_rows
from lightwell.residency.cell import Cell

# Sessions end with the move, marks are made anew, and of an unfinished upload nothing is carried.
LEFT: Final = frozenset(("sessions", "guarded_values", "uploads"))
AT_ONCE: Final = 500
"""Accounts that are taken together, unless they have much: it bounds memory, and how long a lock is held."""
_MOST_ROWS: Final = 20_000
_MOST_VIDEOS: Final = 50
_MANY: Final = ("viewer_events", "slate_records", "videos")
# Of two cells that are asked about the same, neither engine takes more values than this in one statement.
_VALUES: Final = 1000
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
        counts = _asked(VideoCountRow.__tablename__, "video_id", cell.database.is_sqlite)
        for row in session.connection().execute(counts, _given(cell, list(owners))).mappings():
            video_id = row["video_id"]
            owners[video_id].counts[video_id] = (row["views"], row["likes"], row["shares"])
    for video_id, one in owners.items():
        for prefix in (f"drafts/{video_id}", f"videos/{video_id}"):
            one.objects += sorted(cell.objects.list(prefix))
    return here


def first_few(cell: Cell, session: ReadSession, account_ids: Sequence[str]) -> int:
    """Say how many of these accounts, from the first on, are little enough to be taken together."""
    rows = dict.fromkeys(account_ids, 0)
    videos = dict.fromkeys(account_ids, 0)
    for name in _MANY:
        counted = _counting(name, cell.database.is_sqlite)
        for account_id, count in session.connection().execute(counted, _given(cell, account_ids)):
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


def in_portions(items: Iterable[Item], size: int = _VALUES) -> Iterator[list[Item]]:
    """Yield `items` in lists of at most so many."""
    every = list(items)
    for first in range(0, len(every), size):
        yield every[first : first + size]


# A list is given as one value: taken apart into hundreds, it would cost more than what is asked.
def _among(column: Any, on_sqlite: bool) -> Any:
    if on_sqlite:
        return column.in_(select(func.json_each(bindparam("ids")).table_valued("value").c.value))
    return column == func.any(bindparam("ids", type_=ARRAY(String)))


def _given(cell: Cell, ids: Sequence[str]) -> dict[str, Any]:
    return {"ids": msgspec.json.encode(ids).decode() if cell.database.is_sqlite else list(ids)}


@lru_cache(maxsize=64)
def _asked(name: str, by: str, on_sqlite: bool) -> Select[Any]:
    table = Model.metadata.tables[name]
    return select(table).where(_among(table.c[by], on_sqlite)).order_by(*table.primary_key)


@lru_cache(maxsize=16)
def _counting(name: str, on_sqlite: bool) -> Select[Any]:
    mine = Model.metadata.tables[name].c.account_id
    return select(mine, func.count()).where(_among(mine, on_sqlite)).group_by(mine)


def _rows(
    cell: Cell, session: ReadSession, table: Table, account_ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    if table.name == "viewer_events" and cell.stream is not None:
        for account_id in account_ids:
            for number, event_id, sealed in event_log.of_viewer(cell, session, account_id):
                yield {"sequence": number, "account_id": account_id, "event_id": event_id, "sealed": sealed}
        return
    statement = _asked(table.name, "account_id", cell.database.is_sqlite)
    found = session.connection().execute(statement, _given(cell, account_ids))
    names = tuple(found.keys())
    for row in found:
        yield dict(zip(names, row, strict=True))
