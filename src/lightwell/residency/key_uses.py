"""What was opened for which reason is written down: by hour, process, principal, reason code and category.

The rows are about nobody: they hold no account. What staff see is an entry of the ledger besides, each time.
"""

import threading
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from lightwell.base.clock import now_s
from lightwell.base.db import ReadSession
from lightwell.base.metrics import Counter
from lightwell.base.telemetry import log
from lightwell.residency.cell import Cell
from lightwell.residency.key_rotation import forget_destroyed
from lightwell.residency.keys_models import KeyUse

WRITE_SECONDS: Final = 2.0
_log = log("keys")
_OPENED: Final = Counter("fields_opened", "Protected fields opened, by reason.", "kind", "reason")
_REFUSED: Final = Counter(
    "fields_refused", "Attempts to open a protected field, by reason.", "kind", "reason"
)


def write_down(cell: Cell) -> int:
    """Add what this process opened since the last call to the table; return how many kinds of use.

    What is not yet written when a process is killed is lost: at most `WRITE_SECONDS` of counts.
    """
    taken = cell.vault.take_uses()
    if not taken:
        return 0
    hour = now_s() // 3600
    for use, opened, refused in taken:
        _OPENED.add(opened, kind=use.kind, reason=use.reason.replace("_", "-"))
        _REFUSED.add(refused, kind=use.kind, reason=use.reason.replace("_", "-"))
    rows = [
        {
            "hour": hour,
            "process": cell.doors.process,
            "kind": use.kind,
            "reason": use.reason[:60],
            "category": use.category[:80],
            "opened": opened,
            "refused": refused,
        }
        for use, opened, refused in taken
    ]
    dialect: Any = sqlite if cell.database.is_sqlite else postgresql
    statement = dialect.insert(KeyUse)
    statement = statement.on_conflict_do_update(
        index_elements=["hour", "process", "kind", "reason", "category"],
        set_={
            "opened": KeyUse.opened + statement.excluded.opened,
            "refused": KeyUse.refused + statement.excluded.refused,
        },
    )
    with cell.database.write() as session:
        session.execute(statement, rows)
    return len(rows)


def uses(session: ReadSession, since_hour: int = 0) -> list[KeyUse]:
    """Return what was written down from an hour (since the epoch) on, newest first."""
    asked = select(KeyUse).where(KeyUse.hour >= since_hour)
    return list(session.scalars(asked.order_by(KeyUse.hour.desc(), KeyUse.reason, KeyUse.category)))


def run(cell: Cell, stop: threading.Event) -> None:
    """Write uses down and drop destroyed versions of the cell key until `stop` is set; for every process."""
    dropped: set[int] = set()
    ended = False
    while not ended:
        ended = stop.wait(WRITE_SECONDS)
        try:
            write_down(cell)
            forget_destroyed(cell, dropped)
        except (SQLAlchemyError, OSError) as error:
            _log.error("uses of keys could not be written down", error)
