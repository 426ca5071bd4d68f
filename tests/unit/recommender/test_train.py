"""Training gives the same bytes from the same facts in any order, and a snapshot that is whole or refused."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender.snapshot import MAGIC, Snapshot, SnapshotError
from lightwell.recommender.train import (
    TrainError,
    TrainSettings,
    VideoFact,
    WatchFact,
    build_snapshot,
    code_digest,
    manifest,
)
from tests.unit.recommender.worlds import HOUR, catalogue, shuffled, snapshot, topic_of, watches

SETTINGS = TrainSettings()


def train(videos: Sequence[VideoFact], events: Sequence[WatchFact] = ()) -> Snapshot:
    return build_snapshot(videos, events, SETTINGS, HOUR)


def video(number: int, **changes: object) -> VideoFact:
    facts = {"id": f"{number:016x}", "creator": "us:a", "hour": HOUR - 5} | changes
    return VideoFact(**facts)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_facts_changes_nothing(seed: int) -> None:
    other = train(shuffled(list(catalogue()), seed), shuffled(list(watches()), seed + 1))
    assert other.to_bytes() == snapshot().to_bytes()


def test_the_same_facts_give_the_bytes_they_always_gave() -> None:
    known = [video(1, tags=["x"], sound=f"{7:016x}"), video(2, creator="us:b", tags=["y"])]
    events = [WatchFact("p", known[0].id, 255, HOUR), WatchFact("p", known[1].id, 60, HOUR - 30)]
    assert train(known, events).digest == EXPECTED_DIGEST


def test_manifest_names_events_settings_and_code() -> None:
    events = list(watches())
    made = manifest(snapshot(), events, SETTINGS, code_digest({"train.py": b"x"}))
    assert made.snapshot == snapshot().digest
    assert made.videos == 60
    assert made == manifest(snapshot(), shuffled(events, 3), SETTINGS, code_digest({"train.py": b"x"}))
    changed = manifest(snapshot(), events[1:], TrainSettings(shrink=1), code_digest({"train.py": b"y"}))
    assert not {made.events, made.settings, made.code} & {changed.events, changed.settings, changed.code}


def test_an_empty_catalogue_is_a_snapshot() -> None:
    empty = train([])
    assert empty.size == 0
    assert empty.find(["0" * 16]).tolist() == [-1]


def test_watches_of_unknown_videos_and_of_the_future_are_left_out() -> None:
    known = [video(1)]
    odd = [WatchFact("p", f"{9:016x}", 255, HOUR), WatchFact("p", known[0].id, 255, HOUR + 1)]
    assert train(known, odd).digest == train(known).digest


def test_one_viewer_counts_once_an_hour() -> None:
    flood = [WatchFact("p", video(1).id, strength, HOUR) for strength in (255, 3, 255, 200)]
    built = train([video(1)], flood)
    assert (built.views.tolist(), built.longs.tolist()) == ([1], [1])


def test_a_strength_out_of_range_is_refused() -> None:
    with pytest.raises(TrainError):
        train([video(1)], [WatchFact("p", video(1).id, 256, HOUR)])


def test_two_videos_of_one_id_are_refused() -> None:
    with pytest.raises(TrainError):
        train([video(1), video(1)])


def test_long_watches_lose_half_their_weight_in_each_window() -> None:
    built = train([video(1, hour=HOUR - 30)], [WatchFact("p", video(1).id, 255, HOUR - 24)])
    assert built.longs_6h.tolist() == [256 // 16]
    assert built.longs_24h.tolist() == [256 // 2]


def test_a_steady_video_does_not_rise_and_a_new_hit_does() -> None:
    steady = [WatchFact(f"p{hour}", video(1).id, 255, HOUR - hour) for hour in range(0, 1400, 2)]
    sudden = [WatchFact(f"p{hour}", video(2).id, 255, HOUR - hour % 10) for hour in range(60)]
    built = train([video(1), video(2)], [*steady, *sudden])
    assert built.rise[0] == 0
    assert built.rise[1] > 120
    assert built.rising.tolist() == [1, 0]


def test_neighbours_share_viewers_who_finish_both() -> None:
    built = snapshot()
    topics = topic_of()
    for place in range(built.size):
        near = built.near[built.near_starts[place] : built.near_starts[place + 1]].tolist()
        assert place not in near
        assert all(topics[built.name(other)] == topics[built.name(place)] for other in near[:3])


def test_edge_weights_are_the_shrunken_cosine() -> None:
    # Two viewers finish both (weight 4), one finishes the first only: 127 * 32 // (isqrt(48 * 32) + 40).
    events = [
        WatchFact(person, video(number).id, 255, HOUR)
        for person, number in (("p", 1), ("p", 2), ("q", 1), ("q", 2), ("r", 1))
    ]
    assert train([video(1), video(2)], events).near_weight.tolist() == [127 * 32 // (39 + 40)] * 2


def test_lists_of_creators_sounds_and_tags_are_newest_first() -> None:
    built = snapshot()
    for starts, members in (
        (built.by_creator_starts, built.by_creator),
        (built.by_sound_starts, built.by_sound),
        (built.by_tag_starts, built.by_tag),
    ):
        for low, high in pairwise(starts):
            times = built.published[members[low:high]]
            assert bool((times[:-1] >= times[1:]).all())


def test_seconds_order_the_videos_of_one_hour() -> None:
    built = train([video(1, second=5), video(2, second=9), video(3, second=7)])
    assert built.newest.tolist() == [1, 2, 0]


def test_a_tag_on_every_video_says_nothing() -> None:
    rarity = dict(zip(snapshot().tags, snapshot().tag_rarity.tolist(), strict=True))
    assert rarity["generative"] == 0
    assert rarity["ink"] > 200


def test_a_snapshot_comes_back_from_its_bytes() -> None:
    data = snapshot().to_bytes()
    again = Snapshot.from_bytes(data, expect=snapshot().digest)
    assert again.to_bytes() == data
    assert again.find([fact.id for fact in sorted(catalogue(), key=lambda fact: fact.id)]).tolist() == list(
        range(60)
    )
    with pytest.raises(ValueError, match="read-only"):
        again.views[0] = 1


def test_an_altered_snapshot_is_refused_by_digest() -> None:
    data = bytearray(snapshot().to_bytes())
    data[-100] ^= 1
    with pytest.raises(SnapshotError, match="digest"):
        Snapshot.from_bytes(bytes(data), expect=snapshot().digest)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_snapshot_is_refused_or_whole_but_never_a_crash(data: st.DataObject) -> None:
    good = snapshot().to_bytes()
    if data.draw(st.booleans()):
        bad = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        edited = bytearray(good)
        for _ in range(data.draw(st.integers(1, 8))):
            edited[data.draw(st.integers(0, 1500) | st.integers(8192, len(good) - 1))] = data.draw(
                st.integers(0, 255)
            )
        bad = bytes(edited)
    try:
        read = Snapshot.from_bytes(bad)
    except SnapshotError:
        return
    assert read.size == len(read.views)


@pytest.mark.parametrize(
    "data", [b"", b"hello", MAGIC, MAGIC + b"\xff" * 8, MAGIC + b"\2" + b"\0" * 7 + b"{}"]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Snapshot.from_bytes(data)


def test_malformed_ids_are_refused_by_find() -> None:
    for bad in (["zz" * 8], ["00"], ["0" * 15 + " "]):
        with pytest.raises(ValueError, match=r"hex|ids"):
            snapshot().find(bad)


def test_a_viewer_with_very_many_watches_cannot_fill_the_graph() -> None:
    many = [video(number) for number in range(400)]
    built = train(many, [WatchFact("p", fact.id, 255, HOUR) for fact in many])
    assert built.near.size <= 200 * 200
    assert built.near_weight.dtype == np.int8


EXPECTED_DIGEST = "1e8a9fa2197cf47f3a17bcbb5f8393286d8e50612b556c1465966b3a4d04fcdb"
