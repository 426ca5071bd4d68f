"""Feeds follow what a viewer watches, follows and hides, and say so truly."""

from collections import Counter

import msgspec

from lightwell.recommender.explain import explain
from lightwell.recommender.record import Viewer
from tests.unit.recommender.worlds import (
    TOPICS,
    catalogue,
    fan,
    ranked,
    shown,
    snapshot,
    topic_of,
)


def test_two_people_of_distinct_tastes_get_different_feeds_after_fifteen_events() -> None:
    topics = topic_of()
    for one, other in zip(TOPICS, (*TOPICS[1:], TOPICS[0]), strict=True):
        for seed in range(6):
            feeds = [shown(ranked(fan(taste, 15, seed=seed))) for taste in (one, other)]
            for taste, feed in zip((one, other), feeds, strict=True):
                counts = Counter(topics[video] for video in feed)
                assert counts.most_common(1)[0][0] == taste
                assert counts[taste] >= 4
            assert len(set(feeds[0]) & set(feeds[1])) <= 5


def test_the_next_slate_reflects_the_watch_just_made() -> None:
    before = fan("ink", 10)
    after = shown(ranked(before))
    video = next(video for video in after if topic_of()[video] != "ink")
    taste = topic_of()[video]
    moved = msgspec.structs.replace(
        before, watched=[*before.watched, (video, 255)], seen=[*before.seen, video]
    )
    points = [
        {
            reason.about: reason.points
            for item in ranked(viewer, k=40).reasons
            for reason in item
            if reason.code == "tag-liked"
        }.get(taste, 0)
        for viewer in (before, moved)
    ]
    assert points[1] > points[0]


def test_a_taste_that_shifts_is_followed() -> None:
    topics = topic_of(600)
    old, new = fan("ink", 40, 600, 1), fan("moss", 40, 600, 2)
    shifted = Viewer(
        region="us", watched=[*old.watched, *new.watched], seen=list(dict.fromkeys([*old.seen, *new.seen]))
    )
    counts = Counter(topics[video] for video in shown(ranked(shifted, world=snapshot(600, 120))))
    assert counts["moss"] > counts["ink"]


def test_followed_creators_come_first_when_nothing_else_is_known() -> None:
    result = ranked(Viewer(region="us", follows=["us:moss.1"]))
    assert result.slate.items[0].source == "follow"
    assert [reason.about for reason in result.reasons[0] if reason.code == "follow"] == ["us:moss.1"]


def test_a_hidden_video_counts_against_its_creator_and_is_gone() -> None:
    fact = catalogue()[0]
    plain = {item.video: item.score for item in ranked(k=50).slate.items if item.source != "explore"}
    result = ranked(Viewer(region="us", hidden=[fact.id]), k=50)
    assert fact.id not in shown(result)
    assert (fact.id, "hidden") in result.dropped
    others = [other.id for other in catalogue() if other.creator == fact.creator and other.id in plain]
    for item, reasons in zip(result.slate.items, result.reasons, strict=True):
        if item.video in others:
            assert any(reason.code == "creator-skipped" and reason.points < 0 for reason in reasons)


def test_counts_in_words_are_the_true_counts() -> None:
    creator = "us:ink.0"
    made = [fact.id for fact in catalogue() if fact.creator == creator]
    viewer = Viewer(
        region="us", watched=[(made[0], 255), (made[1], 200), (made[2], 100)], seen=made[:3], likes=[made[0]]
    )
    texts = [
        reason.text
        for item, parts in zip(ranked(viewer).slate.items, ranked(viewer).reasons, strict=True)
        if item.video in made
        for reason in explain(parts)
    ]
    assert "You watched 2 of @ink.0 to the end and liked 1" in texts
