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
from lightwell.recommender.kernels import choose, gather, measure, sift, trees
from lightwell.recommender.kernels.compiled import FACTS
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
    # A crafted snapshot may repeat a neighbour so that sums come back to nothing: it is met once, and a sum
    # beyond 16 bits, which distinct neighbours cannot reach, keeps its low ones.
    row = [-127] * 258 + [-2, 127] * 200
    starts = i8([0, 40 * len(row)])
    near, weight = i4([1] * (40 * len(row))), np.array(row * 40, dtype=np.int8)
    room = gather.room_for(starts, 1, i4([0]), 2)
    table = np.zeros(4 * room, dtype=np.int32)
    met = gather.sum_neighbours(starts, near, weight, 1, i4([0]), i4([1]), room, table)
    assert (table[met] - 1).tolist() == [1]
    whole = 40 * sum(row)
    assert gather.sums_of(table, room, i4([1]))[1].tolist() == [(whole + (1 << 15)) % (1 << 16) - (1 << 15)]


def facts_of(creator: list[int], audience: list[int] | None = None) -> NDArray[Any]:
    """Facts of `VIDEOS` videos, whose ids fall as positions rise."""
    rows = np.zeros(VIDEOS, dtype=FACTS)
    rows["id"] = [VIDEOS - at for at in range(VIDEOS)]
    rows["creator"], rows["sound"] = creator, [-1 - number for number in creator]
    rows["audience"] = audience or 0
    return rows


@quick
@given(st.lists(st.lists(positions, max_size=20), max_size=12))
def test_merging_keeps_each_video_once_with_all_that_found_it(found: list[list[int]]) -> None:
    every = i4([video for part in found for video in part])
    ends = i8(np.cumsum([len(part) for part in found]).tolist())
    facts, rows = facts_of(list(range(VIDEOS))), np.zeros(every.size, dtype=FACTS)
    videos, bits, count = sift.merge(every, ends, facts, rows)
    assert videos.tolist() == sorted(set(every.tolist()), reverse=True)  # ascending by id
    assert bits.tolist() == [
        sum(1 << at for at, part in enumerate(found) if video in part) for video in videos.tolist()
    ]
    assert rows[:count]["creator"].tolist() == videos.tolist()


numbers = st.sets(st.integers(0, 5))
some = st.sets(positions)


@quick
@given(
    st.lists(st.tuples(numbers, st.integers(0, 3)), min_size=VIDEOS, max_size=VIDEOS),
    st.lists(some, min_size=4, max_size=4),
    st.lists(numbers, min_size=2, max_size=2),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.integers(-1, 5),
    st.integers(0, 255),
)
def test_the_first_reason_that_fits_drops_a_candidate(
    about: list[tuple[set[int], int]],
    ids: list[set[int]],
    creators: list[set[int]],
    barred: list[bool],
    own: int,
    asked: int,
) -> None:
    creator = [max(number, default=0) for number, _ in about]
    audience = [number for _, number in about]
    facts = facts_of(creator, audience)
    withdrawn, hidden, seen, again = ids
    blocked, muted = creators
    young, away = barred[:4], barred[4:]
    left = np.zeros(VIDEOS, dtype=FACTS)
    videos = i4(list(range(VIDEOS)))
    reasons, kept, bits, count = sift.sift(
        facts, videos, videos, u8(sorted(VIDEOS - at for at in withdrawn)), np.array(young), np.array(away),
        u8(sorted(VIDEOS - at for at in hidden)), i4(sorted(blocked)), i4(sorted(muted)), own,
        u8(sorted(VIDEOS - at for at in seen)), i4(sorted(again)), asked, left,
    )  # fmt: skip
    for at in range(VIDEOS):
        why = [
            at in withdrawn, young[audience[at]], away[audience[at]], at in hidden, creator[at] in blocked,
            creator[at] in muted, creator[at] == own, at in seen - again,
        ]  # fmt: skip
        fits = [number + 1 for number, is_so in enumerate(why) if is_so and asked >> number & 1]
        assert reasons[at] == (fits[0] if fits else 0)
    expected = [at for at in range(VIDEOS) if not reasons[at]]
    assert kept[:count].tolist() == bits[:count].tolist() == expected
    assert left[:count]["id"].tolist() == [VIDEOS - at for at in expected]


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
    starts, tag = rows_of([[number] if number >= 0 else [] for number in column])
    rarity = np.full(10, 256, dtype=np.int16)
    keys, sums, _, _, tags, of_tags = measure.tastes(
        facts_of(column), starts, i4(tag), rarity,
        i4([at for at, _ in evidence]), i8([value for _, value in evidence]),
    )  # fmt: skip
    by_tag = {key: total for key, total in zip(tags.tolist(), of_tags.tolist(), strict=True) if key >= 0}
    expected: Counter[int] = Counter()
    for at, value in evidence:
        if column[at] >= 0:
            expected[column[at]] += value
    held = {key: total for key, total in zip(keys.tolist(), sums.tolist(), strict=True) if key >= 0}
    assert held == by_tag == dict(expected)
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


@quick
@given(
    st.lists(st.tuples(positions, st.integers(0, 255)), max_size=20),
    st.sets(positions, max_size=9),
    st.sets(positions, max_size=9),
)
def test_evidence_fades_with_the_newest_watch_of_its_video(
    watched: list[tuple[int, int]], likes: set[int], hides: set[int]
) -> None:
    recency = [(1 << 16) >> (len(watched) - 1 - at) for at in range(len(watched))]
    videos, values = measure.evidence(
        i4([video for video, _ in watched]), i8([strength for _, strength in watched]), i8(recency),
        i4(sorted(likes)), i4(sorted(hides)), 100, 700, 900,
    )  # fmt: skip
    left = {video: recency[at] for at, (video, _) in enumerate(watched)}
    oldest = recency[0] if recency else 1 << 16
    expected = [
        (video, (strength - 100) * recency[at] // 65536) for at, (video, strength) in enumerate(watched)
    ]
    expected += [(video, 700 * left.get(video, oldest) // 65536) for video in sorted(likes)]
    expected += [(video, -900) for video in sorted(hides)]
    assert list(zip(videos.tolist(), values.tolist(), strict=True)) == expected


@quick
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=VIDEOS, max_size=VIDEOS
    ),
    some,
)
def test_those_who_need_first_viewers_stand_by_views_then_age_then_id(
    about: list[tuple[int, int, int]], skip: set[int]
) -> None:
    bits, views, published = (list(column) for column in zip(*about, strict=True))
    rows = np.zeros(VIDEOS, dtype=FACTS)
    rows["id"] = range(VIDEOS)
    found = choose.first_viewers(
        i4(bits), 2, rows, i4(list(range(VIDEOS))), i8(views), i8(published), u8(sorted(skip))
    )
    wanted = [at for at in range(VIDEOS) if bits[at] & 2 and at not in skip]
    assert found.tolist() == sorted(wanted, key=lambda at: (views[at], -published[at], at))


def test_the_facts_of_a_video_fill_one_line_of_the_cache() -> None:
    assert FACTS.itemsize == 64


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
        trees.walk(nodes, values, ranker.root, depth, first, last, rows, 1, raw)
        questions = Forest(ranker).questions
        assert (questions is None) == (leaves > 32)
        if questions is not None:
            voted = np.zeros(2, dtype=np.int64)
            trees.vote(*questions, first, last, np.ascontiguousarray(rows.T), -3, voted)
            assert voted.tolist() == (-3 * raw).tolist()
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
