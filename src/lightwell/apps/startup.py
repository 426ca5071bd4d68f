"""Opens a cell for a process: labels agree, nothing protected is printed, the doors close first of all."""

from pathlib import Path

from lightwell.base.telemetry import guard_process
from lightwell.residency import amendments, presence
from lightwell.residency.cell import GATEWAY, Cell, CellError
from lightwell.residency.labels import disagreements


def open_cell(folder: Path, process: str) -> Cell:
    """Open the cell in `folder` for this process, which from here on connects only where the cell may.

    Args:
        folder: the cell's folder.
        process: the process's name in the ledger ("web", "worker"); its modules are imported by now.

    Raises:
        CellError: the folder is not a cell's, contradicts itself or what it adopted, or a stored
            field has a weaker class than the agreement gives its category; or accounts are moving out of it.
    """
    guard_process()
    cell = Cell.open(folder, process=process)
    presence.show(cell.settings.folder)
    # The gateway starts no program at all; others start those that they confine themselves.
    cell.doors.install(programs=() if process == GATEWAY else None)
    presence.require_free(cell)
    amendments.settle(cell)
    weaker = disagreements(cell.agreement)
    if weaker:
        raise CellError(f"{len(weaker)} labels disagree with the agreement; the first: {weaker[0]}")
    return cell
