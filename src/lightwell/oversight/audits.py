"""Full audits: asked for by anyone, taken up by the clean room and our own follower, kept as findings."""

import time

from lightwell.oversight.refusal import VerdictError
from lightwell.oversight.store import Store


def want_audit(store: Store, cell: str, run: str) -> None:
    """Ask for a full audit under the id `run`.

    Raises:
        VerdictError: 429 if another was asked for less than a second ago.
    """
    now = time.time()
    with store.write() as db:
        last = db.execute(
            "SELECT max(wanted_at) FROM runs WHERE cell = ? AND run <> 'live'", (cell,)
        ).fetchone()[0]
        if last is not None and now - last < 1:
            raise VerdictError(429, "too-soon", "An audit was asked for less than a second ago.")
        db.execute(
            "INSERT INTO runs (cell, run, wanted_at, audited_size) VALUES (?, ?, ?, 0)", (cell, run, now)
        )
        # Verdicts of audits long past are not looked at again; what they found stays as findings.
        old = db.execute(
            "SELECT run FROM runs WHERE cell = ? AND run <> 'live' ORDER BY wanted_at DESC LIMIT -1 OFFSET 3",
            (cell,),
        ).fetchall()
        for (name,) in old:
            db.execute("DELETE FROM verdicts WHERE cell = ? AND run = ?", (cell, name))


def wanted_audit(store: Store, cell: str) -> str | None:
    """Return the newest audit asked for that the clean room has not finished."""
    row = store.row(
        "SELECT run, done_at FROM runs WHERE cell = ? AND run <> 'live' ORDER BY wanted_at DESC LIMIT 1", cell
    )
    return row["run"] if row and row["done_at"] is None else None


def raise_file_findings(store: Store, cell: str, problems: list[str], reader: str) -> None:
    """Record what an audit found wrong in a ledger's files, one finding each.

    Args:
        store: where findings are kept.
        cell: whose ledger.
        problems: each names its file or entry.
        reader: who read them.
    """
    for problem in problems[:100]:
        store.raise_finding(
            cell,
            f"file-{problem[:150]}",
            area="ledger",
            title="A file of the ledger was altered",
            detail=f"{problem[:500]} (read by the {reader}).",
        )
