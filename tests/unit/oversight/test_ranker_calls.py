"""A ranker of others that is said to fail more often than its policy lets is a finding, with its figures."""

from pathlib import Path

import msgspec
import pytest

from lightwell.oversight import ranker_calls, verdicts
from lightwell.oversight.ranker_calls import RankerCall
from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.oversight.store import Store
from lightwell.recommender.policy import dump
from lightwell.recommender.record import External, inputs_bytes
from tests.factories.seen_cell import SeenCell
from tests.unit.recommender import worlds

BOUND = 50_000


def told(store: Store, failed: int, answered: int, start: int = 0) -> None:
    calls = [RankerCall(True, BOUND)] * failed + [RankerCall(False, BOUND)] * answered
    with store.write() as db:
        ranker_calls.keep(db, "us", [(start + at, call) for at, call in enumerate(calls)])
    ranker_calls.raise_if_many(store, "us")


def states(store: Store) -> dict[str, str]:
    return {finding.key: finding.state for finding in store.findings("us")}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "oversight.db")


@pytest.mark.parametrize(
    ("failed", "answered", "found"),
    [(50, 950, False), (51, 949, True), (0, 1000, False), (99, 0, False), (100, 0, True), (6, 94, True)],
)
def test_a_share_above_the_bound_is_a_finding(store: Store, failed: int, answered: int, found: bool) -> None:
    told(store, failed, answered)
    assert (states(store) == {"ranker-fails": "open"}) is found
    figures = verdicts.figures(store, "us")
    assert (figures.ranker_asked, figures.ranker_failed) == (failed + answered, failed)


def test_it_is_cleared_up_when_the_newest_are_answered_again(store: Store) -> None:
    told(store, 200, 0)
    told(store, 200, 0)
    assert ranker_calls.figures(store, "us").asked == 200
    told(store, 0, ranker_calls.LOOKED_AT, start=200)
    assert states(store) == {"ranker-fails": "closed"}


@pytest.mark.parametrize("failed", ["timeout", "resting", ""])
def test_a_verdict_says_whether_the_ranker_answered(failed: str) -> None:
    cell = SeenCell()
    policy = worlds.policy_with(version=1, external={"digest": "ab" * 32, "most_failures": 7})
    cell.sources["policies", policy.digest] = dump(policy)
    entry = msgspec.structs.replace(cell.slate(1), policy=policy.digest)
    inputs = msgspec.structs.replace(
        worlds.inputs(policy=policy),
        external=External(digest="ab" * 32, failed=failed),  # type: ignore[arg-type]
    )
    record = cell.records[entry.commitment] | {"inputs": inputs_bytes(inputs).decode()}
    records = {entry.commitment: msgspec.convert(record, SlateRecord)}
    sources = Sources(lambda kind, digest: cell.sources.get((kind, digest)))
    (found,) = judge([(0, entry)], records, sources, "us")
    assert found.ranker == RankerCall(bool(failed), 7)


def test_where_no_ranker_is_named_nothing_is_counted() -> None:
    cell = SeenCell()
    cell.adopt()
    entry = cell.slate(1)
    records = {name: msgspec.convert(one, SlateRecord) for name, one in cell.records.items()}
    sources = Sources(lambda kind, digest: cell.sources.get((kind, digest)))
    assert judge([(0, entry)], records, sources, "us")[0].ranker is None
