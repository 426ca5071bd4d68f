"""Slates of a ranker are its trees' sums and the policy's points, and explained; bad trees are refused."""

import gc
import math
import weakref

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender import features
from lightwell.recommender.explain import explain
from lightwell.recommender.pipeline import candidates_of, features_of, rank, rows_of
from lightwell.recommender.ranker import ARRAYS, Ranker, RankerError
from lightwell.recommender.record import SlateInputs, Viewer
from lightwell.recommender.snapshot import Snapshot
from tests.unit.recommender.forests import drawn, ranked_world, updated_world
from tests.unit.recommender.test_pipeline import viewers
from tests.unit.recommender.worlds import IDS, POLICY, fan, inputs, policy_with, shown

WORLDS = {"ranked": ranked_world, "updated": updated_world}
PLAIN = policy_with(
    exploration={"share": 0}, holdback={"share": 0}, weights={"new": 0, "follow": 0},
    diversity={"creator": 0, "sound": 0, "topic": 0, "creator_often": 0},
)  # fmt: skip
quick = settings(max_examples=40, deadline=None)


def record_in(world: Snapshot, viewer: Viewer, **options: object) -> SlateInputs:
    return inputs(viewer, world=world, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WORLDS)
@quick
@given(viewers, st.integers(1, 50), st.integers(0, 2**128 - 1))
def test_contributions_of_a_ranked_slate_sum_to_its_scores(
    name: str, viewer: Viewer, k: int, seed: int
) -> None:
    world = WORLDS[name]()
    result = rank(world, POLICY, record_in(world, viewer, k=k, seed=f"{seed:032x}"))
    videos = shown(result)
    assert len(set(videos)) == len(videos) <= k
    assert not set(videos) & {*viewer.hidden, *viewer.seen[-POLICY.filters.again_after :]}
    for item, reasons in zip(result.slate.items, result.reasons, strict=True):
        assert sum(reason.points for reason in reasons) == item.score
        assert sum(reason.points for reason in explain(reasons)) == item.score
        assert all(reason.points for reason in reasons)


def test_a_score_is_the_mix_of_outcomes_by_the_policys_weights() -> None:
    world = ranked_world()
    record = record_in(world, fan("ink", 30), policy=PLAIN)
    result = rank(world, PLAIN, record)
    rows = result.measured.features
    forest = world.ranker
    assert forest is not None
    for item, pick in zip(result.slate.items, result.picks, strict=True):
        score = 0
        for number, outcome in enumerate(forest.outcomes):
            for tree in range(int(forest.tree_starts[number]), int(forest.tree_starts[number + 1])):
                at = int(forest.root[tree])
                while forest.feature[at] >= 0:
                    goes_left = rows[pick.at, forest.feature[at]] <= forest.threshold[at]
                    at = int(forest.left[at] if goes_left else forest.right[at])
                score += PLAIN.outcomes.signed(outcome) * int(forest.value[at])
        assert item.score == score
    scores = [item.score for item in result.slate.items]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", WORLDS)
def test_equal_scores_are_ordered_by_id_wherever_a_video_stands(name: str) -> None:
    world = WORLDS[name]()
    kept = ("exploration", "holdback", "weights", "diversity")
    muted = policy_with(
        **{name: msgspec.to_builtins(getattr(PLAIN, name)) for name in kept},
        outcomes=dict.fromkeys(("relevance", "long", "skip", "hide"), 0),
        limits={"newest": 60},
    )
    result = rank(world, muted, record_in(world, fan("ink", 30), policy=muted, k=20))
    assert {item.score for item in result.slate.items} == {0}
    assert shown(result) == sorted(set(IDS) - set(fan("ink", 30).seen))[:20]


