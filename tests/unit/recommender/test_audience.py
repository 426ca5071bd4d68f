"""Nobody is shown what its maker limited to adults or to other regions, by whatever way it was found."""

from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightwell.recommender import live
from lightwell.recommender.audience import Audiences, audience
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.counters import COUNTERS
from lightwell.recommender.filters import DROPPED
from lightwell.recommender.pipeline import rank
from lightwell.recommender.record import RecordError, Tab, Viewer, seed_of
from lightwell.recommender.snapshot import Snapshot
from lightwell.recommender.train import TrainSettings, build_snapshot
from tests.unit.recommender import worlds

KINDS: tuple[tuple[bool, tuple[str, ...]], ...] = (
    (False, ()), (True, ()), (False, ("eu", "us")), (False, ("eu",)), (True, ("eu",)), (True, ("us", "sg")),
)  # fmt: skip
TABS: tuple[Tab, ...] = ("for_you", "following", "newest", "without_profiling")


@cache
def limited(size: int = 60, open_every: int = 6) -> Snapshot:
    """The small world, its videos of each kind in turn; or with one open to all in so many, others adult."""
    facts = [
        msgspec.structs.replace(fact, adult=kind[0], regions=list(kind[1]))
        for at, fact in enumerate(worlds.catalogue(size))
        for kind in [KINDS[at % 6] if open_every == 6 else KINDS[int(at % open_every != 0)]]
    ]
    return build_snapshot(facts, worlds.watches(size), TrainSettings(), worlds.HOUR)


def allowed(adult: bool, region: str, size: int = 60) -> set[str]:
    return {
        fact.id
        for at, fact in enumerate(worlds.catalogue(size))
        for is_adult, regions in [KINDS[at % 6]]
        if (adult or not is_adult) and (not regions or region in regions)
    }


def test_an_audience_is_one_word_whatever_the_order() -> None:
    assert audience(False, []) == ""
    assert audience(True, []) == "18"
    assert audience(False, ["us", "eu", "us"]) == audience(False, ["eu", "us"]) == "eu us"
    assert audience(True, ["us"]) == "18 us"


def test_where_nothing_is_limited_nothing_is_looked_at() -> None:
    audiences = Audiences([""])
    assert audiences.barred(False, "us") is None
    assert Audiences(["", "18"]).barred(True, "us") is None
    assert Audiences(["", "eu us"]).barred(False, "us") is None


@settings(max_examples=60, deadline=None)
@given(
    adult=st.booleans(),
    region=st.sampled_from(["us", "eu", "sg", "mars"]),
    tab=st.sampled_from(TABS),
    fan=st.sampled_from(worlds.TOPICS),
    k=st.integers(1, 50),
)
def test_no_tab_shows_anybody_what_its_maker_limited_to_others(
    adult: bool, region: str, tab: Tab, fan: str, k: int
) -> None:
    viewer = Viewer(region=region)
    if tab != "without_profiling":
        viewer = msgspec.structs.replace(
            worlds.fan(fan), region=region, adult=adult, follows=worlds.CREATORS[:8]
        )
    result = worlds.ranked(viewer, world=limited(), tab=tab, k=k)
    assert set(worlds.shown(result)) <= allowed(viewer.adult, region)


def test_what_is_dropped_says_age_or_region() -> None:
    viewer = msgspec.structs.replace(worlds.fan("ink"), follows=worlds.CREATORS)
    dropped = dict(worlds.ranked(viewer, world=limited(), tab="following", k=50).dropped)
    kinds = {fact.id: KINDS[at % 6] for at, fact in enumerate(worlds.catalogue())}
    reasons = {video: reason for video, reason in dropped.items() if reason in ("age", "region")}
    assert {kinds[video] for video, reason in reasons.items() if reason == "age"} == {
        k for k in KINDS if k[0]
    }
    assert {kinds[video] for video, reason in reasons.items() if reason == "region"} == {(False, ("eu",))}
    assert set(dropped.values()) <= set(DROPPED)


