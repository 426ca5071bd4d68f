"""Fuzz targets of ranking policies: files, canonical bytes, papers about them and answers of rankers."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from lightwell.agreement.papers import PaperError
from lightwell.agreement.policy_papers import make_paper, read_paper, text
from lightwell.recommender.external import AnswerError, read_answer
from lightwell.recommender.policy import PolicyError, RankingPolicy, default_policy, dump, parse
from lightwell.recommender.policy_file import PolicyFileError, dump_file, parse_file
from lightwell.wire.keys import SigningKey
from lightwell.wire.note import join_note
from tests.fuzz.registry import as_text, target

KEY = SigningKey.generate("board-1", hashlib.sha256(b"board").digest())
PAPER = make_paper(KEY, "approve", "us", "ab" * 32)
PROMOTED = """version = 1
weights = { new = 1 }
[[promotions]]
id = "00000000000000aa"
video = "00000000000000bb"
points = -100
start = 2026-11-22T10:00:00Z
end = 2026-11-23T12:00:00+02:00
ceiling = 10_000
reason = "Why"
"""


@target(PROMOTED, "[taste]\nskip = 3\n", dump_file(default_policy()), "a = 1979-05-27T07:32:00-08:00\n")
def policy_file(data: bytes) -> None:
    """A file that is taken says the same when it is written out; all others are refused with a line."""
    try:
        policy = parse_file(as_text(data))
    except PolicyFileError as refused:
        assert refused.line >= 1  # noqa: PT017  what the promise is about
        return
    _check(policy)
    if all(promotion.end <= 70_000_000 for promotion in policy.promotions):
        assert parse_file(dump_file(policy)) == policy


@target(dump(default_policy()), dump(parse_file(PROMOTED)), b'{"weights":{"new":1}}', b"{}")
def policy(data: bytes) -> None:
    """Bytes that are taken as a policy have one canonical form, and one digest."""
    with suppress(PolicyError):
        _check(parse(data))


@target(PAPER, text("adopt", "us", "cd" * 32))
def policy_paper(data: bytes) -> None:
    """A paper that is read is exactly what its parts make again; no other text was signed."""
    with suppress(PaperError):
        paper = read_paper(as_text(data))
        signed = text(paper.verb, paper.cell, paper.policy)
        assert join_note(signed, [paper.signature]) == as_text(data)
        verifier = KEY.verifier()
        if verifier.verify_text(signed, paper.signature.signature):
            assert signed == text("approve", "us", "ab" * 32)


@target('{"scores":[1,-2,3],"v":1}', '{"scores":[]}')
def ranker_answer(data: bytes) -> None:
    """An answer that is taken is three whole numbers within bounds."""
    with suppress(AnswerError):
        scores = read_answer(data, 3)
        assert len(scores) == 3
        assert all(type(score) is int and -1000 <= score <= 1000 for score in scores)


def _check(found: RankingPolicy) -> None:
    again = parse(dump(found))
    assert again == found
    assert again.digest == found.digest
