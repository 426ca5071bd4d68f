"""Pairs what one cell says it sent with what another says it received, and raises what does not pair."""

import sqlite3
import time
from typing import Final

import msgspec

from lightwell.oversight.store import Store

_SHOWN: Final = 50


class TransferFigures(msgspec.Struct, frozen=True):
    """How many messages a cell sent and received, how many have their other half, and what was refused."""

    sent: int
    received: int
    paired: int
    waiting: int
    refused: int


def figures(store: Store, cell: str) -> TransferFigures:
    """Count a cell's transfers."""
    kinds = store.kinds(cell)
    sent, received = kinds.get("TransferSent", 0), kinds.get("TransferReceived", 0)
    paired = store.number(
        """SELECT count(*) FROM transfers a WHERE a.cell = ? AND EXISTS (
          SELECT 1 FROM transfers b WHERE b.transfer = a.transfer AND b.side <> a.side
            AND b.cell = a.peer AND b.peer = a.cell AND b.digest = a.digest)""",
        cell,
    )
    return TransferFigures(
        sent=sent,
        received=received,
        paired=paired,
        waiting=sent + received - paired,
        refused=kinds.get("TransferRefused", 0),
    )


def newest(store: Store, cell: str, limit: int = 50) -> list[sqlite3.Row]:
    """Return a cell's newest transfers with the index and size of their other half in the peer's ledger."""
    return store.rows(
        """SELECT a.*, b.idx AS other_idx, b.digest AS other_digest, b.at AS other_at FROM transfers a
        LEFT JOIN transfers b ON b.transfer = a.transfer AND b.side <> a.side AND b.cell = a.peer
          AND b.peer = a.cell
        WHERE a.cell = ? ORDER BY a.idx DESC LIMIT ?""",
        cell, limit,
    )  # fmt: skip


def raise_unpaired(store: Store, cell: str, followed: set[str], grace_seconds: int) -> None:
    """Raise what has no other half after the grace, or another content; close what has found it.

    Args:
        store: where transfers and findings are.
        cell: whose transfers.
        followed: cells whose ledgers are being read now; the half of any other cannot be expected.
        grace_seconds: how long a half may be alone, from the agreement or the settings.
    """
    # An entry's time is cut to the minute: it may be of the minute's last second.
    limit = int(time.time()) - grace_seconds - 59
    alone = store.rows(
        """SELECT a.* FROM transfers a WHERE a.cell = ? AND a.at < ? AND NOT EXISTS (
          SELECT 1 FROM transfers b WHERE b.transfer = a.transfer AND b.side <> a.side
            AND b.cell = a.peer AND b.peer = a.cell) ORDER BY a.idx LIMIT ?""",
        cell, limit, _SHOWN,
    )  # fmt: skip
    lonely = {
        "sent": [r for r in alone if r["side"] == "sent"],
        "received": [r for r in alone if r["side"] == "received"],
    }
    for side, rows in lonely.items():
        rows = [row for row in rows if row["peer"] in followed]  # noqa: PLW2901  only these can be judged
        key = f"unpaired-{side}"
        if not rows:
            store.close_finding(cell, key)
            continue
        other = "received" if side == "sent" else "sent"
        store.raise_finding(
            cell,
            key,
            area="transfers",
            title=f"Transfers {side} here that the other cell did not record as {other}",
            detail=f"{len(rows)} alone for {grace_seconds} seconds or more, first entry {rows[0]['idx']}.",
            entries=[row["idx"] for row in rows],
            state="open",
        )
    differing = store.rows(
        """SELECT a.idx, b.idx AS other FROM transfers a JOIN transfers b ON b.transfer = a.transfer
          AND b.side <> a.side AND b.cell = a.peer AND b.peer = a.cell
        WHERE a.cell = ? AND (b.digest <> a.digest OR b.size <> a.size OR b.flow <> a.flow) LIMIT ?""",
        cell, _SHOWN,
    )  # fmt: skip
    if differing:
        store.raise_finding(
            cell,
            "transfers-differ",
            area="transfers",
            title="What was received is not what was sent",
            detail=f"{len(differing)} transfers have another digest, size or flow in the other ledger.",
            entries=[row["idx"] for row in differing],
        )
