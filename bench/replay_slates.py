"""Ranks every slate record of a cell's folder again and prints how many came out byte for byte."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from pathlib import Path

from sqlalchemy import select

import lightwell.apps.web  # noqa: F401  every table is known then
from lightwell.product.feed.models import RankingPolicyRow, SlateRecordRow
from lightwell.product.feed.records import records_for_replay
from lightwell.product.feed.serving import Serving
from lightwell.recommender import pipeline
from lightwell.recommender.policy import RankingPolicy, parse
from lightwell.recommender.record import read_inputs
from lightwell.residency.cell import Cell
from lightwell.wire import commitment

_AT_ONCE = 500


def replay_all(folder: Path) -> dict[str, int]:
    """Return how many slates there are, and how many of them replay to the bytes committed to."""
    cell = Cell.open(folder, process="bench")
    snapshot = cache(Serving(cell).load)
    identical = 0
    with cell.database.read() as session:

        @cache
        def policy(digest: str) -> RankingPolicy:
            body = session.scalar(select(RankingPolicyRow.body).where(RankingPolicyRow.digest == digest))
            assert body is not None
            return parse(body)

        commitments = list(session.scalars(select(SlateRecordRow.commitment)))
        for first in range(0, len(commitments), _AT_ONCE):
            for record in records_for_replay(cell, session, commitments[first : first + _AT_ONCE]):
                raw = record["inputs"].encode()
                inputs = read_inputs(raw)
                slate = pipeline.replay(snapshot(inputs.snapshot), policy(inputs.policy), inputs)
                digests = (hashlib.sha256(raw).digest(), hashlib.sha256(slate).digest())
                opening, committed = bytes.fromhex(record["opening"]), bytes.fromhex(record["commitment"])
                identical += commitment.opens(committed, "slate", opening, *digests)
    cell.close()
    return {"slates": len(commitments), "identical": identical}


if __name__ == "__main__":
    print(json.dumps(replay_all(Path(sys.argv[1]))))
