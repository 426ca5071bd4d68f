"""What a ranker of others says is whole, bounded and recorded; a record of it is checked like any input."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightwell.recommender.external import (
    AnswerError,
    Question,
    encode_question,
    is_asked,
    points,
    read_answer,
    recorded,
)
from lightwell.recommender.policy import ExternalRanker, RankingPolicy
from lightwell.recommender.record import (
    External,
    RecordError,
    Request,
    SlateInputs,
    Viewer,
    inputs_bytes,
    read_inputs,
)

DIGEST = "ab" * 32
RANKER = ExternalRanker(digest=DIGEST, points=200, candidates=3)
POLICY = RankingPolicy(external=RANKER)
A, B = "00000000000000aa", "00000000000000bb"


def inputs(tab: Any = "for_you", **changes: Any) -> SlateInputs:
    made = SlateInputs(
        cell="us",
        snapshot=DIGEST,
        policy=POLICY.digest,
        seed="0" * 32,
        request=Request(tab=tab, hour=5),
        viewer=Viewer(region="us"),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"v":2,"scores":[1,2]}',
        b'{"scores":[1]}',
        b'{"scores":[1,2,3]}',
        b'{"scores":[1,2.0]}',
        b'{"scores":[1,1.5]}',
        b'{"scores":[1,true]}',
        b'{"scores":[1,"2"]}',
        b'{"scores":[1,null]}',
        b'{"scores":[1,1001]}',
        b'{"scores":[1,-1001]}',
        b'{"scores":[1,99999999999999999999]}',
        b'{"scores":[1,2],"more":1}',
        b'{"scores":[1,2]}{}',
        b"\xff",
        b"[" * 10_000,
    ],
)
def test_an_answer_that_is_not_one_whole_number_a_candidate_is_refused(answer: bytes) -> None:
    with pytest.raises(AnswerError):
        read_answer(answer, 2)


@given(st.binary())
def test_any_bytes_are_an_answer_or_refused(data: bytes) -> None:
    try:
        read_answer(data, 2)
    except AnswerError:
        return
    assert len(json.loads(data)["scores"]) == 2


@given(st.lists(st.integers(-1000, 1000), max_size=20))
def test_an_answer_comes_back_in_order(scores: list[int]) -> None:
    assert read_answer(json.dumps({"v": 1, "scores": scores}).encode(), len(scores)) == scores


def test_a_question_has_one_form_in_bytes_and_names_nobody() -> None:
    question = Question(tab="for_you", k=10, hour=5, features=["age"], candidates=[(A, [3])])
    raw = encode_question(question)
    assert set(json.loads(raw)) == {"v", "tab", "k", "hour", "features", "candidates"}
    assert raw == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode()


def test_scores_become_points_evenly_for_and_against() -> None:
    answer = recorded(RANKER, [B, A], [1000, -999])
    assert answer.scores == [(A, -999), (B, 1000)]
    assert points(POLICY, inputs(external=answer)) == {A: -199, B: 200}


def test_a_failure_gives_no_points_and_stays_in_the_record() -> None:
    failed = inputs(external=External(digest=DIGEST, failed="timeout"))
    assert points(POLICY, failed) == {}
    assert read_inputs(inputs_bytes(failed)) == failed
    assert b'"failed":"timeout"' in inputs_bytes(failed)


def test_a_record_without_a_ranker_has_no_word_of_one() -> None:
    assert b"external" not in inputs_bytes(inputs())
    assert points(RankingPolicy(), inputs()) == {}


@pytest.mark.parametrize("tab", ["following", "newest", "without_profiling"])
def test_only_a_personal_feed_asks(tab: str) -> None:
    assert not is_asked(POLICY, inputs(tab))
    assert is_asked(POLICY, inputs())
    with pytest.raises(RecordError):
        points(POLICY, inputs(tab, external=recorded(RANKER, [A], [1])))


@pytest.mark.parametrize(
    ("policy", "external"),
    [
        (POLICY, msgspec.UNSET),
        (RankingPolicy(), recorded(RANKER, [A], [1])),
        (POLICY, External(digest="cd" * 32, scores=[(A, 1)])),
        (POLICY, External(digest=DIGEST, scores=[(A, 1), (A, 1)])),
        (POLICY, External(digest=DIGEST, scores=[(B, 1), (A, 1)])),
        (POLICY, External(digest=DIGEST, scores=[(A, 1)], failed="crashed")),
        (POLICY, External(digest=DIGEST, scores=[(f"{at:016x}", 1) for at in range(4)])),
    ],
)
def test_an_answer_left_out_or_slipped_in_is_no_record(policy: RankingPolicy, external: Any) -> None:
    with pytest.raises(RecordError):
        points(policy, inputs(external=external))
