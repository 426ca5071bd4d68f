"""The follower accepts only what extends what it has, and says what is wrong with the rest."""

import sys
import time
from pathlib import Path

import pytest

from lightwell.oversight.follow import Follower
from lightwell.oversight.reading import UnreachableError
from lightwell.oversight.store import Store
from lightwell.oversight.tree import root_at
from lightwell.wire import entries, merkle, tiles
from lightwell.wire.checkpoint import Checkpoint, sign
from tests.factories.seen_cell import SeenCell, key

NOW = entries.minute(int(time.time()))


@pytest.fixture(autouse=True)
def _as_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    # In a long run what is written now would be later than when this file was read by more than the grace.
    monkeypatch.setattr(sys.modules[__name__], "NOW", entries.minute(int(time.time())))


@pytest.fixture
def cell() -> SeenCell:
    cell = SeenCell()
    cell.adopt()
    return cell


@pytest.fixture
def follower(cell: SeenCell, tmp_path: Path) -> Follower:
    store = Store(tmp_path / "oversight.db")
    return Follower(store, cell.name, "lightwell/us", cell.key.verifier(), cell.read)


def facts(count: int, start: int = 0) -> list[bytes]:
    return [
        entries.encode(entries.VideoPublished(at=NOW, commitment=f"{number:064x}"))
        for number in range(start, start + count)
    ]


def titles(follower: Follower) -> list[str]:
    return [finding.title for finding in follower.store.findings("us")]


@pytest.mark.parametrize("step", [1, 7, 255, 256, 257, 700])
def test_what_is_followed_has_the_root_that_was_signed(cell: SeenCell, follower: Follower, step: int) -> None:
    follower.poll()
    while cell.edge.size < min(1500, 60 * step):
        cell.append(facts(step, cell.edge.size))
        assert follower.poll() == step
        head = follower.store.head("us")
        assert head is not None
        assert (head.size, head.root) == (cell.checkpoint.size, cell.checkpoint.root)
    with follower.store.read() as db:
        for size in [size for size in (1, 2, 255, 256, 257, 1000) if size <= cell.edge.size]:
            leaves = [merkle.leaf_hash(data) for data in cell.entries[:size]]
            assert root_at(db, "us", size) == merkle.root(leaves)
    assert titles(follower) == []


def test_following_goes_on_where_it_was_after_a_restart(cell: SeenCell, follower: Follower) -> None:
    follower.poll()
    cell.append(facts(300))
    again = Follower(Store(follower.store.path), "us", "lightwell/us", cell.key.verifier(), cell.read)
    assert again.poll() == 300
    assert again.store.kinds("us")["VideoPublished"] == 300


def test_truncated_ledger_is_a_finding_that_stays(cell: SeenCell, follower: Follower) -> None:
    cell.append(facts(10))
    follower.poll()
    whole = cell.files["checkpoint"]
    shorter = Checkpoint("lightwell/us", 5, merkle.root([merkle.leaf_hash(d) for d in cell.entries[:5]]))
    cell.files["checkpoint"] = sign(shorter, cell.key).encode()
    assert follower.poll() == 0
    cell.files["checkpoint"] = whole
    follower.poll()
    assert titles(follower) == ["The ledger was truncated"]
    assert follower.store.findings("us")[0].state == "breach"
    head = follower.store.head("us")
    assert head is not None
    assert head.size == cell.edge.size


def test_fork_at_the_same_size_is_a_finding(cell: SeenCell, follower: Follower) -> None:
    follower.poll()
    size = cell.checkpoint.size
    cell.files["checkpoint"] = sign(Checkpoint("lightwell/us", size, b"\7" * 32), cell.key).encode()
    follower.poll()
    assert titles(follower) == ["The ledger was forked"]


def test_rewritten_entry_is_named(cell: SeenCell, follower: Follower) -> None:
    cell.append(facts(400))
    follower.poll()
    forged = SeenCell()
    forged.key = cell.key
    data = list(cell.entries)
    data[120] = facts(1, 9999)[0]
    forged.append(data)
    forged.append(facts(5, 500))
    cell.files = forged.files
    assert follower.poll() == 0
    finding = follower.store.findings("us")[0]
    assert (finding.title, finding.entries) == ("The ledger was rewritten", [120])
    assert follower.store.kinds("us")["VideoPublished"] == 400


def test_checkpoint_of_another_key_is_refused(cell: SeenCell, follower: Follower) -> None:
    cell.files["checkpoint"] = sign(cell.checkpoint, key("lightwell/us")).encode()
    assert follower.poll() == 0
    assert follower.store.head("us") is None
    assert titles(follower) == ["A checkpoint is not the ledger's"]


