"""One slate explained inside the clean room: exact contributions, chances, and what was dropped and why."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lightwell.oversight.replay import SlateRecord, Sources, judge
from lightwell.oversight.verdicts import Outcome
from lightwell.oversight.withdrawals import Withdrawals
from lightwell.recommender import pipeline
from lightwell.recommender.contribution import Contribution
from lightwell.recommender.explain import explain
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.record import RecordError, SlateInputs, read_inputs, read_slate
from lightwell.recommender.snapshot import Snapshot
from lightwell.wire.entries import SlateServed

_EXPLICABLE: frozenset[Outcome] = frozenset(
    {"identical", "differs", "withdrawal-unproven", "withdrawn-shown"}
)


class ExplainError(ValueError):
    """The slate cannot be explained; the text says why in one line."""


class ExplainedItem(msgspec.Struct, frozen=True):
    """One place: the contributions sum to the score; `propensity` is the chance of its draw in millionths.

    `words` says each contribution as the viewer was told, in the same order.
    """

    place: int
    video: str
    source: str
    score: int
    propensity: int
    contributions: list[Contribution]
    words: list[str]


class ExplainedSlate(msgspec.Struct, frozen=True):
    """A slate as it is ranked again from its record; with outcome `differs` the cell served another one.

    `served` are the videos of the record's own slate, in order. `dropped` is every other video considered,
    [id, reason], by id.
    """

    index: int
    commitment: str
    outcome: Outcome
    snapshot: str
    policy: str
    tab: str
    hour: int
    served: list[str]
    items: list[ExplainedItem]
    dropped: list[tuple[str, str]]


@dataclass(frozen=True)
class OpenedSlate:
    """A slate's record, opened and held against its entry, with what it was ranked from."""

    index: int
    entry: SlateServed
    outcome: Outcome
    inputs: SlateInputs
    served: list[str]
    snapshot: Snapshot
    policy: RankingPolicy


def open_slate(
    index: int,
    entry: SlateServed,
    record: SlateRecord | None,
    sources: Sources,
    cell: str,
    withdrawals: Withdrawals | None = None,
) -> OpenedSlate:
    """Open a slate's record.

    Args:
        index, entry: of the slate in the ledger.
        record: what the cell handed over; None if it has none.
        sources: snapshots and policies.
        cell: the cell whose slate it is.
        withdrawals: which videos the ledger says were taken back; None for none.

    Raises:
        ExplainError: there is no record that opens the commitment, or nothing to rank it from.
    """
    records = {} if record is None else {entry.commitment: record}
    outcome = judge([(index, entry)], records, sources, cell, withdrawals)[0].outcome
    if record is None or outcome not in _EXPLICABLE:
        raise ExplainError(f"slate {entry.commitment[:12]} cannot be explained: its verdict is {outcome}")
    snapshot, policy = sources.snapshot(entry.snapshot), sources.policy(entry.policy)
    if snapshot is None or policy is None:
        raise ExplainError(f"slate {entry.commitment[:12]} cannot be explained: its snapshot is gone")
    try:
        inputs = read_inputs(record.inputs.encode())
        served = [item.video for item in read_slate(record.slate.encode()).items]
    except RecordError as error:
        raise ExplainError(f"slate {entry.commitment[:12]} cannot be read: {error}") from error
    return OpenedSlate(index, entry, outcome, inputs, served, snapshot, policy)


def explain_slate(opened: OpenedSlate) -> ExplainedSlate:
    """Rank an opened slate again and say why each video is in it and why others are not.

    Raises:
        ExplainError: its record cannot be ranked.
    """
    entry, policy, inputs = opened.entry, opened.policy, opened.inputs
    try:
        ranked = pipeline.rank(opened.snapshot, policy, inputs)
    except RecordError as error:
        raise ExplainError(f"slate {entry.commitment[:12]} cannot be ranked: {error}") from error
    names = {promotion.id: promotion.reason for promotion in policy.promotions}
    items = [
        ExplainedItem(
            place=place,
            video=item.video,
            source=item.source,
            score=item.score,
            propensity=propensity,
            contributions=parts,
            words=[reason.text for reason in explain(parts, names)],
        )
        for place, (item, parts, propensity) in enumerate(
            zip(ranked.slate.items, ranked.reasons, ranked.propensities, strict=True), 1
        )
    ]
    return ExplainedSlate(
        index=opened.index,
        commitment=entry.commitment,
        outcome=opened.outcome,
        snapshot=entry.snapshot,
        policy=entry.policy,
        tab=inputs.request.tab,
        hour=inputs.request.hour,
        served=opened.served,
        items=items,
        dropped=ranked.dropped,
    )
