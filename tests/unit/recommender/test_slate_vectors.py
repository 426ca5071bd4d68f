"""The slates of `conformance/slates` come out of the snapshot, policy and records on file, byte for byte."""

import hashlib
import importlib.util
import json
from pathlib import Path

from lightwell.recommender.pipeline import rank
from lightwell.recommender.policy import parse
from lightwell.recommender.record import read_inputs, slate_bytes
from lightwell.recommender.snapshot import Snapshot

FOLDER = Path(__file__).parents[3] / "conformance" / "slates"
VECTORS = json.loads((FOLDER / "slates.json").read_text("ascii"))


def test_the_file_is_what_our_code_makes() -> None:
    spec = importlib.util.spec_from_file_location("conformance_slates", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (FOLDER / "slates.json").read_text("ascii") == module.render(), "run conformance/slates/make.py"


def test_ranking_from_the_file_alone_gives_its_slates() -> None:
    data = bytearray(VECTORS["snapshot"]["size"])
    for at, block in VECTORS["snapshot"]["blocks"]:
        data[at : at + len(block) // 2] = bytes.fromhex(block)
    assert hashlib.sha256(data).hexdigest() == VECTORS["snapshot"]["digest"]
    snapshot = Snapshot.from_bytes(bytes(data), expect=VECTORS["snapshot"]["digest"])
    policy = parse(VECTORS["policy"].encode())
    assert policy.digest == hashlib.sha256(VECTORS["policy"].encode()).hexdigest()
    for case in VECTORS["slates"]:
        ranked = rank(snapshot, policy, read_inputs(case["inputs"].encode()))
        assert slate_bytes(ranked.slate).decode() == case["slate"]
        assert [[[part.code, part.points] for part in parts] for parts in ranked.reasons] == case["reasons"]
        assert ranked.propensities == case["propensities"]
        assert [list(pair) for pair in ranked.dropped] == case["dropped"]
        scores = [item["score"] for item in json.loads(case["slate"])["items"]]
        assert [sum(points for _, points in parts) for parts in case["reasons"]] == scores


def test_the_vectors_show_each_kind_of_ranking() -> None:
    sources = {item["source"] for case in VECTORS["slates"] for item in json.loads(case["slate"])["items"]}
    reasons = {reason for case in VECTORS["slates"] for _, reason in case["dropped"]}
    codes = {code for case in VECTORS["slates"] for parts in case["reasons"] for code, _ in parts}
    assert {"co_watch", "explore", "follow", "newest"} <= sources
    assert {"seen-before", "start", "creator-watched", "lot", "explored", "same-topic"} <= codes
    assert {"withdrawn", "hidden", "muted", "own", "seen", "outranked"} <= reasons
