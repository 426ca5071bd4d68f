"""A ranker of others runs confined; when it fails in any way, the feed ranks by itself and says so."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from lightwell.base import confine
from lightwell.base.objects import Objects
from lightwell.product.feed.external import Rankers, object_key
from lightwell.recommender.policy import ExternalRanker, RankingPolicy
from lightwell.recommender.record import External
from lightwell.residency.cell import Cell
from tests.unit.recommender import worlds

LIKING = (Path(__file__).parents[2] / "factories" / "taste_ranker.py").read_bytes()
LOOP = """
import json, sys, os, time
def answer(scores):
    data = json.dumps({"v": 1, "scores": scores}).encode()
    sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data); sys.stdout.buffer.flush()
asked = 0
while True:
    question = json.loads(sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(4), "big")))
    n = len(question["candidates"]); asked += 1
    if not n: answer([]); continue
    %s
"""


@pytest.fixture(autouse=True)
def _confined() -> None:
    if confine.bubblewrap() is None:
        pytest.skip("bubblewrap does not work here")


@pytest.fixture
def rankers(tmp_path: Path) -> Iterator[Rankers]:
    made = Rankers(cast(Cell, SimpleNamespace(objects=Objects("file", tmp_path / "objects"))))
    yield made
    made.close()


def installed(rankers: Rankers, program: bytes, **changes: Any) -> RankingPolicy:
    digest = hashlib.sha256(program).hexdigest()
    rankers._cell.objects.put(object_key(digest), program)
    fields = {"digest": digest, "candidates": 20, "milliseconds": 1000, "rest_milliseconds": 500} | changes
    return RankingPolicy(version=1, external=ExternalRanker(**fields))


def ask(rankers: Rankers, policy: RankingPolicy, tab: Any = "for_you") -> External | msgspec.UnsetType:
    inputs = worlds.inputs(worlds.fan("ink"), policy=policy, tab=tab)
    return rankers.asked(worlds.snapshot(), policy, inputs).external


def settled(rankers: Rankers, policy: RankingPolicy, until: float = 20) -> External:
    """Ask until the ranker has started or is known not to."""
    deadline = time.monotonic() + until
    while True:
        found = ask(rankers, policy)
        assert isinstance(found, External)
        if found.failed != "starting" or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_a_ranker_scores_the_best_candidates_the_same_each_time(rankers: Rankers) -> None:
    policy = installed(rankers, LIKING)
    assert cast(External, ask(rankers, policy)).failed == "starting"
    first = settled(rankers, policy)
    assert first.failed == ""
    assert len(first.scores) == 20
    assert len({score for _, score in first.scores}) > 1
    assert first.digest == hashlib.sha256(LIKING).hexdigest()
    assert ask(rankers, policy) == first


def test_no_request_but_a_personal_one_asks(rankers: Rankers) -> None:
    policy = installed(rankers, LIKING)
    assert ask(rankers, policy, "newest") is msgspec.UNSET
    assert ask(rankers, worlds.POLICY) is msgspec.UNSET


@pytest.mark.parametrize(
    ("line", "failed"),
    [
        ("sys.exit(1)", "crashed"),
        ("time.sleep(60)", "timeout"),
        ("answer([1] * (n - 1))", "malformed"),
        ("answer([0.5] * n)", "malformed"),
        ("answer([1001] * n)", "malformed"),
        ("sys.stdout.buffer.write(b'\\xff' * 8); sys.stdout.buffer.flush()", "too-long"),
    ],
)
def test_a_ranker_that_misbehaves_is_recorded_as_failed_ended_and_rests(
    rankers: Rankers, line: str, failed: str
) -> None:
    policy = installed(rankers, (LOOP % line).encode())
    found = settled(rankers, policy)
    assert (found.failed, found.scores) == (failed, [])
    assert cast(External, ask(rankers, policy)).failed == "resting"
    # After its rest it gets another chance, and fails again.
    time.sleep(0.6)
    assert cast(External, ask(rankers, policy)).failed == "starting"
    assert settled(rankers, policy).failed == failed


@pytest.mark.parametrize("program", [b"syntax error(", b"", b"\x7fELF broken", b"print('words')"])
def test_a_program_that_is_no_ranker_is_recorded_as_failed(rankers: Rankers, program: bytes) -> None:
    assert settled(rankers, installed(rankers, program)).failed in ("crashed", "too-long")


def test_a_program_that_is_not_the_one_named_never_runs(rankers: Rankers) -> None:
    policy = installed(rankers, LIKING)
    assert policy.external is not None
    rankers._cell.objects.put(object_key(policy.external.digest), LIKING + b"#")
    assert settled(rankers, policy).failed == "missing"
    gone = RankingPolicy(external=ExternalRanker(digest="cd" * 32))
    assert settled(rankers, gone).failed == "missing"


def test_where_nothing_can_be_confined_no_ranker_runs(
    rankers: Rankers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "bubblewrap", lambda: None)
    assert settled(rankers, installed(rankers, LIKING)).failed == "unconfined"


def test_a_new_policy_changes_the_ranker(rankers: Rankers) -> None:
    first = settled(rankers, installed(rankers, LIKING))
    other = settled(rankers, installed(rankers, (LOOP % "answer([asked] * n)").encode()))
    assert other.failed == ""
    assert other.digest != first.digest
