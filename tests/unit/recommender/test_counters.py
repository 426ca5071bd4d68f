"""Counters: exact whatever the order, fading as said, the same kept up as counted anew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender.counters import (
    COUNTERS,
    MOST_COUNTED,
    WINDOWS,
    Counters,
    Rules,
    decayed,
    rising,
    scores,
    trend,
)
from lightwell.recommender.happened import EVENT, FOLLOW, KINDS, Recent, counted, number_of

NOW = 28_800_000
VIDEOS = 5


def filled(video: list[int], minute: list[int], name: str = "longs") -> Counters:
    counters = Counters(VIDEOS, NOW)
    counters.add(name, np.array(video, dtype=np.int64), np.array(minute, dtype=np.int64))
    return counters


@pytest.mark.parametrize("name", WINDOWS)
def test_a_half_life_leaves_half(name: str) -> None:
    window = WINDOWS[name]
    half = window.step * window.steps
    counters = filled([0] * 1000, [NOW] * 1000, window.of)
    for halvings in range(6):
        # Weights are known to 16 bits.
        found, exact = int(counters.at(NOW + halvings * half)[name][0]), 256_000 >> halvings
        assert abs(found - exact) <= exact // 20_000


def test_an_hour_counts_at_once_and_fades_within_the_day() -> None:
    counters = filled([0], [NOW])
    assert counters.at(NOW)["longs_1h"][0] == 256
    assert counters.at(NOW + 30)["longs_1h"][0] == round(256 * 0.5**0.5)
    assert counters.at(NOW + 24 * 60)["longs_1h"][0] == 0
    assert counters.at(NOW + 24 * 60)["longs"][0] == 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, VIDEOS - 1), st.integers(NOW - 40_000, NOW)), max_size=40), st.data()
)
def test_neither_order_nor_batches_change_a_count(events: list[tuple[int, int]], data: st.DataObject) -> None:
    whole = filled([video for video, _ in events], [minute for _, minute in events])
    shuffled = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    parts = Counters(VIDEOS, NOW)
    for part in (shuffled[:cut], shuffled[cut:]):
        video, minute = ([pair[at] for pair in part] for at in (0, 1))
        parts.add("longs", np.array(video, dtype=np.int64), np.array(minute, dtype=np.int64))
    ours, theirs = parts.at(NOW), whole.at(NOW)
    assert all(np.array_equal(ours[name], theirs[name]) for name in COUNTERS)


def test_landmarks_passed_on_the_way_change_little() -> None:
    minutes = list(range(NOW, NOW + 40 * 1440, 97))
    gradually = Counters(1, NOW)
    for minute in minutes:
        gradually.add("longs", np.zeros(1, dtype=np.int64), np.array([minute]))
    at_once = filled([0] * len(minutes), minutes).at(minutes[-1])
    found = gradually.at(minutes[-1])
    for name in WINDOWS:
        assert abs(int(found[name][0]) - int(at_once[name][0])) <= 1


def test_what_is_left_of_an_earlier_value_is_what_would_be_counted_now() -> None:
    counters = filled([0, 0, 1, 2, 2, 2], [NOW - 5000, NOW - 30, NOW - 1, NOW - 700, NOW, NOW])
    before = counters.at(NOW)
    for later in (NOW + 1, NOW + 45, NOW + 3000):
        after = counters.at(later)
        for name in WINDOWS:
            assert np.abs(decayed(name, before[name], NOW, later) - after[name]).max() <= 1


def test_counters_grow_and_are_put_in_another_order() -> None:
    counters = filled([0, 3, 3], [NOW] * 3)
    counters.grow(2_000)
    counters.add("longs", np.array([1_999]), np.array([NOW]))
    other = counters.rearranged(np.array([3, -1, 1_999]))
    assert other.at(NOW)["longs"].tolist() == [2, 0, 1]
    assert other.at(NOW + 60)["longs_1h"].tolist() == [256, 0, 128]


def test_no_counter_leaves_its_bounds() -> None:
    counters = Counters(1, NOW)
    counters._sums["longs"][:] = 1 << 60
    counters._sums["longs_24h"][:] = 1 << 58
    found = counters.at(NOW)
    assert int(found["longs"][0]) == MOST_COUNTED
    assert int(found["longs_24h"][0]) <= MOST_COUNTED * 256


def test_trend_is_256_where_a_video_is_as_the_catalogue() -> None:
    longs = np.full(1000, 100, dtype=np.int64)
    lately = longs * 256 // 10
    assert set(trend(lately, longs, Rules()).tolist()) <= {255, 256}
    lately[0] *= 8
    lately[1] = 0
    found = trend(lately, longs, Rules()).tolist()
    assert 2.9 < found[0] / 256 < 8**0.6
    assert found[1] < 60


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 39), st.integers(0, 1 << 31)), min_size=1, max_size=20))
def test_trend_never_leaves_its_bounds_nor_falls_when_more_is_watched_lately(
    rows: list[tuple[int, int]],
) -> None:
    lately, longs = (np.array([row[at] for row in rows], dtype=np.int64) for at in (0, 1))
    found = trend(lately, longs, Rules())
    assert ((found >= 0) & (found <= 65_535)).all()
    same = longs == longs[0]
    order = lately[same].argsort()
    assert (np.diff(found[same][order]) >= 0).all()


def test_rising_is_by_rise_then_by_what_is_finished_then_by_id() -> None:
    ids = np.array([5, 3, 9, 1, 7], dtype=np.uint64)
    found = {"rise": np.array([0, 9, 0, 0, 0]), "finish": np.array([4, -9, 4, 8, 4])}
    assert rising(ids, found, 10).tolist() == [1, 3, 0, 4, 2]
    assert rising(ids, found, 3).tolist() == [1, 3, 0]
    assert rising(ids, found, 2).tolist() == [1, 3]


def test_a_catalogue_without_a_watch_has_scores() -> None:
    none = {name: np.zeros(4, dtype=np.int64) for name in COUNTERS}
    found = scores(none, Rules())
    assert found["rise"].tolist() == found["finish"].tolist() == [0] * 4
    assert set(found["trend"].tolist()) <= {255, 256}


events = st.lists(
    st.tuples(
        st.integers(1, 3), st.integers(1, 3), st.integers(NOW, NOW + 100), st.integers(0, len(KINDS) - 1),
        st.integers(0, 255),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(events, st.integers(0, 40))
def test_what_counts_is_the_same_batch_by_batch(rows: list[tuple[int, int, int, int, int]], cut: int) -> None:
    whole = np.array(sorted(rows, key=lambda row: row[2]), dtype=EVENT)
    recent = Recent(192)
    first, second = recent.counted(whole[:cut]), recent.counted(whole[cut:])
    for name, at in counted(whole, 192).items():
        assert at.tolist() == [*first[name].tolist(), *(second[name] + whole[:cut].size).tolist()], name


def test_one_viewer_counts_once_an_hour_for_each_thing_done() -> None:
    watch, like = number_of("watch"), number_of("like")
    rows = [(1, 7, NOW, watch, 10), (1, 7, NOW + 1, watch, 250), (1, 7, NOW + 2, like, 255)]
    rows += [
        (1, 7, NOW + 3, like, 255),
        (1, 7, NOW + 60, watch, 0),
        (2, 7, NOW, watch, 255),
        (2, 7, NOW, FOLLOW, 0),
    ]
    found = counted(np.array(rows, dtype=EVENT), 192)
    assert {name: at.size for name, at in found.items()} == {
        "views": 3, "longs": 2, "likes": 1, "shares": 0, "skips": 0,
    }  # fmt: skip


def test_events_of_two_hours_ago_are_forgotten_so_that_memory_stays_small() -> None:
    recent = Recent(192)
    for hour in range(50):
        recent.counted(np.array([(1, 1, NOW + 60 * hour, 0, 255)], dtype=EVENT))
    assert len(recent._seen) == 2
