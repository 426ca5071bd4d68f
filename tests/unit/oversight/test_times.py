"""Times are judged by the order entries stand in: no honest cell is accused, no back-dated entry missed."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.oversight.rules import Breach
from lightwell.oversight.times import Latest, judge

NOON = 1_800_000_000
GRACE = 300


def follow(
    ledger: Sequence[int], sizes: Sequence[int], read_at: float = NOON + 10**6, shuffled: bool = False
) -> list[Breach]:
    """Judge a ledger, the times of its entries in order, as seen by one who read it at these sizes."""
    latest, found, start = None, list[Breach](), 0
    for size in [*sizes, len(ledger)]:
        new = list(enumerate(ledger[start:size], start=start))
        latest, breaches = judge(new, latest, read_at=read_at, grace_seconds=GRACE, shuffled=shuffled)
        found += breaches
        start = size
    return found


@st.composite
def honest(draw: st.DrawFn) -> tuple[list[int], list[int], bool]:
    """What an honest cell's ledger may look like, and at which sizes somebody read it.

    Facts come at any pace, each dated by a process whose clock is up to two minutes off, often cut to the
    minute. The writer takes them in the order they were queued, in batches of a bounded size that it may
    shuffle, and was down for hours now and then: then a batch holds hours.
    """
    pace = draw(st.sampled_from([1, 60, 3000]))
    gaps = draw(st.lists(st.integers(0, pace), min_size=1, max_size=120))
    seed = draw(st.integers(0, 2**32))
    shuffled = draw(st.booleans())
    chance = random.Random(seed)
    now, queued = NOON, []
    for gap in gaps:
        now += gap
        stated = now + chance.randint(-120, 120)
        queued.append(stated - stated % 60 if chance.random() < 0.5 else stated)
    ledger, ends = list[int](), list[int]()
    while queued:
        # A short batch is one of an idle writer, a long one that of a writer that was down.
        batch = [queued.pop(0) for _ in range(min(len(queued), chance.choice([1, 3, 40])))]
        if shuffled:
            chance.shuffle(batch)
        ledger += batch
        ends.append(len(ledger))
    # Only whole batches are ever published; who follows sees all or some of them.
    read = sorted(chance.sample(ends, chance.randint(0, len(ends))))
    return ledger, read, shuffled


@given(honest())
def test_an_honest_cell_is_never_accused(case: tuple[list[int], list[int], bool]) -> None:
    ledger, sizes, shuffled = case
    assert follow(ledger, sizes, shuffled=shuffled) == []


@given(honest(), st.integers(0, 2**32))
def test_an_entry_dated_before_the_tree_that_was_read_is_always_named(
    case: tuple[list[int], list[int], bool], seed: int
) -> None:
    ledger, sizes, shuffled = case
    read = random.Random(seed).choice([*sizes, len(ledger)])
    forged = [*ledger[:read], max(ledger[:read], default=NOON) - GRACE - 1, *ledger[read:]]
    later = [read, *(size + 1 for size in sizes if size >= read)]
    named = {index for breach in follow(forged, later, shuffled=shuffled) for index in breach.entries}
    assert (read in named) is (read > 0)


def test_a_ledger_read_at_once_is_judged_by_its_own_order() -> None:
    found = follow([NOON, NOON + 10, NOON - 3600, NOON - 9, NOON + 20, NOON - 3601], [])
    # With each the entry it stands behind.
    assert [breach.entries for breach in found] == [[2, 1], [5, 4]]
    assert "Entry 2 is dated" in found[0].detail


def test_within_a_batch_of_a_cell_that_shuffles_nothing_is_held_against_an_entry() -> None:
    ledger = [NOON + 9000, NOON, NOON + 4000]
    assert follow(ledger, [], shuffled=True) == []
    assert [breach.entries for breach in follow(ledger, [1], shuffled=True)] == [[1, 2, 0]]


@pytest.mark.parametrize(("ahead", "named"), [(0, False), (GRACE, False), (GRACE + 1, True)])
def test_an_entry_later_than_the_moment_it_was_read_is_named(ahead: int, named: bool) -> None:
    found = follow([NOON, NOON + ahead], [], read_at=NOON)
    assert [breach.key for breach in found] == (["from-the-future"] if named else [])


def test_an_entry_from_the_future_is_no_measure_for_those_after_it() -> None:
    latest, found = judge([(0, NOON + 10**6), (1, NOON)], None, read_at=NOON, grace_seconds=GRACE)
    assert latest == Latest(NOON, 1)
    assert [breach.entries for breach in found] == [[0]]


def test_a_clock_that_was_set_back_makes_one_finding_of_bounded_size() -> None:
    ledger = [NOON, *range(NOON - 7200, NOON - 7200 + 500)]
    found = follow(ledger, range(1, 501))
    assert {breach.key for breach in found} == {"back-dated-0"}
    (whole,) = follow(ledger, [1])
    assert len(whole.entries) == 50
    assert whole.gather