def test_checkpoint_of_another_ledger_is_refused(cell: SeenCell, follower: Follower) -> None:
    other = Checkpoint("lightwell/sg", cell.checkpoint.size, cell.checkpoint.root)
    cell.files["checkpoint"] = sign(other, cell.key).encode()
    assert follower.poll() == 0
    assert titles(follower) == ["A checkpoint is not the ledger's"]


def test_entries_that_do_not_hash_to_the_signed_root_are_not_kept(cell: SeenCell, follower: Follower) -> None:
    follower.poll()
    before = follower.store.kinds("us")
    cell.append(facts(20))
    path = tiles.bundle_path(0, cell.edge.size)
    cell.files[path] = tiles.encode_bundle([*cell.entries[:-1], facts(1, 77)[0]])
    assert follower.poll() == 0
    assert follower.store.kinds("us") == before
    assert titles(follower) == ["The ledger was forked"]


def test_missing_entries_are_open_until_they_can_be_read(cell: SeenCell, follower: Follower) -> None:
    follower.poll()
    cell.append(facts(4))
    path = tiles.bundle_path(0, cell.edge.size)
    kept = cell.files.pop(path)
    follower.poll()
    assert [f.state for f in follower.store.findings("us")] == ["open"]
    cell.files[path] = kept
    assert follower.poll() == 4
    assert [f.state for f in follower.store.findings("us")] == ["closed"]


def test_partial_bundle_that_is_gone_is_read_from_the_whole_one(cell: SeenCell, follower: Follower) -> None:
    cell.append(facts(100))
    older = cell.files["checkpoint"]
    cell.append(facts(300, 100))
    cell.files["checkpoint"] = older
    for path in [path for path in cell.files if ".p/" in path and "/000" in path]:
        del cell.files[path]
    assert follower.poll() == 103


def test_cell_that_does_not_answer_is_no_finding(cell: SeenCell, follower: Follower) -> None:
    def away(path: str) -> bytes | None:
        raise UnreachableError("ConnectError")

    follower.poll()
    checked_at = follower.status.checked_at
    follower.read = away
    time.sleep(0.01)
    assert follower.poll() == 0
    assert "cannot be reached" in follower.status.trouble
    assert follower.status.checked_at == checked_at
    assert titles(follower) == []


def test_malformed_entry_is_kept_in_the_tree_and_raised(cell: SeenCell, follower: Follower) -> None:
    cell.append([b'{"kind":"SlateServed","v":1}', b"no json", b'{"kind":"FutureFact","v":3}'])
    assert follower.poll() == 6
    assert follower.store.kinds("us")["Malformed"] == 2
    assert follower.store.kinds("us")["FutureFact"] == 1
    assert len(titles(follower)) == 2


def test_audit_names_an_altered_tile_and_an_altered_bundle(cell: SeenCell, follower: Follower) -> None:
    cell.append(facts(700))
    follower.poll()
    assert follower.audit() == []
    tile = tiles.tile_path(0, 1)
    cell.files[tile] = bytes(32) + cell.files[tile][32:]
    bundle = tiles.bundle_path(0)
    changed = [*cell.entries[:9], facts(1, 999)[0], *cell.entries[10:256]]
    cell.files[bundle] = tiles.encode_bundle(changed)
    problems = follower.audit()
    assert any(problem.startswith(tile) for problem in problems)
    assert "entry 9 is not the one that was there before" in problems


def test_slate_of_an_unnamed_policy_is_a_breach(follower: Follower, cell: SeenCell) -> None:
    slate = cell.slate(1)
    cell.add(
        entries.SlateServed(
            at=slate.at, commitment=slate.commitment, snapshot=slate.snapshot, policy="a" * 64
        )
    )
    follower.poll()
    assert titles(follower) == ["Slates ranked with a policy the ledger had not named"]


@pytest.mark.parametrize(
    ("change", "broken"),
    [("none", False), ("unasked", True), ("expired", True), ("revoked", True), ("other-field", True)],
)
def test_use_without_a_live_grant_is_a_breach(
    cell: SeenCell, follower: Follower, change: str, broken: bool
) -> None:
    asked = entries.AccessRequested(
        at=NOW, request="r1", place="us", role="analyst", fields=["user.contact.email"], purpose="support"
    )
    granted = entries.AccessDecided(
        at=NOW, request="r1", outcome="granted", reason="approved", place="us", role="analyst",
        approvals=1, expires_at=NOW + 120,
    )  # fmt: skip
    ended = entries.AccessEnded(at=NOW + 60, request="r1", why="revoked")
    used = entries.AccessUsed(
        at=NOW + 180 if change == "expired" else NOW + 60,
        request="r1",
        fields=["user.contact.phone" if change == "other-field" else "user.contact.email"],
    )
    facts_ = [] if change == "unasked" else [asked, granted]
    facts_ += [ended] if change == "revoked" else []
    cell.add(*facts_, used)
    follower.poll()
    assert bool(titles(follower)) is broken
