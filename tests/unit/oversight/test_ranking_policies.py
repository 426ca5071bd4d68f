"""A policy that a cell adopts is read and held against its entries: nothing in it may stand unlisted."""

import time
from pathlib import Path

import httpx
import msgspec
import pytest

from lightwell.oversight import ranking_policies
from lightwell.oversight.ranking_policies import PolicyWatch
from lightwell.oversight.store import Finding, Store
from lightwell.recommender.policy import (
    ExternalRanker,
    Promotion,
    RankingPolicy,
    dump,
    promotion_digest,
)
from lightwell.wire import entries as kinds
from tests.factories.seen_cell import SeenCell, cleanroom_settings, oversight_folder
from tests.unit.recommender import worlds

PROMOTION = Promotion(
    id="00000000000000aa", video="00000000000000bb", points=5, start=10, end=20, ceiling=100, reason="Why not"
)


class Watched:
    def __init__(self, folder: Path, cell: SeenCell) -> None:
        from lightwell.oversight.cleanroom import CleanRoom

        # The clean room's follower is the monitor's: it fills the same store.
        self.cell = cell
        client = httpx.Client(transport=httpx.MockTransport(cell.handler))
        room = CleanRoom(cleanroom_settings(folder, cell, "http://oversight.test"), client)
        self.store: Store = room.store
        self.follower = room.follower
        self.watch = PolicyWatch(self.store, cell.name, cell.url, client)

    def findings(self) -> list[Finding]:
        self.follower.poll()
        self.watch.check()
        return [one for one in self.store.findings(self.cell.name) if one.key.startswith("ranking-policy")]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(ranking_policies, "_AGAIN_SECONDS", 0)
    cell = SeenCell()
    cell.adopt()
    return Watched(tmp_path / "room", cell)


def adopt(watched: Watched, policy: RankingPolicy, *listed: Promotion, shown: bytes | None = None) -> None:
    cell = watched.cell
    cell.sources["policies", policy.digest] = dump(policy) if shown is None else shown
    at = kinds.minute(int(time.time()))
    cell.add(
        *(
            kinds.PromotionListed(
                at=at,
                policy=policy.digest,
                promotion=promotion_digest(one),
                raises=True,
                start=1,
                end=2,
                ceiling=3,
            )
            for one in listed
        ),
        kinds.PolicyAdopted(at=at, digest=policy.digest, approvals=2),
    )


def test_policies_whose_promotions_are_listed_raise_nothing(watched: Watched) -> None:
    adopt(watched, RankingPolicy(version=1, promotions=(PROMOTION,)), PROMOTION)
    assert watched.findings() == []


def test_a_promotion_that_no_earlier_entry_lists_is_a_breach(watched: Watched) -> None:
    other = msgspec.structs.replace(PROMOTION, points=6)
    adopt(watched, RankingPolicy(version=1, promotions=(PROMOTION,)), other)
    [found] = watched.findings()
    assert (found.state, found.area) == ("breach", "feed")
    assert "1 of its promotions" in found.detail


def test_another_policy_than_the_one_adopted_is_a_breach(watched: Watched) -> None:
    adopt(watched, RankingPolicy(version=1), shown=dump(RankingPolicy(version=2)))
    assert [(one.state, one.title) for one in watched.findings()] == [
        ("breach", "The ranking policy shown is not the one adopted")
    ]


def test_a_policy_that_is_not_shown_is_open_until_it_is(watched: Watched) -> None:
    policy = RankingPolicy(version=1)
    adopt(watched, policy)
    del watched.cell.sources["policies", policy.digest]
    assert [one.state for one in watched.findings()] == ["open"]
    watched.cell.sources["policies", policy.digest] = dump(policy)
    assert [one.state for one in watched.findings()] == ["closed"]


@pytest.mark.parametrize(
    "policy",
    [RankingPolicy(promotions=(PROMOTION,)), RankingPolicy(external=ExternalRanker(digest="ab" * 32))],
)
def test_a_founding_policy_that_promotes_or_deploys_is_a_breach(
    tmp_path: Path, policy: RankingPolicy
) -> None:
    cell = SeenCell()
    watched = Watched(tmp_path / "room", cell)
    adopt(watched, policy, *policy.promotions)
    assert [one.state for one in watched.findings()] == ["breach"]


def test_the_monitor_reads_policies_as_it_follows(tmp_path: Path) -> None:
    from lightwell.oversight.monitor import Monitor

    cell = SeenCell()
    server = cell.listen()
    cell.adopt()
    cell.sources["policies", worlds.POLICY.digest] = b"{}"
    monitor = Monitor(oversight_folder(tmp_path / "oversight", [cell]))
    try:
        monitor.start()
        deadline = time.monotonic() + 120
        while not monitor.store.findings(cell.name, "feed") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "is not the one adopted" in monitor.store.findings(cell.name, "feed")[0].title
    finally:
        monitor.stop()
        server.shutdown()
