"""Each kernel equals the plain arithmetic it stands for."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lightwell.recommender import kernels
from lightwell.recommender.draws import LOT, draw, philox
from lightwell.recommender.kernels import gather, measure, trees
from lightwell.recommender.ranker import depths
from lightwell.recommender.tables import Forest
from tests.unit.recommender.forests import drawn

kernels.warm()
quick = settings(max_examples=60, deadline=None)
VIDEOS = 40
positions = st.integers(0, VIDEOS - 1)


def i4(values: list[int]) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def i8(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def u8(values: list[int]) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def rows_of(rows: list[list[Any]]) -> tuple[NDArray[np.int64], list[Any]]:
    return i8([0, *np.cumsum([len(row) for row in rows]).tolist()]), [value for row in rows for value in row]


@quick
@given(st.sets(st.integers(0, 2**64 - 1)), st.sets(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 50)))
def test_ids_are_found_in_the_base_and_among_those_added(
    base: set[int], more: set[int], wanted: list[int]
) -> None:
    ids = [*sorted(base), *(more - base)]
    added = i4(sorted(range(len(base), len(ids)), key=lambda at: ids[at]))
    asked = [*ids, *wanted]
    expected = [ids.index(video) if video in ids else -1 for video in asked]
    assert gather.find(u8(ids), len(base), added, u8(asked)).tolist() == expected


edges = st.lists(
    st.lists(st.tuples(positions, st.integers(-127, 127)), max_size=30), min_size=30, max_size=30
)


@quick
@given(
    edges,
    st.lists(st.tuples(positions, st.sampled_from([0, 1, 2])), max_size=200),
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(st.integers(0, 65_535), min_size=VIDEOS, max_size=VIDEOS),
    st.sets(st.integers(0, VIDEOS)),
    st.integers(0, 50),
)
def test_neighbours_are_summed_and_the_best_kept(
    rows: list[list[tuple[int, int]]],
    watched: list[tuple[int, int]],
    long: int,
    other: int,
    trend: list[int],
    skip: set[int],
    most: int,
) -> None:
    starts, flat = rows_of(rows)
    near, weight = i4([to for to, _ in flat]), np.array([w for _, w in flat], dtype=np.int8)
    videos, kinds = i4([video for video, _ in watched]), i4([kind for _, kind in watched])
    room = gather.room_for(starts, 30, videos, VIDEOS)
    table = np.zeros(4 * room + 5, dtype=np.int32)
    met = gather.sum_neighbours(starts, near, weight, 30, videos, kinds, room, table)
    expected: Counter[int] = Counter()
    reached = set()
    for video, kind in watched:
        for to, w in rows[video] if video < 30 and kind else []:
            expected[to] += w * (long if kind == 2 else other)
            reached.add(to)
    assert sorted((table[met] - 1).tolist()) == sorted(reached)
    by_long, by_other = gather.sums_of(table, room, i4(list(range(VIDEOS))))
    assert (long * by_long + other * by_other).tolist() == [expected[video] for video in range(VIDEOS)]
    # Ids fall as positions rise, so that ties by id are seen to be so.
    ids = u8([VIDEOS - at for at in range(VIDEOS)])
    u2 = np.array(trend, dtype=np.uint16)
    best = gather.best_neighbours(met, table, long, other, u2, ids, u8(sorted(skip)), most)
    worth = {to: value * trend[to] >> 8 for to, value in expected.items() if VIDEOS - to not in skip}
    order = sorted((to for to in worth if worth[to] > 0), key=lambda to: (-worth[to], -to))
    assert best.tolist() == order[:most]
    gather.clear(met, table)
    assert not table.any()


def test_a_graph_that_names_one_neighbour_without_end_stays_in_its_room() -> None:
    # A crafted snapshot may repeat a neighbour so that sums come back to nothing: it is met once.
    row = [-127] * 258 + [-2, 127] * 200
    starts = i8([0, 40 * len(row)])
    near, weight = i4([1] * (40 * len(row))), np.array(row * 40, dtype=np.int8)
    room = gather.room_for(starts, 1, i4([0]), 2)
    table = np.zeros(4 * room, dtype=np.int32)
    met = gather.sum_neighbours(starts, near, weight, 1, i4([0]), i4([1]), room, table)
    assert (table[met] - 1).tolist() == [1]
    assert gather.sums_of(table, room, i4([1]))[1].tolist() == [40 * sum(row)]


@quick
@given(st.lists(st.lists(positions, max_size=20), max_size=12))
def test_merging_keeps_each_video_once_with_all_that_found_it(found: list[list[int]]) -> None:
    marks = np.zeros(VIDEOS, dtype=np.int32)
    ends = i8(np.cumsum([len(part) for part in found]).tolist())
    videos, bits = gather.merge(i4([video for part in found for video in part]), ends, marks)
    assert not marks.any()
    expected = {
        video: sum(1 << at for at, part in enumerate(found) if video in part) for video in videos.tolist()
    }
    assert dict(zip(videos.tolist(), bits.tolist(), strict=True)) == expected
    assert set(expected) == {video for part in found for video in part}


@quick
@given(st.lists(st.tuples(positions, st.integers(-5, 5)), max_size=30), st.integers(0, 40))
def test_the_best_come_first_and_ties_by_id(given_: list[tuple[int, int]], most: int) -> None:
    scores = dict(given_)
    ids = u8([VIDEOS - at for at in range(VIDEOS)])
    found = gather.best(i4(list(scores)), i8(list(scores.values())), ids, most)
    assert found.tolist() == sorted(scores, key=lambda video: (-scores[video], -video))[:most]


@quick
@given(
    st.lists(st.integers(-1, 9), min_size=VIDEOS, max_size=VIDEOS),
    st.lists(st.tuples(positions, st.integers(-999, 999)), max_size=60),
    st.integers(0, 8),
)
def test_tastes_are_sums_by_number(column: list[int], evidence: list[tuple[int, int]], most: int) -> None:
    keys, sums = measure.tastes(
        i4(column), i4([at for at, _ in evidence]), i8([value for _, value in evidence])
    )
    expected: Counter[int] = Counter()
    for at, value in evidence:
        if column[at] >= 0:
            expected[column[at]] += value
    held = {key: total for key, total in zip(keys.tolist(), sums.tolist(), strict=True) if key >= 0}
    assert held == dict(expected)
    liked = sorted((key for key in held if held[key] > 0), key=lambda key: (-held[key], key))
    assert measure.liked_best(keys, sums, most).tolist() == sorted(liked[:most])


@quick
@given(
    st.lists(st.tuples(positions, st.integers(0, 255)), max_size=60), st.sets(positions), st.sets(positions)
)
def test_a_history_has_each_video_once_at_its_latest_place(
    watched: list[tuple[int, int]], likes: set[int], hides: set[int]
) -> None:
    videos, kinds = measure.history(
        i4([at for at, _ in watched]),
        i8([value for _, value in watched]),
        i4(sorted(likes)),
        i4(sorted(hides)),
        192,
    )
    latest = list(dict.fromkeys(at for at, _ in reversed(watched)))[::-1]
    assert videos.tolist() == latest
    for video, kind in zip(latest, kinds.tolist(), strict=True):
        is_long = any(at == video and value >= 192 for at, value in watched)
        if video in likes:
            assert kind == measure.LONG
        elif video in hides:
            assert kind == measure.HIDDEN
        else:
            assert kind == (measure.LONG if is_long else measure.OTHER)


def walked(ranker: Any, tree: int, row: list[int]) -> list[tuple[int, int]]:
    """The way through a tree: (node, feature asked), the leaf's feature being -1."""
    at, way = int(ranker.root[tree]), []
    while ranker.feature[at] >= 0:
        asked = int(ranker.feature[at])
        way.append((at, asked))
        at = int(ranker.left[at] if row[asked] <= ranker.threshold[at] else ranker.right[at])
    return [*way, (at, -1)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.lists(st.integers(-300, 300), min_size=62, max_size=62))
