"""A watcher takes every honest growth, and none of the ways in which a ledger breaks its word."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.ledger.download import UnreadableError
from lightwell.ledger.reader import open_ledger
from lightwell.ledger.watch import BrokenWordError, Seen, StateError, Watcher
from lightwell.wire import trust
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.keys import SigningKey
from tests.unit.ledger.outside import KEY, WITNESSES, Made, entry, made
from tests.unit.ledger.test_prove import Memory

POLICY = trust.of_keys(KEY.verifier())
numbers = itertools.count()


class Watched:
    """A watcher that is stopped and started again between any two looks."""

    def __init__(self, folder: Path, policy: trust.TrustPolicy = POLICY) -> None:
        self.state = folder / f"state-{next(numbers)}"
        self.policy = policy
        self.seen: list[Seen] = []
        self.entries: list[int] = []

    def look(self, files: dict[str, bytes]) -> None:
        watcher = Watcher(Memory(files), self.policy, self.state)
        watcher.look(self.seen.append, lambda index, _: self.entries.append(index))

    def refuses(self, files: dict[str, bytes], why: str | None = None) -> None:
        before = self.state.read_bytes()
        with pytest.raises(BrokenWordError, match=why) as caught:
            self.look(files)
        assert caught.value.evidence.read_bytes() == files["checkpoint"]
        assert caught.value.evidence.name.startswith(f"{self.state.name}.evidence-")
        assert self.state.read_bytes() == before


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def grown(steps: Sequence[int]) -> list[dict[str, bytes]]:
    """Return the files after each growth, without what older checkpoints left."""
    ledger, after = Made(), []
    for step in steps:
        ledger.grow([entry(ledger.edge.size + n) for n in range(step)])
        after.append(ledger.current())
    return after


@given(steps=st.lists(st.integers(0, 400), min_size=1, max_size=5))
@settings(max_examples=20)
def test_any_sequence_of_growths_passes_and_every_entry_is_told_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    watched = Watched(tmp_path_factory.mktemp("watch"))
    for files in grown(steps):
        watched.look(files)
        assert watched.state.read_bytes() == files["checkpoint"]
    sizes = list(itertools.accumulate(steps))
    assert [one.opened.checkpoint.size for one in watched.seen] == sizes
    assert [one.grown for one in watched.seen] == [0, *steps[1:]]
    assert watched.entries == list(range(sizes[0], sizes[-1]))


@given(first=st.integers(1, 600), more=st.integers(1, 400), at=st.data())
@settings(max_examples=25)
def test_a_fork_at_any_entry_is_refused_at_any_later_size(
    tmp_path_factory: pytest.TempPathFactory, first: int, more: int, at: st.DataObject
) -> None:
    watched = Watched(tmp_path_factory.mktemp("watch"))
    watched.look(made(first).current())
    changed = at.draw(st.integers(0, first - 1))
    other = Made()
    other.grow([entry(n if n != changed else n + 10**6) for n in range(first + more)])
    watched.refuses(other.current(), "forked: the first")
    assert len(watched.seen) == 1


@given(first=st.integers(1, 600), less=st.data())
@settings(max_examples=15)
def test_any_smaller_checkpoint_is_refused(
    tmp_path_factory: pytest.TempPathFactory, first: int, less: st.DataObject
) -> None:
    watched = Watched(tmp_path_factory.mktemp("watch"))
    watched.look(made(first).current())
    watched.refuses(made(less.draw(st.integers(0, first - 1))).current(), "rolled back")


def test_another_root_of_the_same_size_is_refused(watched: Watched) -> None:
    watched.look(made(5).current())
    other = Made()
    other.grow([entry(n + 9) for n in range(5)])
    watched.refuses(other.current(), "forked: another root")


def test_a_checkpoint_that_is_badly_signed_or_no_note_or_of_another_log_is_refused(watched: Watched) -> None:
    watched.look(made(5).current())
    stranger = Made(key=SigningKey.generate("lightwell/us", bytes([7]) * 32))
    stranger.grow([entry(n) for n in range(9)])
    watched.refuses(stranger.current())
    for note in (b"<html>", b"\xff\xfe", b"", made(9).files["checkpoint"].replace(b"9", b"8", 1)):
        watched.refuses({**made(9).current(), "checkpoint": note})
    elsewhere = SigningKey.generate("lightwell/eu", bytes([8]) * 32)
    both = trust.TrustPolicy(trust.NO_QUORUM, (*POLICY.logs, trust.Known(elsewhere.verifier())))
    watched.policy = both
    other = Made(key=elsewhere)
    other.grow([entry(n) for n in range(9)])
    watched.refuses(other.current(), "it is of lightwell/eu")


def test_a_checkpoint_without_its_quorum_is_refused(tmp_path: Path) -> None:
    policy = trust.of_keys(KEY.verifier(), [key.verifier() for key in WITNESSES[:2]])
    watched = Watched(tmp_path, policy)
    watched.look(made(5, WITNESSES).current())
    watched.refuses(made(9, WITNESSES[:1]).current(), "quorum")
    watched.look(made(9, WITNESSES[:2]).current())


@pytest.mark.parametrize("known", [False, True])
def test_tiles_that_do_not_make_the_signed_root_are_refused(watched: Watched, known: bool) -> None:
    watched.look(made(5).current())
    if not known:
        watched.state.unlink()
        watched.state.with_name("other").write_bytes(b"")
    files = made(700).current()
    files["checkpoint"] = sign(Checkpoint("lightwell/us", 700, bytes(32)), KEY).encode()
    with pytest.raises(BrokenWordError, match="its root is not that of the tiles"):
        watched.look(files)


def test_an_entry_that_is_not_the_one_in_the_tree_is_refused_before_it_is_told(watched: Watched) -> None:
    watched.look(made(5).current())
    files = made(9).current()
    files["tile/entries/000.p/9"] = files["tile/entries/000.p/9"].replace(b'"at":7', b'"at":8')
    watched.refuses(files, "entry 7 is not the one in the tree")
    assert watched.entries == []


def test_a_missing_tile_or_checkpoint_says_nothing_about_the_ledger(watched: Watched) -> None:
    watched.look(made(5).current())
    before = watched.state.read_bytes()
    for gone in ("checkpoint", "tile/1/000.p/2", "tile/0/000"):
        files = made(700).current()
        del files[gone]
        with pytest.raises(UnreadableError, match=gone if gone != "checkpoint" else "no checkpoint"):
            watched.look(files)
    assert watched.state.read_bytes() == before
    assert not list(watched.state.parent.glob("*evidence*"))


def test_a_newer_cosignature_of_the_same_tree_is_kept(watched: Watched) -> None:
    ledger = made(5)
    watched.look(ledger.current())
    ledger.sign(WITNESSES)
    watched.look(ledger.current())
    assert watched.state.read_bytes() == ledger.files["checkpoint"]


def test_the_same_evidence_is_kept_once(watched: Watched) -> None:
    watched.look(made(5).current())
    for _ in range(3):
        watched.refuses(made(4).current(), "rolled back")
    assert len(list(watched.state.parent.glob("*evidence*"))) == 1


@pytest.mark.parametrize("content", [b"", b"\xff", b"not a note\n", b"x" * 3_000_000])
def test_a_state_file_that_is_no_checkpoint_of_the_log_is_named(tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state"
    state.write_bytes(content)
    with pytest.raises(StateError, match=str(state)):
        Watcher(open_ledger(str(tmp_path)), POLICY, state)


def test_what_was_kept_under_a_weaker_policy_still_binds_the_log(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.look(made(9).current())
    watched.policy = trust.of_keys(KEY.verifier(), [WITNESSES[0].verifier()])
    watched.refuses(made(5, WITNESSES[:1]).current(), "rolled back")
