"""One account's protected fields, found by their labels in every table that is keyed by account."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Table, select

from lightwell.base.db import Model, ReadSession
from lightwell.base.labels import Label, Sealed
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit


class Place(NamedTuple):
    """A sealed column that holds one value an account; its row name in the vault is the account_id."""

    table: str
    column: str


def find_account(session: ReadSession, handle: str) -> str | None:
    """Return the account_id behind a handle, or None.

    The handle is looked up in the column labelled `user.account.username` of a table keyed by account.
    """
    for table in _account_tables():
        for column in table.columns:
            if _label(column).category == "user.account.username":
                found: str | None = session.scalar(select(table.c.account_id).where(column == handle))
                if found is not None:
                    return found
    return None


def places() -> dict[str, Place]:
    """Map each data category to the sealed column that holds it, for tables keyed by account alone."""
    found: dict[str, Place] = {}
    for table in _account_tables():
        for column in table.columns:
            if isinstance(column.type, Sealed):
                found.setdefault(_label(column).category, Place(table.name, column.name))
    return found


def read_field(cell: Cell, session: ReadSession, permit: Permit, account_id: str) -> str | None:
    """Unseal the field a permit names for one account; None where the person gave none.

    Raises:
        Refused: the permit is for another account.
        SealError: the bytes were altered.
    """
    place = places().get(permit.category)
    if place is None:
        return None
    table = Model.metadata.tables[place.table]
    sealed = session.scalar(select(table.c[place.column]).where(table.c.account_id == account_id))
    if sealed is None:
        return None
    plain = cell.vault.unseal(permit, session, account_id, place.table, place.column, account_id, sealed)
    return plain.decode("utf-8", "replace")


def _account_tables() -> list[Table]:
    tables = Model.metadata.tables.values()
    return [table for table in tables if [key.name for key in table.primary_key.columns] == ["account_id"]]


def _label(column: Column[object]) -> Label:
    found: Label = column.info["label"]
    return found
