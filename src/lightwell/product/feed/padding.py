"""Slates of nobody's, so that the size of a batch in the public ledger tells less about how many are served.

The entry looks like any other `SlateServed`. Its commitment is one to padding and opens as nothing else: the
clean room is given the opening and so knows it for padding. A slate that a viewer got cannot be passed off as
such, since the viewer holds its opening as a slate.
"""

from __future__ import annotations

import secrets

from sqlalchemy import select

from lightwell.base.clock import minute_s
from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem
from lightwell.ledger.queue import prepare, write_prepared
from lightwell.product.feed.models import SlatePaddingRow
from lightwell.product.feed.serving import Serving
from lightwell.residency.cell import Cell
from lightwell.wire import commitment
from lightwell.wire.entries import SlateServed

KIND = "padding"
_INSERT = f"INSERT INTO {SlatePaddingRow.__tablename__} (commitment, opening, digest) VALUES (?, ?, ?)"  # noqa: S608


class Padding:
    """Adds padding to a cell's ledger.

    Args:
        cell: the cell.
    """

    def __init__(self, cell: Cell) -> None:
        self._database = cell.database
        self._serving = Serving(cell)

    def add(self, count: int) -> None:
        """Queue `count` entries of padding; none before the cell has anything to rank slates from."""
        try:
            snapshot, policy = self._serving.named()
        except Problem:
            return
        rows, padding = [], []
        for _ in range(count):
            opening, digest = secrets.token_bytes(16), secrets.token_bytes(32)
            committed = commitment.commit(KIND, opening, digest)
            rows.append((committed, opening, digest))
            padding.append(
                prepare(
                    SlateServed(at=minute_s(), commitment=committed.hex(), snapshot=snapshot, policy=policy)
                )
            )
        with self._database.write_rows() as write:
            write(_INSERT, rows)
            write_prepared(write, padding)


def padding_for_replay(session: ReadSession, commitments: list[bytes]) -> list[dict[str, str]]:
    """Return what opens those of `commitments` that are padding, as the clean room reads records."""
    rows = session.scalars(select(SlatePaddingRow).where(SlatePaddingRow.commitment.in_(commitments)))
    return [
        {
            "commitment": row.commitment.hex(),
            "inputs": "",
            "slate": "",
            "opening": row.opening.hex(),
            "padding": row.digest.hex(),
        }
        for row in rows
    ]
