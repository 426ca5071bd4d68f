"""Why each video is in a slate: its sealed record is ranked again, so that the words are the true ones."""

from typing import Any

from sqlalchemy import select

from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem
from lightwell.product import videos
from lightwell.product.feed.models import RankingPolicyRow
from lightwell.product.feed.records import Record
from lightwell.product.feed.serving import RankedFrom, Serving
from lightwell.recommender.explain import explain
from lightwell.recommender.policy import RankingPolicy, parse
from lightwell.recommender.record import read_inputs, slate_bytes
from lightwell.recommender.snapshot import SnapshotError


def reasons_of(serving: Serving, session: ReadSession, record: Record) -> dict[str, Any]:
    """Rank a record again and say in words how each score came about.

    Args:
        serving: finds the snapshot by its digest.
        session: any session of the cell.
        record: the slate's, unsealed.

    Returns:
        `agrees`, whether the ranking gave the slate that was served, byte for byte; and `items`, with
        `place`, `video`, `score`, `source`, `reasons` (words and points, which sum to the score) and
        `promotion` (its id and reason, or None).

    Raises:
        Problem: 410, the snapshot or policy it was made from is not kept any more.
    """
    inputs = read_inputs(record.inputs)
    policy = _policy(session, inputs.policy)
    ranked = serving.rank(_snapshot(serving, inputs.snapshot), policy, inputs)
    cards = videos.views(session, [item.video for item in ranked.slate.items])
    names = {promotion.id: promotion.reason for promotion in policy.promotions}
    for card in cards.values():
        names[card["sound"]["sound_id"] or ""] = card["sound"]["title"]
    items = []
    for place, (item, parts) in enumerate(zip(ranked.slate.items, ranked.reasons, strict=True), 1):
        promotion = ranked.promoted.get(item.video)
        items.append(
            {
                "place": place,
                "video": item.video,
                "score": item.score,
                "source": item.source,
                "reasons": explain(parts, names),
                "promotion": {"id": promotion, "reason": names.get(promotion, "")} if promotion else None,
            }
        )
    return {"agrees": slate_bytes(ranked.slate) == record.slate, "items": items}


def _snapshot(serving: Serving, digest: str) -> RankedFrom:
    try:
        return serving.load(digest)
    except (Problem, SnapshotError) as error:
        detail = "The snapshot that this slate was ranked from is not kept any more."
        raise Problem(410, "snapshot-gone", detail) from error


def _policy(session: ReadSession, digest: str) -> RankingPolicy:
    body = session.scalar(select(RankingPolicyRow.body).where(RankingPolicyRow.digest == digest))
    if body is None:
        raise Problem(410, "policy-gone", "The policy that this slate was made under is not kept any more.")
    return parse(body)