def log(value: int) -> int:
    """The quantised logarithm as its definition says."""
    if value <= 0:
        return 0
    whole = int(math.log2(value)) if value < 2**40 else value.bit_length() - 1
    return 8 * whole + (value * 8 // 2**whole) % 8


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=15, deadline=None)
@given(viewers)
def test_features_are_what_their_definitions_say(name: str, viewer: Viewer) -> None:
    world = WORLDS[name]()
    record = record_in(world, viewer)
    positions = np.arange(world.size, dtype=np.int32)
    rows = rows_of(world, POLICY, record, positions, tab=7)
    long = {video for video, strength in viewer.watched if strength >= POLICY.taste.finish} | set(
        viewer.likes
    )
    latest = list(dict.fromkeys(video for video, _ in reversed(viewer.watched)))[::-1]
    watched = [(at, video) for video in latest for at in world.find([video]).tolist() if at >= 0]
    is_long = [
        video in long and (video in viewer.likes or video not in viewer.hidden) for _, video in watched
    ]
    for at in range(world.size):
        row = dict(zip([feature.name for feature in features.FEATURES], rows[at].tolist(), strict=True))
        alike = [world.topic[other] == world.topic[at] for other, _ in watched]
        on_topic = [good for good, same in zip(is_long, alike, strict=True) if same]
        assert row["topic_rate"] == (256 * sum(on_topic) + 320) // (len(on_topic) + 4)
        assert row["topic_share"] == (256 * sum(on_topic) + 64) // (sum(is_long) + 4)
        assert row["topic_recent"] == sum(alike[-10:])
        by = [good for good, (other, _) in zip(is_long, watched, strict=True)
              if world.creator[other] == world.creator[at]]  # fmt: skip
        assert (row["creator_long"], row["creator_other"]) == (min(sum(by), 15), min(len(by) - sum(by), 15))
        with_sound = [good for good, (other, _) in zip(is_long, watched, strict=True)
                      if world.sound[at] >= 0 and world.sound[other] == world.sound[at]]  # fmt: skip
        assert row["sound_long"] == min(sum(with_sound), 15)
        assert row["views"] == log(int(world.views[at]))
        assert row["longs_6h"] == log(int(world.longs_6h[at]))
        assert row["trend"] == log(int(world.trend[at]))
        assert row["age"] == log(max(record.request.hour - int(world.published[at]) // 3600, 0))
        assert row["viewer_share"] == (256 * sum(is_long) + 240) // (len(is_long) + 3)
        assert (row["tab"], row["rank"], row["hour"]) == (7, 255, record.request.hour % 24)


def test_training_sees_the_very_features_that_ranking_sees() -> None:
    world = updated_world()
    record = record_in(world, fan("moss", 25), policy=PLAIN)
    positions, rows = candidates_of(world, PLAIN, record)
    result = rank(world, PLAIN, record)
    assert positions.tolist() == result.measured.candidates.videos.tolist()
    assert np.array_equal(rows, result.measured.features)
    ids, names, best = features_of(world, PLAIN, record, 5)
    assert ids == shown(result)[:5]
    assert len(names) == best.shape[1] == len(features.FEATURES)


def test_added_videos_are_found_by_creator_and_scored_like_others() -> None:
    world = updated_world()
    added = {world.name(at) for at in range(world.base_size, world.size)}
    assert len(added) == 15
    creators = {world.creators[world.creator[at]] for at in range(world.base_size, world.size)}
    viewer = Viewer(region="us", follows=sorted(creators))
    result = rank(world, POLICY, record_in(world, viewer, tab="following", k=50))
    assert added <= set(shown(result))


def broken(**changes: list[int]) -> Ranker:
    whole = drawn(("long",), 2, 4, 1)
    arrays = {name: getattr(whole, name) for name in ARRAYS} | {
        name: np.array(values) for name, values in changes.items()
    }
    return Ranker.of(("long",), arrays, 31)


def with_(name: str, at: int, value: int) -> dict[str, list[int]]:
    values = getattr(drawn(("long",), 2, 4, 1), name).tolist()
    values[at] = value
    return {name: values}


@pytest.mark.parametrize(
    "changes",
    [
        with_("feature", 0, 31), with_("feature", 0, -2), with_("left", 0, 0), with_("left", 0, 13),
        with_("right", 0, -1), with_("left", 7, 1), with_("root", 1, 0), with_("root", 0, 1),
        with_("root", 1, 99), with_("tree_starts", 1, 1), with_("tree_starts", 0, 1),
        with_("value", 3, 1 << 25), with_("value", 3, 1 << 40), {"value": [0]}, {"left": []},
    ],
)  # fmt: skip
def test_arrays_that_are_not_a_forest_are_refused(changes: dict[str, list[int]]) -> None:
    with pytest.raises(RankerError):
        broken(**changes)


def test_unknown_or_repeated_outcomes_are_refused() -> None:
    whole = drawn(("long", "like"), 2, 4, 1)
    arrays = {name: getattr(whole, name) for name in ARRAYS}
    for outcomes in (("long", "long"), ("long", "money"), ("long",)):
        with pytest.raises(RankerError):
            Ranker.of(outcomes, arrays, 31)


def test_a_snapshot_is_freed_when_nobody_holds_it() -> None:
    world = Snapshot.from_bytes(ranked_world().to_bytes())
    rank(world, POLICY, record_in(world, Viewer(region="us", seen=IDS[:3])))
    gone = weakref.ref(world)
    del world
    gc.collect()
    assert gone() is None
