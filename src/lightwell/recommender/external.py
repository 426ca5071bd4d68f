"""What is said to another organisation's ranker and by it: candidates with features go, whole numbers return.

The ranker learns no account, no viewer's history and no seed. What it answered is an input of the slate and
stands in the record, so that a replay needs no ranker.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final, Literal

import msgspec

from lightwell.recommender.policy import ExternalRanker, RankingPolicy
from lightwell.recommender.record import (
    HIGHEST_EXTERNAL,
    MOST_EXTERNAL,
    External,
    ExternalScore,
    RecordError,
    SlateInputs,
)

LONGEST_ANSWER: Final = 16 * 1_024
"""Bytes."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request: the tab, how many places, the hour since 1970, and each candidate's features by name."""

    v: Literal[1] = 1
    tab: str
    k: int
    hour: int
    features: list[str]
    candidates: list[tuple[str, list[int]]]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A score for each candidate, in the order of the question."""

    v: Literal[1] = 1
    scores: Annotated[list[ExternalScore], msgspec.Meta(max_length=MOST_EXTERNAL)]


class AnswerError(ValueError):
    """The answer is not what was asked for."""


_encoder = msgspec.json.Encoder(order="sorted")
_answers = msgspec.json.Decoder(Answer)


def encode_question(question: Question) -> bytes:
    """Canonical JSON of a question: the same request is the same bytes, so that it can be asked again."""
    return _encoder.encode(question)


def read_answer(data: bytes, count: int) -> list[int]:
    """Read an answer about `count` candidates.

    Raises:
        AnswerError: not JSON, another shape, a score out of range or not a whole number, or another count.
    """
    try:
        scores = _answers.decode(data).scores
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerError(str(error)) from None
    if len(scores) != count:
        raise AnswerError(f"{len(scores)} scores for {count} candidates")
    return scores


def recorded(ranker: ExternalRanker, videos: Sequence[str], scores: Sequence[int]) -> External:
    """Return what the record keeps of an answer; `videos` and `scores` in the order of the question."""
    return External(digest=ranker.digest, scores=sorted(zip(videos, scores, strict=True)))


def is_asked(policy: RankingPolicy, inputs: SlateInputs) -> bool:
    """Say whether a request must have the answer of a ranker, or its failure, in its record."""
    return policy.external is not None and inputs.request.tab == "for_you"


def points(policy: RankingPolicy, inputs: SlateInputs) -> dict[str, int]:
    """Return the points that the recorded answer gives or takes, by video; none where there was none.

    Args:
        policy, inputs: as for `pipeline.rank`.

    Raises:
        RecordError: an answer is there and should not be or the other way round, or it is of another ranker,
            on more candidates than the policy asks about, with a video twice, or beside a failure.
    """
    ranker, external = policy.external, inputs.external
    if ranker is None or not is_asked(policy, inputs):
        if external is not msgspec.UNSET:
            raise RecordError("slate inputs: an external answer where none is asked for")
        return {}
    if external is msgspec.UNSET:
        # Leaving out an answer that one does not like would be a hand on the scales.
        raise RecordError("slate inputs: the policy names a ranker, and its answer or failure is missing")
    if external.digest != ranker.digest:
        raise RecordError("slate inputs: the answer is of another ranker than the policy names")
    videos = [video for video, _ in external.scores]
    if len(videos) > ranker.candidates or (videos and external.failed):
        raise RecordError("slate inputs: the external answer has more scores than it may")
    if any(one >= other for one, other in pairwise(videos)):
        raise RecordError("slate inputs: the external answer names a video twice or out of order")
    return {video: _scaled(score, ranker.points) for video, score in external.scores}


def _scaled(score: int, most: int) -> int:
    # Towards zero for both signs, so that a score and its negative give and take the same.
    whole = abs(score) * most // HIGHEST_EXTERNAL
    return whole if score >= 0 else -whole
