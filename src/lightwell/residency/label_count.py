"""The ledger tells how many fields a cell holds in which class, and how many stored columns have no label."""

import threading
from collections import Counter
from typing import Any, Final

import msgspec
from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError

from lightwell.agreement.load import digest
from lightwell.base.clock import now_s
from lightwell.base.db import Model
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.residency.cell import Cell
from lightwell.residency.label_count_models import LabelCountRow
from lightwell.residency.labels import data_map
from lightwell.wire import canonical
from lightwell.wire.entries import LabelsCounted

LOOK_SECONDS: Final = 20.0
_log = log("labels")


def labels_digest() -> str:
    """Return the SHA-256 of the data map's canonical JSON: of one version of the software it is one value."""
    return canonical.digest([[str(part) for part in msgspec.structs.astuple(held)] for held in data_map()])


def unlabelled_columns(cell: Cell) -> list[str]:
    """Return the columns (`table.column`) in the cell's database that no label of this software names.

    A column that somebody adds behind the code is found here: nothing that imports could know of it.
    """
    known = {
        (table.name, column.name) for table in Model.metadata.tables.values() for column in table.columns
    }
    with cell.database.read() as session:
        found = inspect(session.connection()).get_multi_columns()
    stored = {(table, column["name"]) for (_, table), columns in found.items() for column in columns}
    # SQLite's own bookkeeping, which holds no row of anybody's.
    return sorted(f"{table}.{name}" for table, name in stored - known if not table.startswith("sqlite_"))


def record(cell: Cell) -> LabelsCounted | None:
    """Queue the entry of what is held now, unless the last one says the same; return it if it is new.

    Args:
        cell: one whose every model and message is imported.
    """
    agreement, labels = digest(cell.agreement), labels_digest()
    with cell.database.write() as session:
        # A cell that was founded before this table was known has none.
        table: Any = LabelCountRow.__table__
        table.create(session.connection(), checkfirst=True)
    strangers = unlabelled_columns(cell)
    classes = Counter(held.residency for held in data_map())
    with cell.database.write() as session:
        last = session.scalars(select(LabelCountRow).order_by(LabelCountRow.count_id.desc()).limit(1)).first()
        now = (agreement, labels, len(strangers))
        if last is not None and (last.agreement, last.labels, last.unlabelled) == now:
            return None
        entry = LabelsCounted(
            at=now_s(),
            agreement=agreement,
            labels=labels,
            protected=classes["protected"],
            interop=classes["interop"],
            public=classes["public"],
            unlabelled=len(strangers),
        )
        session.add(
            LabelCountRow(agreement=agreement, labels=labels, unlabelled=len(strangers), counted_at=entry.at)
        )
        enqueue(session, entry)
    if strangers:
        _log.error("the database holds columns without a label")
    return entry


def run(cell: Cell, stop: threading.Event) -> None:
    """Look at once and then every so often until `stop` is set; meant for a thread of the worker."""
    while True:
        try:
            record(cell)
        except (SQLAlchemyError, OSError) as error:
            _log.error("the labels could not be counted, trying again", error)
        if stop.wait(LOOK_SECONDS):
            return
