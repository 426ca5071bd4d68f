"""A catalogue split over any number of shards gives the very bytes that the whole gives, with all reasons."""

import hashlib
from functools import cache

import msgspec
import numpy as np
import pytest

from lightwell.recommender import pipeline, shards_rank
from lightwell.recommender.policy import Promotion, RankingPolicy, default_policy
from lightwell.recommender.record import SlateInputs, Viewer, slate_bytes
from lightwell.recommender.shards_asked import Answer, Ask
from lightwell.recommender.shards_front import Front
from lightwell.recommender.shards_part import Part
from lightwell.recommender.shards_split import shard_of, split
from lightwell.recommender.snapshot import Snapshot, SnapshotError
from lightwell.recommender.train import TrainSettings, VideoFact, WatchFact, build_snapshot
from tests.properties import slates
from tests.unit.recommender.forests import base_and_update
from tests.unit.recommender.worlds import HOUR, POLICY, inputs, numbers, policy_with, shuffled

SHARDS = (1, 2, 3, 5)


class Catalogue:
    """A catalogue whose shards are asked in this process, through the very bytes that processes exchange."""

    def __init__(self, base: Snapshot, shards: int, update: bytes | None = None) -> None:
        files = {number: b"".join(pieces) for number, pieces in split(base, shards)}
        digests = {number: hashlib.sha256(data).hexdigest() for number, data in files.items()}
        self.front = Front.from_bytes(files[-1], digests[-1])
        self.parts = [Part.from_bytes(files[at], digests[at]) for at in range(shards)]
        if update is not None:
            digest = hashlib.sha256(update).hexdigest()
            self.front = self.front.with_update(update, digest)
            parts = [part.with_update(update, digest) for part in self.parts]
            totals = parts[0].totals()
            for part in parts[1:]:
                totals += part.totals()
            self.parts = [part.settle(totals) for part in parts]
        self.rounds = 0

    def carry(self, talk: shards_rank.Talk):
        try:
            asks = next(talk)
            while True:
                self.rounds += 1
                asks = talk.send([self._answer(at, ask) for at, ask in enumerate(asks)])
        except StopIteration as end:
            return end.value

    def rank(self, record: SlateInputs, policy=POLICY) -> pipeline.Ranked:
        return self.carry(shards_rank.rank(self.front, policy, record))

    def _answer(self, at: int, ask: Ask | None) -> Answer | None:
        if ask is None:
            return None
        asked = msgspec.msgpack.decode(msgspec.msgpack.encode(ask), type=Ask)
        answer = self.parts[at].answer(asked)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=Answer)


@cache
def catalogue(name: str, shards: int) -> Catalogue:
    if name == "updated":
        base, update = base_and_update()
        return Catalogue(base, shards, update)
    return Catalogue(slates.WORLDS[name](), shards)


def told(result: pipeline.Ranked) -> tuple:
    return slate_bytes(result.slate), result.reasons, result.propensities, result.promoted, result.dropped


def small(**limits: int) -> RankingPolicy:
    """A policy of other limits, with promotions: where sources bring few, merging decides everything."""
    world = slates.WORLDS["ranked"]()
    promotions = [
        Promotion(
            id=f"{at:016x}", video=world.name(at * 37), points=900 - 300 * at, start=0, end=1 << 32,
            ceiling=700_000, reason="A test.",
        )
        for at in range(5)
    ]  # fmt: skip
    policy = default_policy()
    return msgspec.structs.replace(
        policy, limits=msgspec.structs.replace(policy.limits, **limits), promotions=promotions
    )


POLICIES = {
    "few": small(
        co_watch=7, rising=3, fresh=5, content=2, follows=3, per_creator=1, creators=2, per_tag=2, tags=2
    ),
    "many": small(co_watch=500, rising=900, fresh=300, follows=200, per_creator=40, per_tag=90, newest=300),
}


@pytest.mark.parametrize("shards", [2, 5])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_shards_give_the_bytes_of_the_whole_under_other_limits(policy: RankingPolicy, shards: int) -> None:
    world, split_world = slates.WORLDS["ranked"](), catalogue("ranked", shards)
    for record in slates.records("ranked")[::5]:
        asked = msgspec.structs.replace(record, policy=policy.digest)
        assert told(split_world.rank(asked, policy)) == told(pipeline.rank(world, policy, asked))


