"""Whatever is sealed in a table keyed by account can be found and opened by its labels alone, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table

from lightwell.base.db import Model, ReadSession
from lightwell.base.labels import BlindIndex, Label, Sealed, declare_cache
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit
from lightwell.residency.keys_models import AccountKey

declare_cache("residency.sealed_rows", "names of tables and columns", "system.operations", "interop")

# A seal is bound to the name of its row: that of the primary key, but for these.
_NAMED_BY: Final = {"slate_records": "commitment", "viewer_events": "event_id"}


def account_tables() -> list[Table]:
    """Return every table with a column `account_id`, parents first; not that of the keys themselves."""
    return list(_account_tables(tuple(Model.metadata.tables)))


@lru_cache(maxsize=4)
def _account_tables(_known: tuple[str, ...]) -> tuple[Table, ...]:
    # Putting tables in order takes milliseconds; it is done again when a further model is imported.
    tables = Model.metadata.sorted_tables
    return tuple(
        table for table in tables if "account_id" in table.c and table.name != AccountKey.__tablename__
    )


@lru_cache(maxsize=256)
def sealed_columns(table: Table) -> tuple[str, ...]:
    """Return the columns of a table whose values the vault has sealed."""
    return tuple(column.name for column in table.columns if isinstance(column.type, Sealed))


def blind_columns(table: Table) -> list[str]:
    """Return the columns of a table that find a value by a keyed hash and cannot show it."""
    return [column.name for column in table.columns if isinstance(column.type, BlindIndex)]


def label_in(table: Table, column: str) -> Label:
    """Return the label of a column."""
    found: Label = table.c[column].info["label"]
    return found


def row_name(table: Table, row: Mapping[str, Any]) -> str:
    """Return the name that the seals of a row are bound to.

    Args:
        table: one of `account_tables`.
        row: its values by column.

    Raises:
        LookupError: the table has sealed columns, and nothing says what names its rows.
    """
    by = _NAMED_BY.get(table.name)
    if by is None:
        keys = [column.name for column in table.primary_key]
        if len(keys) != 1:
            raise LookupError(f"nothing says what names the sealed rows of {table.name}")
        by = keys[0]
    value = row[by]
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def open_value(
    cell: Cell, session: ReadSession, permit: Permit, table: Table, row: Mapping[str, Any], column: str
) -> bytes | None:
    """Open one sealed value of a row; None where there is none.

    Args:
        cell, session: where it lies.
        permit: for the account of the row and the category of the column.
        table, row: the row, with its `account_id`.
        column: one of `sealed_columns`.

    Raises:
        Refused, KeyDestroyedError, SealError: as `KeyVault.unseal`.
    """
    sealed = row[column]
    if sealed is None:
        return None
    owner = str(row["account_id"])
    return cell.vault.unseal(permit, session, owner, table.name, column, row_name(table, row), bytes(sealed))


def open_row(
    cell: Cell, session: ReadSession, permits: Mapping[str, Permit], table: Table, row: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row with every sealed value opened; arguments and errors as `open_value`.

    Args:
        permits: by the category of the column, each for the account of the row or for the whole cell.
    """
    opened = dict(row)
    owner, name, vault = str(row["account_id"]), row_name(table, row), cell.vault
    for column, category in _sealed_as(table):
        if (sealed := row[column]) is not None:
            permit = permits[category]
            opened[column] = vault.unseal(permit, session, owner, table.name, column, name, bytes(sealed))
    return opened


def seal_row(cell: Cell, session: ReadSession, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `open_row` opened, sealed for its place in this cell; errors as `KeyVault.seal`."""
    sealed = dict(row)
    owner, name, vault = str(row["account_id"]), row_name(table, row), cell.vault
    for column, _ in _sealed_as(table):
        if (plain := row[column]) is not None:
            sealed[column] = vault.seal(session, owner, table.name, column, name, plain)
    return sealed


@lru_cache(maxsize=256)
def _sealed_as(table: Table) -> tuple[tuple[str, str], ...]:
    """Return the sealed columns of a table, each with its category."""
    return tuple((column, label_in(table, column).category) for column in sealed_columns(table))
