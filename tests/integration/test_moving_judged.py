"""Term S2 by what a real migration leaves in two ledgers: met in both cells, breached if nothing erased."""

from pathlib import Path

from lightwell.agreement.evidence import Evidence
from lightwell.agreement.load import digest
from lightwell.agreement.roster import roster_digest
from lightwell.agreement.terms import TermStatus, evaluate
from lightwell.base.clock import now_s
from lightwell.product.moving import Migration
from lightwell.residency.cell import Cell
from lightwell.wire import entries
from tests.factories.catalogue import sequence
from tests.factories.ledger import all_entries
from tests.factories.two_cells import found_pair, live


def _evidence(cell: Cell, without: str = "") -> Evidence:
    adopted = entries.AgreementAdopted(
        at=now_s(),
        agreement=cell.agreement.id,
        version=cell.agreement.version,
        digest=digest(cell.agreement),
        roster_digest=roster_digest(cell.roster),
    )
    sequence(cell)
    facts = [entries.decode(data) for data in all_entries(cell.settings, cell.database)]
    return Evidence(enumerate([adopted, *(fact for fact in facts if type(fact).__name__ != without)]))


def _judged(cell: Cell, here: Evidence, other: str, there: Evidence, now: int) -> dict[str, TermStatus]:
    region = cell.settings.region
    found = evaluate(cell.agreement, here, region=region, cell=region, peers={other: there}, now=now)
    return {term.id: term for term in found}


def test_a_real_migration_is_met_in_both_ledgers_and_unerased_copies_are_a_breach(tmp_path: Path) -> None:
    source, target = found_pair(tmp_path, "sqlite:///cell.db", "sqlite:///cell.db")
    live(source, "mira.folds")
    live(source, "otis")
    Migration(source, target, "us", pause_seconds=0).run(None)
    home, left, later = _evidence(target), _evidence(source), now_s() + 40 * 86_400
    met = _judged(target, home, "sg", left, later)
    assert (met["S2"].status, "2 accounts" in met["S2"].why) == ("met", True)
    at_source = _judged(source, left, "us", home, later)
    assert at_source["S2"].status == "met"
    # The source's key was rotated on the way, and says so.
    assert at_source["S3"].status == "met"
    silent = _evidence(source, without="MigrationErased")
    assert _judged(target, home, "sg", silent, later)["S2"].status == "breached"
    assert _judged(source, silent, "us", home, later)["S2"].status == "breached"
    source.close()
    target.close()