def test_trees_answer_what_following_them_gives_and_their_parts_sum_to_it(
    seed: int, leaves: int, numbers: list[int]
) -> None:
    ranker = drawn(("relevance", "long"), 3, leaves, seed)
    nodes, values = trees.pack(
        ranker.root, ranker.feature, ranker.threshold, ranker.left, ranker.right, ranker.value
    )
    depth = depths(ranker)
    rows = np.array(numbers, dtype=np.int16).reshape(2, 31)
    for first, last in ((0, 3), (3, 6), (0, 6)):
        raw = np.zeros(2, dtype=np.int64)
        trees.walk(nodes, values, ranker.root, depth, first, last, rows, raw)
        questions = Forest(ranker).questions
        assert (questions is None) == (leaves > 32)
        if questions is not None:
            voted = np.zeros(2, dtype=np.int64)
            trees.vote(*questions, first, last, np.ascontiguousarray(rows.T), voted)
            assert voted.tolist() == raw.tolist()
        for row, answer in zip(rows, raw.tolist(), strict=True):
            ways = [walked(ranker, tree, row.tolist()) for tree in range(first, last)]
            assert answer == sum(int(ranker.value[way[-1][0]]) for way in ways)
            group = np.arange(31, dtype=np.int16)
            parts = np.zeros(32, dtype=np.int64)
            trees.attribute(nodes, values, ranker.root, depth, first, last, row, group, parts)
            expected = np.zeros(32, dtype=np.int64)
            for way in ways:
                expected[31] += ranker.value[way[0][0]]
                for (at, asked), (to, _) in pairwise(way):
                    expected[asked] += int(ranker.value[to]) - int(ranker.value[at])
            assert parts.tolist() == expected.tolist()
            assert parts.sum() == answer


@quick
@given(st.sets(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 9) | st.integers(0, 2**64 - 1)))
def test_membership_is_that_of_a_set(members: set[int], wanted: list[int]) -> None:
    found = gather.among_ids(u8(sorted(members)), u8([*wanted, *members]))
    assert found.tolist() == [value in members for value in [*wanted, *members]]


@quick
@given(
    st.lists(st.lists(positions, max_size=5), min_size=6, max_size=6),
    st.lists(st.integers(-1, 8), min_size=VIDEOS, max_size=VIDEOS),
    st.sets(st.integers(0, 8)),
    st.integers(0, 4),
    st.sets(positions),
)
def test_rows_give_their_heads_and_all_that_were_added(
    table: list[list[int]], column: list[int], rows: set[int], most: int, seen: set[int]
) -> None:
    starts, flat = rows_of(table)
    ids = np.arange(VIDEOS, dtype=np.uint64) * np.uint64(3)
    skip = np.array(sorted(3 * video for video in seen), dtype=np.uint64)
    found = gather.of_rows(starts, i4(flat), i4(sorted(rows)), most, 30, i4(column), ids, skip)
    heads = [
        video
        for row in sorted(rows)
        if row < len(table)
        for video in [video for video in table[row] if video not in seen][:most]
    ]
    added = [at for at in range(30, VIDEOS) if column[at] in rows]
    assert found.tolist() == [*added, *heads]


@quick
@given(st.integers(0, 2**128 - 1), st.integers(0, 30))
def test_draws_are_those_of_the_generator_written_out(key: int, count: int) -> None:
    assert draw(f"{key:032x}", LOT, count) == philox(key, LOT << 192, count)
