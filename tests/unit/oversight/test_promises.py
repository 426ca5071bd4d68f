"""A promise is judged by the tree as it was last read whole, never by the clock on the wall."""

from pathlib import Path

import pytest

from lightwell.oversight import promises
from lightwell.oversight.follow import Follower, FollowStatus
from lightwell.oversight.promises import Standing, Submission
from lightwell.oversight.refusal import Refusal
from lightwell.oversight.store import Store
from lightwell.wire import merkle
from lightwell.wire.promise import make_promise
from tests.factories.seen_cell import SeenCell
from tests.unit.oversight.test_follow import facts

READ_AT = 1_700_000_000
GRACE = 300


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.append(facts(3))
    return cell


@pytest.fixture
def store(cell: SeenCell, tmp_path: Path) -> Store:
    store = Store(tmp_path / "oversight.db")
    Follower(store, "us", "lightwell/us", cell.key.verifier(), cell.read).poll()
    return store


def judge(store: Store, cell: SeenCell, entry: bytes, by: int, origin: str = "lightwell/us") -> Standing:
    note = make_promise(cell.key, origin, merkle.leaf_hash(entry), by)
    ledger = ("us", "lightwell/us", cell.key.verifier())
    status = FollowStatus(whole_at=READ_AT)
    return promises.judge(store, ledger, status, Submission(note, entry.decode()), GRACE)


@pytest.mark.parametrize(
    ("before", "state"), [(-60, "waiting"), (0, "waiting"), (GRACE, "waiting"), (GRACE + 1, "broken")]
)
def test_a_promise_is_broken_when_the_tree_read_after_its_time_lacks_the_entry(
    store: Store, cell: SeenCell, before: int, state: str
) -> None:
    assert judge(store, cell, b"another", READ_AT - before).state == state
    assert len(store.findings("us")) == (state == "broken")


def test_a_promise_whose_entry_is_there_is_kept_whenever_it_was_due(store: Store, cell: SeenCell) -> None:
    for by in (0, READ_AT + 60):
        standing = judge(store, cell, cell.entries[1], by)
        assert (standing.state, standing.index, standing.size) == ("kept", 1, 3)
    assert store.findings("us") == []


def test_a_ledger_that_breaks_every_promise_makes_findings_of_bounded_number(
    store: Store, cell: SeenCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises, "_KEPT", 5)
    for number in range(8):
        assert judge(store, cell, b"entry %d" % number, 0).state == "broken"
    assert len(store.findings("us")) == 5


def test_a_promise_about_another_ledger_is_refused(store: Store, cell: SeenCell) -> None:
    with pytest.raises(Refusal) as refused:
        judge(store, cell, b"entry", 0, origin="lightwell/sg")
    assert (refused.value.status, refused.value.slug) == (422, "bad-promise")
