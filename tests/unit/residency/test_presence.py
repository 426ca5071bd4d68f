"""A cell is had alone only while nobody shows that they work on it, and nobody starts on a reserved one."""

from pathlib import Path

import pytest

from lightwell.residency import presence
from lightwell.residency.cell import Cell, CellError
from lightwell.residency.presence import NotAloneError
from tests.factories.cells import found_cell


def test_a_cell_is_had_alone_by_one_and_shown_by_none_meanwhile(cell: Cell) -> None:
    with presence.alone(cell) as alone:
        alone.check()
        with pytest.raises(NotAloneError, match="processes of cell us run"), presence.alone(cell):
            pass
        with pytest.raises(CellError, match="has this cell to itself"):
            presence.show(cell.settings.folder)
    with presence.alone(cell):
        pass


def test_whoever_shows_that_they_run_keeps_others_from_having_the_cell_alone(tmp_path: Path) -> None:
    cell = found_cell(tmp_path / "us", "sqlite:///cell.db")
    presence.show(cell.settings.folder)
    presence.show(cell.settings.folder)
    with pytest.raises(NotAloneError), presence.alone(cell):
        pass
    cell.close()


def test_nobody_starts_on_a_reserved_cell_until_it_is_released(cell: Cell) -> None:
    presence.require_free(cell)
    for _ in range(2):
        with cell.database.write() as session:
            presence.reserve(session, "migration")
    with pytest.raises(CellError, match="an unfinished migration has cell us to itself"):
        presence.require_free(cell)
    for _ in range(2):
        with cell.database.write() as session:
            presence.release(session, "migration")
    presence.require_free(cell)
