"""Labels are counted in the ledger, once a change, and a column that nobody labelled shows."""

from lightwell.agreement.evidence import Case, Evidence
from lightwell.agreement.findings import Finding
from lightwell.agreement.labels_check import all_labelled
from lightwell.agreement.load import digest, parse
from lightwell.residency import label_count
from lightwell.residency.cell import Cell
from lightwell.residency.labels import data_map
from lightwell.wire import entries as kinds
from tests.factories.ledger import all_entries


def _counts(cell: Cell) -> list[kinds.LabelsCounted]:
    found = [kinds.decode(data) for data in all_entries(cell.settings, cell.database)]
    return [entry for entry in found if isinstance(entry, kinds.LabelsCounted)]


def _judged(cell: Cell) -> Finding:
    return all_labelled(
        Case(
            agreement=cell.agreement,
            evidence=Evidence(enumerate(_counts(cell))),
            region="us",
            verdicts={},
            peers={},
            regions={},
            roster=None,
            now=0,
        )
    )


def test_a_cell_counts_its_fields_once_until_something_changes(cell: Cell) -> None:
    assert _judged(cell).status == "no evidence"
    assert label_count.record(cell) is not None
    assert label_count.record(cell) is None
    (count,) = _counts(cell)
    assert count.protected + count.interop + count.public == len(data_map())
    assert (count.agreement, count.unlabelled) == (digest(cell.agreement), 0)
    judged = _judged(cell)
    assert judged.status == "met"
    assert f"{len(data_map())} fields" in judged.why


def test_a_column_added_behind_the_code_is_counted_and_breaches_the_term(cell: Cell) -> None:
    label_count.record(cell)
    with cell.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE accounts ADD COLUMN home_address TEXT")
        connection.exec_driver_sql("CREATE TABLE dossiers (who TEXT, what TEXT)")
    strangers = label_count.unlabelled_columns(cell)
    assert label_count.record(cell) is not None
    with cell.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE dossiers")
        connection.exec_driver_sql("ALTER TABLE accounts DROP COLUMN home_address")
    assert strangers == ["accounts.home_address", "dossiers.what", "dossiers.who"]
    judged = _judged(cell)
    assert judged.status == "breached"
    assert "3 stored columns that no label names" in judged.why
    assert "home_address" not in str(_counts(cell))


def test_a_cell_founded_before_labels_were_counted_counts_them_too(cell: Cell) -> None:
    with cell.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE label_counts")
    assert label_count.record(cell) is not None
    assert _judged(cell).status == "met"


def test_a_count_under_another_agreement_is_no_evidence(cell: Cell) -> None:
    label_count.record(cell)
    other = parse(cell.agreement_text.replace("version = 1", "version = 2", 1))
    case = Case(other, Evidence(enumerate(_counts(cell))), "us", {}, {}, {}, None, 0)
    assert all_labelled(case).status == "no evidence"