def test_every_video_is_in_one_part_and_every_edge_where_it_leads() -> None:
    world = slates.WORLDS["ranked"]()
    for shards in SHARDS:
        parts = catalogue("ranked", shards).parts
        assert sorted(int(video) for part in parts for video in part.ids) == world.ids.tolist()
        assert sum(part.arrays["near"].size for part in parts) == world.near.size
        sizes = [part.size for part in parts]
        assert min(sizes) > 0.6 * world.size / shards


def test_a_request_takes_two_rounds_of_questions() -> None:
    split_world = catalogue("ranked", 3)
    record = slates.records("ranked")[36]
    assert record.viewer.watched
    split_world.rank(record)
    before = split_world.rounds
    split_world.rank(record)
    assert split_world.rounds - before == 2


def test_a_base_in_another_order_is_not_split() -> None:
    world = slates.WORLDS["plain"]()
    data = bytearray(world.to_bytes())
    at = world.places["newest"].at
    data[at : at + 8] = data[at + 4 : at + 8] + data[at : at + 4]
    with pytest.raises(SnapshotError, match="newest first"):
        list(split(Snapshot.from_bytes(bytes(data)), 2))


def test_an_altered_part_is_refused() -> None:
    files = {number: b"".join(pieces) for number, pieces in split(slates.WORLDS["plain"](), 2)}
    digest = hashlib.sha256(files[0]).hexdigest()
    altered = bytearray(files[0])
    altered[-1] ^= 1
    with pytest.raises(SnapshotError, match="split"):
        Part.from_bytes(bytes(altered), digest)


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("name", slates.WORLDS)
def test_shards_give_the_bytes_and_reasons_of_the_whole(name: str, shards: int) -> None:
    world, split_world = slates.WORLDS[name](), catalogue(name, shards)
    for record in slates.records(name)[:: 1 if shards == 3 else 3]:
        assert told(split_world.rank(record)) == told(pipeline.rank(world, POLICY, record))


def skewed(shards: int) -> Snapshot:
    """A world in which all that is watched together lies in one shard."""
    videos = [
        VideoFact(
            id=f"{number:016x}", creator=f"us:c{at % 40}", sound=None, tags=[f"t{at % 9}"],
            hour=HOUR - 2 - at % 50, second=at % 3600, region="us",
        )
        for at, number in enumerate(numbers(77, 700))
    ]  # fmt: skip
    owner = shard_of(np.array([int(video.id, 16) for video in videos], dtype=np.uint64), shards).tolist()
    watched = []
    for person in range(60):
        own = [video for video, by in zip(videos, owner, strict=True) if by == person % shards]
        for at, video in enumerate(shuffled(own, 500 + person)[:70]):
            watched.append(WatchFact(f"p{person}", video.id, 250, HOUR - 1 - at % 30))
    return build_snapshot(videos, watched, TrainSettings(), HOUR)


def test_a_shard_with_more_of_the_best_than_its_share_is_asked_for_the_rest() -> None:
    world = skewed(5)
    split_world = Catalogue(world, 5)
    ids = np.array(world.ids)
    own = [f"{int(video):016x}" for video in ids[shard_of(ids, 5) == 2][:12]]
    viewer = Viewer(region="us", watched=[(video, 250) for video in own], seen=own)
    record = inputs(viewer, world=world)
    near = pipeline.rank(world, POLICY, record).context.near_best
    assert near.size > 100  # of a shard's 140 videos, and a shard gives some 80 when first asked
    assert told(split_world.rank(record)) == told(pipeline.rank(world, POLICY, record))
    before = split_world.rounds
    split_world.rank(record)
    assert split_world.rounds - before == 3


def test_a_viewer_who_has_seen_all_is_offered_what_was_seen_long_ago_by_shards_too() -> None:
    world = slates.WORLDS["plain"]()
    everything = [world.name(at) for at in range(world.size)]
    viewer = Viewer(region="us", watched=[(video, 250) for video in everything[:20]], seen=everything)
    policy = policy_with(filters={"again_after": 5})
    record = inputs(viewer, world=world, policy=policy)
    split_world = catalogue("plain", 3)
    whole = pipeline.rank(world, policy, record)
    assert len(whole.slate.items) == 10
    assert told(split_world.rank(record, policy)) == told(whole)
    before = split_world.rounds
    split_world.rank(record, policy)
    # Rows that the record names, candidates, and then the rows of what was seen long ago.
    assert split_world.rounds - before == 3
