"""A leaf names the entry that the ledger's files show, whatever rows of the database say about it."""

from lightwell.ledger.published import published_entries
from lightwell.ledger.queue import enqueue_many
from lightwell.residency.cell import Cell
from lightwell.wire.entries import PolicyAdopted
from tests.factories.catalogue import sequence


def adopted(number: int) -> PolicyAdopted:
    return PolicyAdopted(at=number, digest=f"{number:064x}", approvals=1)


def test_entries_are_found_once_they_are_published(cell: Cell) -> None:
    facts = [adopted(number) for number in range(600)]
    with cell.database.write() as session:
        leaves = enqueue_many(session, facts)
    with cell.database.read() as session:
        assert published_entries(cell.settings, session, leaves[:3]) == {}
    sequence(cell)
    wanted = {leaves[at]: facts[at] for at in (0, 254, 255, 256, 599)}
    with cell.database.read() as session:
        assert published_entries(cell.settings, session, [*wanted, bytes(32)]) == wanted
    with cell.database.write() as session:
        enqueue_many(session, [adopted(number) for number in range(600, 1100)])
    sequence(cell)
    with cell.database.read() as session:
        assert published_entries(cell.settings, session, list(wanted)) == wanted


def test_entry_that_the_files_do_not_show_is_left_out(cell: Cell) -> None:
    with cell.database.write() as session:
        leaves = enqueue_many(session, [adopted(1), adopted(2)])
    sequence(cell)
    for file in (cell.settings.folder / "ledger" / "tile" / "entries").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes().replace(f"{2:064x}".encode(), f"{3:064x}".encode()))
    with cell.database.read() as session:
        assert published_entries(cell.settings, session, leaves) == {leaves[0]: adopted(1)}
    for file in (cell.settings.folder / "ledger" / "tile" / "entries").rglob("*"):
        if file.is_file():
            file.unlink()
    with cell.database.read() as session:
        assert published_entries(cell.settings, session, leaves) == {}