@pytest.mark.parametrize("tab", ["for_you", "newest", "without_profiling"])
def test_limited_videos_do_not_use_up_the_places_of_others(tab: Tab) -> None:
    # Of 600 videos one in fifty is for everybody: more than any source looks at without it.
    world = limited(600, 50)
    shown = worlds.shown(worlds.ranked(Viewer(region="us"), world=world, tab=tab, k=10))
    assert len(shown) == 10
    assert {worlds.catalogue(600)[at].id for at in range(0, 600, 50)} >= set(shown)
    grown = worlds.ranked(Viewer(region="us", adult=tab != "without_profiling"), world=world, tab=tab, k=50)
    assert len(worlds.shown(grown)) == (12 if tab == "without_profiling" else 50)


def test_limits_of_videos_that_came_since_the_base_hold_too() -> None:
    base = build_snapshot(worlds.catalogue()[1:], worlds.watches(), TrainSettings(), worlds.HOUR)
    new = VideoFact(
        id="0123456789abcdef", creator="us:new.one", hour=worlds.HOUR - 1, region="us", adult=True,
        regions=["us", "eu"],
    )  # fmt: skip
    found = {name: np.append(getattr(base, name), 0) for name in COUNTERS}
    grown = live.apply(base, live.encode_update(base, base.minute, [new], found))
    assert grown.audiences[int(grown.audience[grown.size - 1])] == "18 eu us"
    for viewer, is_shown in (
        (Viewer(region="us", adult=True), True),
        (Viewer(region="us"), False),
        (Viewer(region="sg", adult=True), False),
    ):
        shown = worlds.shown(worlds.ranked(viewer, world=grown, tab="newest", k=10))
        assert (new.id in shown) is is_shown


def test_a_promotion_carries_no_video_past_its_limits() -> None:
    at = next(at for at in range(60) if KINDS[at % 6] == (True, ()))
    video = worlds.catalogue()[at].id
    policy = worlds.policy_with(
        promotions=[
            {
                "id": "00000000000000aa", "video": video, "points": 10_000, "start": worlds.HOUR - 1,
                "end": worlds.HOUR + 1, "ceiling": 1_000_000, "reason": "A test",
            }
        ]
    )  # fmt: skip
    young = worlds.ranked(Viewer(region="us"), world=limited(), policy=policy)
    assert video not in worlds.shown(young)
    assert (video, "age") in young.dropped
    grown = worlds.ranked(Viewer(region="us", adult=True), world=limited(), policy=policy)
    assert worlds.shown(grown)[0] == video


def test_a_feed_without_profiling_does_not_know_of_age() -> None:
    record = worlds.inputs(Viewer(region="us", adult=True), world=limited(), tab="without_profiling")
    with pytest.raises(RecordError, match="without any data"):
        rank(limited(), worlds.POLICY, record)


# --- the viewer's nonce


def test_a_seed_that_does_not_follow_from_the_viewers_nonce_is_refused() -> None:
    nonce = "ab" * 16
    honest = msgspec.structs.replace(worlds.inputs(), nonce=nonce, seed=seed_of(nonce))
    assert rank(worlds.snapshot(), worlds.POLICY, honest).slate.items
    for wrong in (
        msgspec.structs.replace(honest, seed=worlds.SEED),
        msgspec.structs.replace(honest, nonce="cd" * 16),
        msgspec.structs.replace(honest, seed=nonce),
    ):
        with pytest.raises(RecordError, match="does not follow from the viewer's nonce"):
            rank(worlds.snapshot(), worlds.POLICY, wrong)


def test_seeds_are_those_of_the_written_rule() -> None:
    # sha256(b"lightwell/seed/v1\n" + 16 zero bytes), as `sha256sum` prints it.
    assert seed_of("00" * 16) == "4651e847d176df7e2696f4651797b225"
    assert seed_of("00" * 16) != seed_of("00" * 15 + "01")
