"""The board's desk: gathers a report from what is followed and judged now, has it signed and keeps it."""

import threading
import time
from typing import Any, Final

import msgspec

from lightwell.oversight import adopted, figures, report, transfers, verdicts
from lightwell.oversight.monitor import Monitor

_KEPT_REPORTS: Final = 500
_FRESH_SECONDS: Final = 5


class BoardDesk:
    """Issues reports; the same one again while nothing has changed."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._lock = threading.Lock()
        self._stamps: dict[str, tuple[str, float, str]] = {}

    def latest(self, cell: str) -> str:
        """Return the newest report of a cell, issuing one if the ledger, verdicts or findings changed.

        Raises:
            ReportError: nothing is followed yet, no agreement is known or no key is at hand.
        """
        with self._lock:
            self._monitor.judge(cell)
            stamp = figures.overview(self._monitor, cell)["stamp"]
            last = self._stamps.get(cell)
            if last is not None and last[0] == stamp and time.time() - last[1] < _FRESH_SECONDS:
                return last[2]
            body = compose(self._monitor, cell)
            text = report.sign(body, self._monitor.board)
            self._stamps[cell] = stamp, time.time(), text
            with self._monitor.store.write() as db:
                db.execute(
                    "INSERT INTO reports (cell, issued_at, size, text) VALUES (?, ?, ?, ?)",
                    (cell, body["issued_at"], body["ledger"]["size"], text),
                )
                db.execute(
                    """DELETE FROM reports WHERE id NOT IN
                    (SELECT id FROM reports ORDER BY id DESC LIMIT ?)""",
                    (_KEPT_REPORTS,),
                )
            return text


def compose(monitor: Monitor, cell: str) -> dict[str, Any]:
    """Return the body of a report: agreement, tree, terms with entries, figures, findings and orders.

    Raises:
        ReportError: nothing is followed yet, or no agreement is known.
    """
    store = monitor.store
    head, held = store.head(cell), adopted.adopted(store, cell)
    if head is None or held is None:
        raise report.ReportError("there is nothing to report on: no ledger or no agreement was followed yet")
    terms = list(monitor.ledgers[cell].terms)
    # The tree may have grown since the terms were judged, never shrunk, so their entries are in it.
    cited = sorted({index for term in terms for index in term.entries})
    replay = verdicts.figures(store, cell)
    return {
        "v": 1,
        "cell": cell,
        "issued_at": int(time.time()),
        "agreement": {
            "id": held.agreement.id,
            "version": held.agreement.version,
            "digest": held.digest,
            "entry": held.index,
        },
        "ledger": {
            "origin": f"lightwell/{cell}",
            "vkey": monitor.ledgers[cell].seat.ledger_vkey,
            "size": head.size,
            "root": head.root.hex(),
            "checkpoint": head.note,
        },
        "terms": msgspec.to_builtins(terms),
        "evidence": [
            {"index": row["idx"], "kind": row["kind"], "leaf": bytes(row["leaf"]).hex()}
            for index in cited
            if (row := store.entry(cell, index)) is not None
        ],
        "figures": {
            "entries": store.kinds(cell),
            "replay": msgspec.to_builtins(replay),
            "transfers": msgspec.to_builtins(transfers.figures(store, cell)),
            "access": figures.access_figures(store, cell),
            "terms": figures.term_counts(terms),
        },
        "findings": [
            {
                "title": finding.title,
                "state": finding.state,
                "detail": finding.detail,
                "entries": finding.entries,
                "opened_at": int(finding.opened_at),
            }
            for finding in store.findings(cell)[:100]
        ],
        "orders": [
            {"order": o.order, "verb": o.verb, "scope": o.scope, "state": o.state, "entry": o.index}
            for o in figures.order_figures(store, cell)[:100]
        ],
    }
