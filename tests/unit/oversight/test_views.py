"""What the ledger's key signed for others is compared with the tree we follow; no more is alleged."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightwell.oversight import views
from lightwell.oversight.follow import Follower, FollowStatus
from lightwell.oversight.store import Store
from lightwell.oversight.views import Crosscheck, contradictions
from lightwell.wire.checkpoint import Checkpoint, sign
from tests.factories.seen_cell import SeenCell
from tests.unit.oversight.test_follow import facts

GRACE = 60.0
NOON = 1_800_000_000.0


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.append(facts(10))
    return cell


@pytest.fixture
def store(cell: SeenCell, tmp_path: Path) -> Store:
    store = Store(tmp_path / "oversight.db")
    Follower(store, "us", "lightwell/us", cell.key.verifier(), cell.read).poll()
    return store


@pytest.fixture
def crosscheck(store: Store) -> Crosscheck:
    return Crosscheck(store, "us", GRACE)


def shown(size: int, at: float) -> FollowStatus:
    return FollowStatus(shown_size=size, shown_at=NOON + at)


def remember(store: Store, cell: SeenCell, size: int, root: bytes) -> None:
    checkpoint = Checkpoint("lightwell/us", size, root)
    with store.write() as db:
        views.remember(db, "us", checkpoint, sign(checkpoint, cell.key), "the witness")


def states(store: Store) -> list[str]:
    return [finding.state for finding in store.findings("us")]


def test_a_tree_that_is_ours_is_forgotten_once_compared(
    store: Store, cell: SeenCell, crosscheck: Crosscheck
) -> None:
    remember(store, cell, 10, cell.checkpoint.root)
    crosscheck.check(shown(10, 0))
    assert states(store) == []
    assert store.number("SELECT count(*) FROM views") == 0


def test_a_tree_that_is_not_ours_is_kept_with_its_signature(
    store: Store, cell: SeenCell, crosscheck: Crosscheck
) -> None:
    for size in (4, 10):
        remember(store, cell, size, b"\3" * 32)
    for at in (0, 1):
        crosscheck.check(shown(10, at))
    assert {f.key for f in store.findings("us")} == {"split-view-4", "split-view-10"}
    found = contradictions(store, "us")
    assert [(one.size, one.root) for one in found] == [(4, "03" * 32), (10, "03" * 32)]
    assert found[0].note == sign(Checkpoint("lightwell/us", 4, b"\3" * 32), cell.key)


def test_a_finding_of_two_views_never_stands_without_the_tree_that_shows_it(
    store: Store, cell: SeenCell, crosscheck: Crosscheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (4, 10):
        remember(store, cell, size, b"\3" * 32)
    seen: list[tuple[int, int]] = []
    write = store.write

    @contextmanager
    def watched() -> Iterator[sqlite3.Connection]:
        with write() as db:
            yield db
        seen.append((len(store.findings("us")), len(contradictions(store, "us"))))

    monkeypatch.setattr(store, "write", watched)
    crosscheck.check(shown(10, 0))
    assert (2, 2) in seen
    assert all(found == kept for found, kept in seen)


def test_only_so_many_trees_are_remembered(store: Store, cell: SeenCell) -> None:
    for size in range(11, 400):
        remember(store, cell, size, bytes(32))
    assert store.number("SELECT count(*) FROM views") == 256


def test_less_than_was_signed_for_is_alleged_only_after_the_grace(
    store: Store, cell: SeenCell, crosscheck: Crosscheck
) -> None:
    remember(store, cell, 12, bytes(32))
    for at, found in ((0, []), (30, []), (60, []), (61, ["open"]), (62, ["open"])):
        crosscheck.check(shown(10, at))
        assert states(store) == found
    cell.append(facts(2, 10))
    crosscheck.check(shown(12, 63))
    assert states(store) == ["closed"]


def test_time_in_which_a_cell_was_away_is_not_held_against_it(
    store: Store, cell: SeenCell, crosscheck: Crosscheck
) -> None:
    remember(store, cell, 12, bytes(32))
    crosscheck.check(shown(10, 0))
    crosscheck.check(shown(10, 30))
    # Away for hours, and while nothing is read nothing changes; then back with the checkpoint it had.
    crosscheck.check(shown(10, 30))
    for at in (9000, 9030, 9060):
        crosscheck.check(shown(10, at))
    assert states(store) == []
    crosscheck.check(shown(10, 9061))
    assert states(store) == ["open"]


def test_an_oversight_server_that_starts_again_begins_to_count_anew(store: Store, cell: SeenCell) -> None:
    remember(store, cell, 12, bytes(32))
    for start in (0, 1000, 2000):
        again = Crosscheck(store, "us", GRACE)
        again.check(shown(10, start))
        again.check(shown(10, start + 59))
    assert states(store) == []


def test_an_open_finding_is_closed_after_a_restart_too(store: Store, cell: SeenCell) -> None:
    remember(store, cell, 12, bytes(32))
    before = Crosscheck(store, "us", GRACE)
    for at in (0, 50, 100):
        before.check(shown(10, at))
    Crosscheck(store, "us", GRACE).check(shown(12, 200))
    assert states(store) == ["closed"]
