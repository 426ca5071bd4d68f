"""Erasing an account destroys its key, and with it goes everything sealed: fields, openings and index rows.

Which columns those are, the labels say, so that no table is forgotten. What the account has published is not
touched here: it is not protected, and the product decides about it.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Column, Table, bindparam, delete, func, select, update

from lightwell.base.db import Model, WriteSession
from lightwell.base.labels import BlindIndex, Label
from lightwell.base.many import among
from lightwell.residency.cell import Cell
from lightwell.residency.sealed_rows import account_tables

_INDEX_BYTES: Final = 32


class Erased(Struct, frozen=True):
    """What went, by table: rows deleted, and rows that stay with nothing protected left in them."""

    deleted: dict[str, int]
    emptied: dict[str, int]


def erase(cell: Cell, session: WriteSession, account_id: str) -> Erased:
    """Destroy an account's key and everything of it that is protected, in the caller's transaction.

    Other processes may hold the opened key for `keys.CACHE_SECONDS` more; there is nothing left to open.
    Copies of the database made before are closed by the next rotation of the cell key (`key_rotation`).

    Args:
        cell: the home cell.
        session: the open transaction; nothing is gone before it commits.
        account_id: whose. An account without a key is erased like any other, so it may be done twice.
    """
    return erase_all(cell, session, (account_id,))


def erase_all(cell: Cell, session: WriteSession, account_ids: Sequence[str]) -> Erased:
    """Erase many accounts as `erase` does one, each table asked once for all of them."""
    deleted: dict[str, int] = {}
    emptied: dict[str, int] = {}
    cell.vault.destroy(session, *account_ids)
    for table in reversed(account_tables()):
        protected = [column for column in table.columns if _label(column).residency == "protected"]
        if not protected:
            continue
        mine = among(session, table.c.account_id, account_ids)
        count = session.scalar(select(func.count()).select_from(table).where(mine)) or 0
        if count == 0:
            continue
        if _must_stay(table, protected):
            emptied[table.name] = count
            rows = [
                {"whose": one} | {f"no_{column.name}": _nothing(column) for column in protected}
                for one in account_ids
            ]
            nothing: dict[str, Any] = {column.name: bindparam(f"no_{column.name}") for column in protected}
            session.connection().execute(
                update(table).where(table.c.account_id == bindparam("whose")).values(nothing), rows
            )
        else:
            session.execute(delete(table).where(mine))
            deleted[table.name] = count
    return Erased(deleted, emptied)


def _must_stay(table: Table, protected: list[Column[Any]]) -> bool:
    """Say whether rows hold more than the protected: they name the account itself, or may be without it."""
    is_account = [column.name for column in table.primary_key] == ["account_id"] and any(
        key.references(table) for other in Model.metadata.tables.values() for key in other.foreign_keys
    )
    return is_account or all(column.nullable for column in protected)


def _nothing(column: Column[Any]) -> bytes | None:
    if column.nullable:
        return None
    # A unique index needs a value of its own: one that nothing hashes to.
    return secrets.token_bytes(_INDEX_BYTES) if isinstance(column.type, BlindIndex) else b""


def _label(column: Column[Any]) -> Label:
    found: Label = column.info["label"]
    return found
