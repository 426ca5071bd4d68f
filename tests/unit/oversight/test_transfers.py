"""A transfer has two halves; one alone is open until it is found, two that differ are a breach."""

import time
from pathlib import Path

import pytest

from lightwell.oversight import transfers
from lightwell.oversight.follow import Follower
from lightwell.oversight.store import Store
from lightwell.wire import entries
from tests.factories.seen_cell import SeenCell


class Pair:
    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "oversight.db")
        self.cells = {name: SeenCell(name) for name in ("us", "sg")}
        self.followers = [
            Follower(self.store, name, f"lightwell/{name}", cell.key.verifier(), cell.read)
            for name, cell in self.cells.items()
        ]

    def add(self, side: str, digest: str = "d" * 64, ago: int = 300) -> None:
        kind = entries.TransferSent if side == "us" else entries.TransferReceived
        at = entries.minute(int(time.time()) - ago)
        peer = "sg" if side == "us" else "us"
        self.cells[side].add(
            kind(at=at, transfer="t1", flow="public-video", peer=peer, digest=digest, size=10)
        )

    def judge(self, followed: tuple[str, ...] = ("us", "sg")) -> list[tuple[str, str]]:
        for follower in self.followers:
            follower.poll()
        for cell in self.cells:
            transfers.raise_unpaired(self.store, cell, set(followed), 60)
        return [(f.cell, f.state) for name in self.cells for f in self.store.findings(name, "transfers")]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_two_halves_are_paired(pair: Pair) -> None:
    pair.add("us")
    pair.add("sg")
    assert pair.judge() == []
    assert transfers.figures(pair.store, "us").paired == 1


def test_half_alone_is_open_and_closes_when_the_other_comes(pair: Pair) -> None:
    pair.add("us")
    assert pair.judge() == [("us", "open")]
    pair.add("sg")
    assert pair.judge() == [("us", "closed")]


def test_half_received_that_nobody_sent_is_raised(pair: Pair) -> None:
    pair.add("sg")
    assert pair.judge() == [("sg", "open")]


def test_half_alone_within_the_grace_is_not_raised(pair: Pair) -> None:
    pair.add("us", ago=0)
    assert pair.judge() == []


def test_half_of_a_cell_that_cannot_be_read_is_not_raised(pair: Pair) -> None:
    pair.add("us")
    assert pair.judge(("us",)) == []


def test_halves_that_differ_are_a_breach(pair: Pair) -> None:
    pair.add("us")
    pair.add("sg", digest="e" * 64)
    assert pair.judge() == [("us", "breach"), ("sg", "breach")]
