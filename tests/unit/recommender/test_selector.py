"""Slates spread over creators and sounds, explore by seeded draws, and promote only as the policy says."""

from collections import Counter
from itertools import pairwise
from typing import Any

from lightwell.recommender.pipeline import replay
from lightwell.recommender.record import Viewer
from tests.unit.recommender.worlds import (
    HOUR,
    IDS,
    POLICY,
    catalogue,
    fan,
    inputs,
    policy_with,
    ranked,
    shown,
    snapshot,
)


def test_a_slate_spreads_over_creators_and_sounds() -> None:
    plain = policy_with(diversity={"creator": 0, "sound": 0, "topic": 0, "creator_often": 0})
    facts = {fact.id: fact for fact in catalogue()}
    neighbours = []
    for policy in (plain, POLICY):
        result = ranked(fan("ink"), policy=policy)
        kinds = [facts[video] for video in shown(result)]
        neighbours.append(sum(a.creator == b.creator for a, b in pairwise(kinds)))
    assert neighbours[1] < neighbours[0]


def test_the_last_video_of_the_slate_before_counts_as_just_before() -> None:
    fact = catalogue()[0]
    result = ranked(Viewer(region="us", seen=[fact.id]), k=50)
    repeats = [
        reason
        for item, reasons in zip(result.slate.items, result.reasons, strict=True)
        for reason in reasons
        if reason.code == "same-topic" and reason.about == "folds"
    ]
    first = ranked(Viewer(region="us", seen=[fact.id], follows=[fact.creator]), k=1).reasons[0]
    assert repeats or any(reason.code == "same-creator" and reason.count == 1 for reason in first)


def test_new_videos_are_drawn_by_seed_with_the_propensity_logged() -> None:
    world = snapshot(600, 120)
    seeds = [f"{at:032x}" for at in range(400)]
    results = [ranked(fan("ink", 30, 600), world=world, seed=seed) for seed in seeds]
    at_five = Counter(shown(result)[4] for result in results if result.slate.items[4].source == "explore")
    share = sum(at_five.values()) / len(results)
    assert abs(share - 0.7) < 0.08
    for result in results:
        for item, chance, reasons in zip(
            result.slate.items, result.propensities, result.reasons, strict=True
        ):
            explored = item.source == "explore"
            assert explored == any(reason.code == "explored" and reason.points > 0 for reason in reasons)
            if explored:
                # Given the places above, which the seed does not change before the first draw.
                assert chance < 700_000
    first = {shown(result)[4]: result.propensities[4] for result in results}
    for video, count in at_five.items():
        assert abs(count / len(results) - first[video] / 1_000_000) < 0.1


def test_without_exploration_the_seed_changes_nothing() -> None:
    policy = policy_with(exploration={"share": 0})
    slates = {replay(snapshot(), policy, inputs(policy=policy, seed=f"{at:032x}")) for at in range(5)}
    assert len(slates) == 1


def test_videos_with_many_views_are_not_explored() -> None:
    policy = policy_with(exploration={"views": 0})
    for at in range(10):
        result = ranked(policy=policy, seed=f"{at:032x}")
        assert all(item.source != "explore" for item in result.slate.items)
        assert set(result.propensities) == {1_000_000}


def promotion(video: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "00000000000000aa", "video": video, "points": 9000, "start": HOUR, "end": HOUR + 1,
        "ceiling": 1_000_000, "reason": "Flood warning",
    } | changes  # fmt: skip


def test_a_promotion_acts_in_its_hours_and_is_named() -> None:
    last = ranked(k=50, policy=policy_with(exploration={"share": 0}))
    video = shown(last)[-1]
    policy = policy_with(promotions=[promotion(video)])
    result = ranked(policy=policy)
    assert shown(result)[0] == video
    assert next((r.code, r.points, r.about) for r in result.reasons[0]) == (
        "promotion",
        9000,
        "00000000000000aa",
    )
    for start, end in ((HOUR - 5, HOUR), (HOUR + 1, HOUR + 2)):
        over = policy_with(promotions=[promotion(video, start=start, end=end)])
        assert all(
            reason.code != "promotion" for reasons in ranked(policy=over).reasons for reason in reasons
        )


def test_a_promotion_acts_in_no_larger_share_of_slates_than_its_ceiling() -> None:
    policy = policy_with(promotions=[promotion(IDS[-1], ceiling=100_000)])
    acted = sum(
        any(
            reason.code == "promotion"
            for reasons in ranked(policy=policy, seed=f"{at:032x}").reasons
            for reason in reasons
        )
        for at in range(600)
    )
    assert 30 <= acted <= 90


def test_a_promotion_of_a_video_that_is_not_there_is_dropped_with_that_reason() -> None:
    policy = policy_with(promotions=[promotion("00000000000000ff")])
    assert ("00000000000000ff", "not-in-catalogue") in ranked(policy=policy).dropped
