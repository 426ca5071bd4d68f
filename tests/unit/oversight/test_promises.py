"""A promise is judged by the tree as it was last read whole, never by the clock on the wall."""

from pathlib import Path

import pytest

from lightwell.oversight import promises
from lightwell.oversight.follow import Follower, FollowStatus
from lightwell.oversight.promises import Standing, Submission
from lightwell.oversight.refusal import Refusal
from lightwell.oversight.store import Store
from lightwell.wire import merkle
from lightwell.wire.promise import make_promise, make_promises
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


def test_promises_that_share_a_signature_are_judged_each_by_its_own_entry(
    store: Store, cell: SeenCell
) -> None:
    entries = [cell.entries[2], b"left out", cell.entries[0]]
    notes = make_promises(cell.key, "lightwell/us", [merkle.leaf_hash(entry) for entry in entries], 0)
    ledger = ("us", "lightwell/us", cell.key.verifier())
    submissions = [Submission(note, entry.decode()) for note, entry in zip(notes, entries, strict=True)]
    assert {promises.origin_of(submission) for submission in submissions} == {"lightwell/us"}
    status = FollowStatus(whole_at=READ_AT)
    standings = [promises.judge(store, ledger, status, submission, GRACE) for submission in submissions]
    assert [(standing.state, standing.index) for standing in standings] == [
        ("kept", 2),
        ("broken", None),
        ("kept", 0),
    ]
    assert len(store.findings("us")) == 1
    with pytest.raises(Refusal):
        promises.judge(store, ledger, status, Submission(notes[0], entries[1].decode()), GRACE)
