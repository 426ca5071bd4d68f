"""A base with an update is the state as of now: exact, whole or refused, and the base stays as it was."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender import live
from lightwell.recommender.counters import COUNTERS, Counters
from lightwell.recommender.happened import Events, counted
from lightwell.recommender.snapshot import LAYOUT, WORDS, Snapshot, SnapshotError
from lightwell.recommender.train import (
    TrainSettings,
    VideoFact,
    WatchFact,
    build_snapshot,
    columns,
    known,
)
from tests.unit.recommender.worlds import HOUR, catalogue, shuffled, watches

SETTINGS = TrainSettings()
LATER = HOUR + 5
FACTS = shuffled(list(catalogue()), 77)
OLD, NEW = FACTS[:45], sorted(FACTS[45:], key=lambda fact: (fact.published, fact.id))
EVENTS = watches()
BASE = build_snapshot(OLD, [event for event in EVENTS if event.hour < HOUR - 12], SETTINGS, HOUR)


def counters_of(base: Snapshot, added: Sequence[VideoFact], events: Events, minute: int) -> Counters:
    ids = np.concatenate((base.ids, np.array([int(fact.id, 16) for fact in added], dtype=np.uint64)))
    order = ids.argsort()
    events, at = known(events, ids[order], minute)
    counters = Counters(ids.size, minute)
    for name, chosen in counted(events, SETTINGS.finish).items():
        counters.add(name, order[at[chosen]], events["minute"][chosen].astype(np.int64))
    return counters


def update(added: Sequence[VideoFact] = NEW, events: Sequence[WatchFact] = EVENTS) -> bytes:
    found = counters_of(BASE, added, columns(events), LATER * 60).at(LATER * 60)
    return live.encode_update(BASE, LATER * 60, added, found)


UPDATE = update()
NOW = live.apply(BASE, UPDATE)
WHOLE = build_snapshot(FACTS, EVENTS, SETTINGS, LATER)


def places(ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    return NOW.find(ids), WHOLE.find(ids)


def test_a_base_with_an_update_has_the_counters_of_a_base_built_now() -> None:
    here, there = places([fact.id for fact in FACTS])
    assert sorted(here.tolist()) == list(range(60))
    for name in (*COUNTERS, "trend", "rise", "finish", "published", "duration"):
        ours, theirs = getattr(NOW, name)[here].astype(int), getattr(WHOLE, name)[there].astype(int)
        # What never moved since the base is rounded once more; all else is exact.
        assert np.abs(ours - theirs).max() <= 2, name
    assert NOW.views.sum() == WHOLE.views.sum() > 1000


def test_words_and_tags_of_added_videos_are_those_of_a_base_built_now() -> None:
    for fact in FACTS:
        for built in (NOW, WHOLE):
            (at,) = built.find([fact.id]).tolist()
            tags = built.tag[built.tag_starts[at] : built.tag_starts[at + 1]]
            assert {built.tags[tag] for tag in tags} == set(fact.tags)
            assert built.creators[built.creator[at]] == fact.creator
            assert built.creator_number(fact.creator) == built.creator[at]
            assert built.name(at) == fact.id
            assert (built.sounds[built.sound[at]] if built.sound[at] >= 0 else None) == fact.sound


def test_orders_are_those_of_a_base_built_now() -> None:
    assert [NOW.name(at) for at in NOW.newest] == [WHOLE.name(at) for at in WHOLE.newest]
    assert {NOW.name(at) for at in NOW.rising} == {WHOLE.name(at) for at in WHOLE.rising}


def test_the_base_stays_as_it_was() -> None:
    assert Snapshot.from_bytes(BASE.to_bytes(), expect=BASE.digest).size == BASE.size == 45
    assert NOW.base == BASE.digest
    assert NOW.digest != BASE.digest
    assert NOW.base_size == 45
    with pytest.raises(ValueError, match="read-only"):
        NOW.views[0] = 1


def test_every_table_has_a_row_for_what_was_added() -> None:
    assert NOW.near_starts.size == NOW.size + 1
    assert NOW.near_starts[-1] == NOW.near.size
    for kind in ("creator", "sound", "tag"):
        assert getattr(NOW, f"by_{kind}_starts").size == len(getattr(NOW, f"{kind}s")) + 1
    assert NOW.tag_rarity.size == len(NOW.tags)


def test_every_array_keeps_its_type_and_lies_in_one_piece() -> None:
    for name, kind in LAYOUT.items():
        if not hasattr(NOW, name) or name in WORDS:
            continue
        array = getattr(NOW, name)
        assert array.dtype == np.dtype(kind), name
        assert array.flags.c_contiguous
        assert not array.flags.writeable


def test_an_update_without_news_only_lets_time_pass() -> None:
    quiet = live.apply(BASE, live.encode_update(BASE, LATER * 60, [], _of(BASE)))
    assert np.array_equal(quiet.views, BASE.views)
    assert (quiet.longs_1h.astype(float) <= BASE.longs_1h / 16).all()
    assert len(quiet.to_bytes()) < 500


def _of(base: Snapshot) -> dict[str, np.ndarray]:
    return {name: getattr(base, name) for name in COUNTERS}


def test_an_update_for_another_base_is_refused() -> None:
    other = build_snapshot(OLD, [], SETTINGS, HOUR)
    with pytest.raises(SnapshotError, match="base"):
        live.apply(other, UPDATE)
    with pytest.raises(SnapshotError, match="room"):
        live.apply(NOW, UPDATE.replace(BASE.digest.encode(), NOW.digest.encode()))


def test_an_altered_update_is_refused_by_digest() -> None:
    with pytest.raises(SnapshotError, match="digest"):
        live.apply(BASE, UPDATE[:-1], expect=NOW.digest)


def test_more_videos_than_the_base_has_room_for_are_refused() -> None:
    many = [
        VideoFact(id=f"{number:016x}", creator="us:a", hour=HOUR) for number in range(BASE.facts.room + 1)
    ]
    with pytest.raises(live.FullError):
        live.encode_update(BASE, LATER * 60, many, _of(BASE))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_update_is_refused_or_whole_but_never_a_crash(data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        bad = UPDATE[: data.draw(st.integers(0, len(UPDATE) - 1))]
    else:
        edited = bytearray(UPDATE)
        for _ in range(data.draw(st.integers(1, 6))):
            edited[data.draw(st.integers(0, len(UPDATE) - 1))] = data.draw(st.integers(0, 255))
        bad = bytes(edited)
    _read(bad)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_update_with_wrong_numbers_is_refused_or_whole_but_never_a_crash(data: st.DataObject) -> None:
    import zlib

    head = len(live.MAGIC) + 4
    size = int.from_bytes(UPDATE[head - 4 : head], "little")
    body = bytearray(zlib.decompress(UPDATE[head + size :]))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _read(UPDATE[: head + size] + zlib.compress(bytes(body)))


def _read(data: bytes) -> None:
    try:
        read = live.apply(BASE, data)
    except SnapshotError:
        return
    assert read.size == read.views.size
    assert sorted(read.newest.tolist()) == list(range(read.size))
    assert read.creator.max() < len(read.creators)


def test_bytes_that_unpack_to_more_than_they_announce_are_refused() -> None:
    import zlib

    head = len(live.MAGIC) + 4
    size = int.from_bytes(UPDATE[head - 4 : head], "little")
    with pytest.raises(SnapshotError, match="too long"):
        live.apply(BASE, UPDATE[: head + size] + zlib.compress(bytes(1 << 28)))
