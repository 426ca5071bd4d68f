"""An account that was deleted stays so: one that an old copy brings back is erased when the worker starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import select

from lightwell.base.db import Model
from lightwell.base.telemetry import log
from lightwell.ledger.storage import Storage, open_storage, read_exactly
from lightwell.product.rights.deletion import erase_returned
from lightwell.product.rights.models import ErasureRow, ErasuresReadRow
from lightwell.residency.cell import Cell
from lightwell.wire import checkpoint, tiles
from lightwell.wire.entries import AccountErased, decode
from lightwell.wire.note import split_note

_AT_ONCE: Final = 500
_MARK: Final = b'"kind":"AccountErased"'
_log = log("rights")


def erase_again(cell: Cell) -> int:
    """Erase every account that is here though the published ledger says that it was erased; say how many.

    The ledger is read on from where it was read before. All accounts are compared, not only those that came
    since: a single row can be put back too.

    Args:
        cell: the home cell; nothing of it need be running.

    Raises:
        OSError: a file of the ledger cannot be read.
    """
    # A copy from before these tables were known is just what this is for.
    with cell.database.write() as session:
        for model in (ErasureRow, ErasuresReadRow):
            table: Any = Model.metadata.tables[model.__tablename__]
            table.create(session.connection(), checkfirst=True)
    _read_on(cell, open_storage(cell.settings))
    with cell.database.read() as session:
        told = list(session.scalars(select(ErasureRow.commitment)))
    if not told:
        return 0
    returned = erase_returned(cell, told)
    if returned:
        _log.warning("accounts that had been deleted were back and are erased again")
    return len(returned)


def _read_on(cell: Cell, storage: Storage) -> None:
    note = storage.read(tiles.CHECKPOINT_PATH)
    size = checkpoint.parse(split_note(note.decode())[0]).size if note else 0
    with cell.database.read() as session:
        row = session.get(ErasuresReadRow, 1)
        seen = row.size if row is not None else 0
    starts = range(seen // tiles.WIDTH * tiles.WIDTH, size, tiles.WIDTH)
    for at in range(0, len(starts), _AT_ONCE):
        some = starts[at : at + _AT_ONCE]
        found = {one for start in some for one in _erased(storage, start, size)}
        with cell.database.write() as session:
            known = set(
                session.scalars(select(ErasureRow.commitment).where(ErasureRow.commitment.in_(found)))
            )
            session.add_all(ErasureRow(commitment=one) for one in sorted(found - known))
            session.merge(ErasuresReadRow(row_id=1, size=min(size, some[-1] + tiles.WIDTH)))


def _erased(storage: Storage, start: int, size: int) -> Iterator[str]:
    width = min(tiles.WIDTH, size - start)
    data = read_exactly(storage, tiles.bundle_path(start // tiles.WIDTH, width))
    if _MARK not in data:
        return
    for entry in tiles.decode_bundle(data, width):
        if _MARK in entry:
            fact = decode(entry)
            if isinstance(fact, AccountErased):
                yield fact.commitment
