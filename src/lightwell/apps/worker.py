"""The worker process of a cell: sequencer, transcoding, training, handing to the gateway, orders, expiry."""

import signal
import sys
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from lightwell.apps.background import Background
from lightwell.apps.crossing import Herald
from lightwell.apps.startup import open_cell
from lightwell.base import metrics
from lightwell.base.telemetry import log
from lightwell.ledger.sequencer import Sequencer
from lightwell.product import rights
from lightwell.product.feed.padding import Padding
from lightwell.product.feed.tasks import Trainer
from lightwell.product.videos import tasks as videos_tasks
from lightwell.residency import access, key_rotation, key_uses, label_count, quarantine
from lightwell.residency.amendments import AmendmentWatch
from lightwell.residency.cell import Cell
from lightwell.residency.in_force import OrderWatch

_log = log("worker")
_LOG_SECONDS: Final = 0.5


def run(folder: Path) -> None:
    """Work for the cell in `folder` until SIGTERM or SIGINT, or until one of the parts fails.

    Args:
        folder: the cell's folder.

    Raises:
        CellError: the folder is not a cell's or contradicts itself.
    """
    cell = open_cell(folder, "worker")
    cell.database.leave_log_alone()
    background = Background()

    def ask_to_end(_number: int, _frame: FrameType | None) -> None:
        background.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_end)
    # Before anything else is done here: whoever was deleted must not be served, nor learned from, again.
    rights.erase_again(cell)
    pad = Padding(cell).add if cell.settings.ledger_pad_to > 1 else None
    sequencer = Sequencer(cell.settings, cell.database, cell.vault.signing_key("ledger"), pad)
    background.start("sequencer", sequencer.run)
    background.start("log", lambda stop: _tend_log(cell, stop))
    background.start("trainer", Trainer(cell).run, gives_way=True)
    background.start("videos", lambda stop: videos_tasks.run(cell, stop), gives_way=True)
    background.start("herald", Herald(cell).run)
    background.start("expiry", lambda stop: access.run_expiry(cell, stop))
    background.start("quarantine", lambda stop: quarantine.run_expiry(cell, stop))
    background.start("orders", OrderWatch(cell, "worker").run)
    background.start("amendments", AmendmentWatch(cell).run)
    background.start("keys", lambda stop: key_uses.run(cell, stop))
    background.start("labels", lambda stop: _count_labels(cell, stop))
    background.start("metrics", lambda stop: metrics.run(cell.settings.folder, "worker", stop))
    background.start("rotation", lambda stop: key_rotation.run(cell, stop))
    background.start("doors", lambda stop: cell.doors.run(cell.database, stop))
    _log.info("working", cell=cell.settings.cell)
    background.stop.wait()
    background.end()
    cell.close()
    if background.failed:
        raise OSError("a part of the worker failed; its log says which")


def _tend_log(cell: Cell, stop: Event) -> None:
    while not stop.wait(_LOG_SECONDS):
        try:
            cell.database.tend_log()
        except SQLAlchemyError as error:
            _log.error("the database's log was not tended", error)


def _count_labels(cell: Cell, stop: Event) -> None:
    """Count the labels of the whole cell, not only those of this process."""
    import lightwell.apps.gate
    import lightwell.apps.web  # noqa: F401  the three import every model, message and workflow

    label_count.run(cell, stop)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
