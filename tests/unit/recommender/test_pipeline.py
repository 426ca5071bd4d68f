"""A slate is a function of its record, sums to its reasons, repeats nothing and is never an error."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender.explain import explain
from lightwell.recommender.pipeline import rank, replay
from lightwell.recommender.policy import dump, parse
from lightwell.recommender.record import (
    RecordError,
    SlateInputs,
    Viewer,
    inputs_bytes,
    read_inputs,
    slate_bytes,
)
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, build_snapshot
from tests.unit.recommender.worlds import (
    CREATORS,
    HOUR,
    IDS,
    POLICY,
    catalogue,
    fan,
    inputs,
    policy_with,
    ranked,
    shown,
    shuffled,
    snapshot,
    topic_of,
)

ids = st.sampled_from(IDS) | st.from_regex(r"\A[0-9a-f]{16}\Z")
viewers = st.builds(
    Viewer,
    region=st.just("us"),
    watched=st.lists(st.tuples(ids, st.integers(0, 255)), max_size=60),
    seen=st.lists(ids, max_size=100),
    follows=st.lists(st.sampled_from(CREATORS) | st.just("sg:nobody"), max_size=6),
    likes=st.lists(ids, max_size=10),
    hidden=st.lists(ids, max_size=10),
    own=st.none() | st.sampled_from(CREATORS),
)
records = st.builds(
    inputs,
    viewers,
    tab=st.sampled_from(["for_you", "for_you", "following", "newest"]),
    k=st.integers(1, 50),
    seed=st.from_regex(r"\A[0-9a-f]{32}\Z"),
    withdrawn=st.lists(ids, max_size=5),
)
quick = settings(max_examples=60, deadline=None)


# --- what holds for every record ---


@quick
@given(records)
def test_contributions_sum_to_the_score(record: SlateInputs) -> None:
    result = rank(snapshot(), POLICY, record)
    for item, reasons in zip(result.slate.items, result.reasons, strict=True):
        assert sum(reason.points for reason in reasons) == item.score
        assert all(reason.points for reason in reasons)
        assert sum(reason.points for reason in explain(reasons)) == item.score


@quick
@given(records)
def test_no_slate_repeats_or_shows_what_it_may_not(record: SlateInputs) -> None:
    result = rank(snapshot(), POLICY, record)
    videos = shown(result)
    viewer = record.viewer
    assert len(set(videos)) == len(videos) <= record.request.k
    assert set(videos) <= set(IDS)
    assert not set(videos) & {*viewer.hidden, *record.withdrawn}
    assert not set(videos) & set(viewer.seen[-POLICY.filters.again_after :])
    assert len(result.propensities) == len(videos)
    assert all(0 < chance <= 1_000_000 for chance in result.propensities)


@quick
@given(records)
def test_every_video_considered_is_shown_or_dropped_with_a_reason(record: SlateInputs) -> None:
    wide = policy_with(limits={"newest": 100})
    result = rank(snapshot(), wide, msgspec.structs.replace(record, policy=wide.digest))
    dropped = [video for video, _ in result.dropped]
    assert not set(dropped) & set(shown(result))
    assert len(set(dropped)) == len(dropped)
    if record.request.tab == "for_you":
        assert {*dropped, *shown(result)} == set(IDS)


@quick
@given(records)
def test_replay_from_bytes_is_identical(record: SlateInputs) -> None:
    first = slate_bytes(rank(snapshot(), POLICY, record).slate)
    again = replay(
        Snapshot.from_bytes(snapshot().to_bytes()), parse(dump(POLICY)), read_inputs(inputs_bytes(record))
    )
    assert first == again


@quick
@given(records, st.integers(0, 2**32))
def test_order_without_meaning_changes_nothing(record: SlateInputs, seed: int) -> None:
    viewer = record.viewer
    other = msgspec.structs.replace(
        record,
        withdrawn=shuffled(record.withdrawn, seed),
        viewer=msgspec.structs.replace(
            viewer,
            follows=shuffled(viewer.follows, seed),
            likes=shuffled(viewer.likes, seed),
            hidden=shuffled(viewer.hidden, seed),
        ),
    )
    assert replay(snapshot(), POLICY, record) == replay(snapshot(), POLICY, other)


@settings(max_examples=5, deadline=None)
@given(st.lists(records, min_size=8, max_size=20))
def test_batched_and_threaded_slates_equal_single_ones(batch: list[SlateInputs]) -> None:
    single = [replay(Snapshot.from_bytes(snapshot().to_bytes()), parse(b"{}"), record) for record in batch]
    assert [replay(snapshot(), POLICY, record) for record in reversed(batch)][::-1] == single
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda record: replay(snapshot(), POLICY, record), batch)) == single


# --- edges ---


def test_a_viewer_without_history_gets_a_full_and_varied_slate() -> None:
    result = ranked()
    assert len(result.slate.items) == 10
    assert len({topic_of()[video] for video in shown(result)}) >= 4


def test_a_viewer_who_has_seen_everything_gets_the_oldest_again_where_the_policy_says() -> None:
    order = shuffled(IDS, 1)
    result = ranked(Viewer(region="us", seen=order))
    assert len(result.slate.items) == 10
    assert set(shown(result)) <= set(order[: len(order) - POLICY.filters.again_after])
    assert all(any(reason.code == "seen-before" for reason in reasons) for reasons in result.reasons)


def test_a_viewer_who_has_seen_everything_gets_a_shorter_slate_where_the_policy_says() -> None:
    never = policy_with(filters={"again_after": 0})
    assert ranked(Viewer(region="us", seen=IDS), policy=never).slate.items == []
    assert len(ranked(Viewer(region="us", seen=IDS[3:]), policy=never).slate.items) == 3


def test_what_was_not_seen_comes_before_what_was() -> None:
    order = shuffled(IDS, 1)
    unseen = set(order[:4])
    result = ranked(Viewer(region="us", seen=order[4:]))
    assert set(shown(result)[:4]) == unseen
    assert len(shown(result)) == 10


def test_an_empty_catalogue_gives_an_empty_slate() -> None:
    empty = build_snapshot([], [], TrainSettings(), HOUR)
    for tab in ("for_you", "following", "newest"):
        assert ranked(fan("ink"), world=empty, tab=tab).slate.items == []


@pytest.mark.parametrize("list_of", ["blocked", "muted"])
def test_videos_of_blocked_and_muted_creators_are_dropped_everywhere(list_of: str) -> None:
    shunned = CREATORS[:3]
    theirs = {fact.id for fact in catalogue() if fact.creator in shunned}
    viewer = Viewer(region="us", follows=CREATORS[:4], **{list_of: shunned})
    for tab in ("for_you", "following", "newest"):
        result = ranked(viewer, k=50, tab=tab)
        assert not theirs & set(shown(result))
        assert len(result.slate.items) >= len([f for f in catalogue() if f.creator == CREATORS[3]])
        assert {reason for video, reason in result.dropped if video in theirs} == {list_of}


def test_a_viewer_who_blocks_the_newest_creators_still_gets_a_full_slate() -> None:
    by_time = sorted(catalogue(), key=lambda fact: (-fact.hour, -fact.second))
    shunned = sorted({fact.creator for fact in by_time[:30]})[:-1]
    left = [fact for fact in catalogue() if fact.creator not in shunned]
    narrow = policy_with(limits=dict.fromkeys(("newest", "rising", "fresh", "co_watch", "content"), 0))
    result = ranked(Viewer(region="us", muted=shunned), policy=narrow, k=10)
    assert len(result.slate.items) == min(10, len(left)) > 0


def test_a_feed_without_profiling_refuses_any_data_of_its_viewer() -> None:
    assert len(ranked(tab="without_profiling").slate.items) == 10
    for viewer in (
        Viewer(region="us", seen=IDS[:1]),
        Viewer(region="us", own=CREATORS[0]),
        Viewer(region="us", muted=CREATORS[:1]),
        Viewer(region="us", watched=[(IDS[0], 9)]),
    ):
        with pytest.raises(RecordError, match="without any data"):
            ranked(viewer, tab="without_profiling")


def test_a_feed_without_profiling_differs_by_lot_and_says_so() -> None:
    slates = [ranked(tab="without_profiling", seed=f"{at:032x}") for at in range(20)]
    assert len({tuple(shown(slate)) for slate in slates}) > 10
    assert len({video for slate in slates for video in shown(slate)}) > 25
    codes = {part.code for slate in slates for reasons in slate.reasons for part in reasons}
    assert "lot" in codes
    assert codes <= {"lot", "rising", "finished-often", "finished-rarely", "new", "explored", "promotion",
                     "same-creator", "same-sound", "same-topic", "creator-often"}  # fmt: skip


def test_a_request_held_back_is_ranked_without_the_viewer_and_named_so() -> None:
    everyone = policy_with(holdback={"share": 1_000_000}, exploration={"share": 0})
    nobody = policy_with(holdback={"share": 0}, exploration={"share": 0})
    topics = topic_of()
    held = ranked(fan("ink", 20), policy=everyone)
    assert {item.source for item in held.slate.items} == {"holdback"}
    assert not set(shown(held)) & set(fan("ink", 20).seen)
    stranger = msgspec.structs.replace(
        fan("ink", 20), watched=[(video, 255) for video in fan("ink", 20).seen]
    )
    assert shown(ranked(stranger, policy=everyone)) == shown(held)
    personal = ranked(fan("ink", 20), policy=nobody)
    count = [sum(topics[video] == "ink" for video in shown(result)) for result in (held, personal)]
    assert count[0] < count[1]


def test_the_share_of_requests_held_back_is_the_policys() -> None:
    some = policy_with(holdback={"share": 250_000})
    held = sum(ranked(fan("ink"), policy=some, seed=f"{at:032x}").context.held_back for at in range(400))
    assert 70 <= held <= 130
    for tab in ("newest", "following"):
        assert not ranked(
            fan("ink"), policy=policy_with(holdback={"share": 1_000_000}), tab=tab
        ).context.held_back


def test_new_videos_akin_to_what_is_liked_are_found_before_anyone_has_seen_them() -> None:
    facts = [msgspec.structs.replace(fact, id=f"{at:016x}") for at, fact in enumerate(catalogue(600)[:60])]
    unseen = [
        msgspec.structs.replace(facts[at % 6], id=f"{1_000 + at:016x}", hour=HOUR - 1 - at)
        for at in range(300)
    ]
    world = build_snapshot([*facts, *unseen], [], TrainSettings(), HOUR)
    viewer = Viewer(region="us", watched=[(facts[2].id, 255), (facts[2 + 6].id, 255)])
    policy = policy_with(limits={"content": 10, "creators": 0, "tags": 0, "sounds": 0, "newest": 0})
    result = ranked(viewer, world=world, policy=policy, k=1)
    found = result.measured.candidates
    names = [source.name for source in result.stages.sources]
    by_content = found.videos[(found.found_by >> names.index("content") & 1) == 1]
    topics = {world.topics[topic] for topic in world.topic[by_content]}
    assert by_content.size == 10
    assert topics == {facts[2].tags[0]}


def test_own_videos_are_not_for_you_but_stay_in_newest() -> None:
    own = {fact.id for fact in catalogue() if fact.creator == CREATORS[0]}
    viewer = Viewer(region="us", own=CREATORS[0])
    assert not own & set(shown(ranked(viewer, k=50)))
    assert own & set(shown(ranked(viewer, k=50, tab="newest")))


def test_withdrawn_videos_are_dropped_at_once() -> None:
    video = shown(ranked())[0]
    result = ranked(withdrawn=[video])
    assert video not in shown(result)
    assert (video, "withdrawn") in result.dropped


def test_newest_tab_is_newest_first() -> None:
    published = {fact.id: fact.hour * 3600 + fact.second for fact in catalogue()}
    times = [published[video] for video in shown(ranked(fan("ink"), tab="newest", k=40))]
    assert times == sorted(times, reverse=True)
    assert len(times) == 40


def test_following_tab_holds_followed_creators_only_newest_first() -> None:
    facts = {fact.id: fact for fact in catalogue()}
    result = ranked(Viewer(region="us", follows=CREATORS[:2]), tab="following", k=50)
    assert {facts[video].creator for video in shown(result)} == set(CREATORS[:2])
    times = [facts[video].hour * 3600 + facts[video].second for video in shown(result)]
    assert times == sorted(times, reverse=True)
    assert ranked(tab="following").slate.items == []


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot": "0" * 64},
        {"policy": "0" * 64},
        {"request": msgspec.structs.replace(inputs().request, tab="all")},
        {"request": msgspec.structs.replace(inputs().request, k=0)},
        {"viewer": Viewer(region="us", seen=["not an id"])},
        {"viewer": Viewer(region="us", seen=["00112233445566AA"])},
        {"viewer": Viewer(region="us", watched=[(IDS[0], 256)])},
        {"viewer": Viewer(region="us", watched=[(IDS[0], 9)] * 201)},
        {"viewer": Viewer(region="us", likes=[IDS[0]] * 101)},
        {"withdrawn": [IDS[0]] * 10_001},
    ],
)
def test_a_record_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        rank(snapshot(), POLICY, msgspec.structs.replace(inputs(), **changes))


def test_importing_the_recommender_loads_neither_database_nor_training() -> None:
    code = (
        "import sys, lightwell.recommender.pipeline\n"
        "print('sqlalchemy' in sys.modules, 'lightgbm' in sys.modules, 'polars' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False", "False"]
