"""A slate is identical only if its record opened, its sources are those named and every byte came again."""

import hashlib

import msgspec
import pytest

from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.wire import commitment, entries
from tests.factories.seen_cell import SeenCell


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.adopt()
    return cell


def verdict(cell: SeenCell, entry: entries.SlateServed) -> str:
    records = {name: msgspec.convert(record, SlateRecord) for name, record in cell.records.items()}
    sources = Sources(lambda kind, digest: cell.sources.get((kind, digest)))
    return judge([(7, entry)], records, sources, cell.name)[0].outcome


def test_honest_slate_is_identical(cell: SeenCell) -> None:
    assert verdict(cell, cell.slate(1)) == "identical"


def test_slate_without_a_record_is_missing(cell: SeenCell) -> None:
    entry = cell.slate(1)
    cell.records.clear()
    assert verdict(cell, entry) == "missing"


@pytest.mark.parametrize("part", ["inputs", "slate", "opening"])
def test_altered_record_does_not_open(cell: SeenCell, part: str) -> None:
    entry = cell.slate(1)
    record = cell.records[entry.commitment]
    record[part] = record[part].replace("1", "2", 1)
    assert verdict(cell, entry) == "unopened"


def test_slate_committed_but_not_ranked_so_differs(cell: SeenCell) -> None:
    cell.records.clear()
    honest = cell.slate
    from tests.factories import seen_cell

    ranked = seen_cell.slate_bytes
    seen_cell.slate_bytes = lambda slate: ranked(slate).replace(b'"score":', b'"score":1', 1)
    try:
        entry = honest(3)
    finally:
        seen_cell.slate_bytes = ranked
    assert verdict(cell, entry) == "differs"


@pytest.mark.parametrize("kind", ["snapshots", "policies"])
def test_slate_without_its_sources_is_never_identical(cell: SeenCell, kind: str) -> None:
    entry = cell.slate(1)
    cell.sources = {name: data for name, data in cell.sources.items() if name[0] != kind}
    assert verdict(cell, entry) == "snapshot-missing"


@pytest.mark.parametrize("kind", ["snapshots", "policies"])
def test_sources_that_do_not_hash_to_their_name_are_not_used(cell: SeenCell, kind: str) -> None:
    entry = cell.slate(1)
    name = next(name for name in cell.sources if name[0] == kind)
    cell.sources[name] = cell.sources[name].replace(b"0", b"1", 1)
    assert verdict(cell, entry) == "snapshot-missing"


def test_record_that_names_other_inputs_than_its_entry_differs(cell: SeenCell) -> None:
    entry = cell.slate(1)
    cell.sources["snapshots", "b" * 64] = cell.snapshot.to_bytes()
    other = SeenCell("sg")
    other.records = cell.records
    other.sources = cell.sources
    assert verdict(other, entry) == "differs"


def test_padding_that_opens_as_such_is_no_slate_and_no_breach(cell: SeenCell) -> None:
    opening, digest = b"o" * 16, b"d" * 32
    made = commitment.commit("padding", opening, digest).hex()
    entry = msgspec.structs.replace(cell.slate(1), commitment=made)
    record = {
        "commitment": made,
        "inputs": "",
        "slate": "",
        "opening": opening.hex(),
        "padding": digest.hex(),
    }
    cell.records[made] = record
    assert verdict(cell, entry) == "padding"
    cell.records[made] = record | {"opening": b"p".hex() * 16}
    assert verdict(cell, entry) == "unopened"


def test_a_slate_cannot_be_passed_off_as_padding(cell: SeenCell) -> None:
    entry = cell.slate(1)
    record = cell.records[entry.commitment]
    for digest in ("ab" * 32, hashlib.sha256(record["slate"].encode()).hexdigest(), "zz"):
        cell.records[entry.commitment] = record | {"inputs": "", "slate": "", "padding": digest}
        assert verdict(cell, entry) == "unopened"
