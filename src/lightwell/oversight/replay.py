"""Replays slates: from a record and a ledger entry to a verdict, with nothing taken on trust in between."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from lightwell.oversight.ranker_calls import RankerCall
from lightwell.oversight.verdicts import Outcome, Verdict
from lightwell.oversight.withdrawals import Withdrawals
from lightwell.recommender import live, pipeline
from lightwell.recommender import policy as ranking_policy
from lightwell.recommender.record import RecordError, SlateInputs, read_inputs, read_slate
from lightwell.recommender.snapshot import Snapshot
from lightwell.wire import commitment
from lightwell.wire.entries import SlateServed

_KEPT_SNAPSHOTS: Final = 8


class SlateRecord(msgspec.Struct, frozen=True):
    """A slate record as the cell hands it to the clean room: two canonical texts and the hex opening."""

    commitment: str
    inputs: str
    slate: str
    opening: str
    padding: str = ""
    """Of padding, which has neither inputs nor slate: the hex digest that its commitment covers."""


class Sources:
    """Snapshots and ranking policies by digest; what is kept is what hashed to its name."""

    def __init__(self, fetch: Callable[[str, str], bytes | None]) -> None:
        """Take `fetch(kind, digest)`, kind "snapshots" or "policies"; None when the cell has none."""
        self._fetch = fetch
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()
        self._policies: dict[str, ranking_policy.RankingPolicy] = {}

    def forget(self) -> None:
        """Drop all that is kept, so that an audit reads it anew."""
        self._snapshots.clear()
        self._policies.clear()

    def snapshot(self, digest: str) -> Snapshot | None:
        """Return the snapshot with this digest, None if the cell cannot give it."""
        found = self._snapshots.get(digest)
        if found is None:
            found = self._load_snapshot(digest)
            if found is None:
                return None
            self._snapshots[digest] = found
            if len(self._snapshots) > _KEPT_SNAPSHOTS:
                self._snapshots.popitem(last=False)
        self._snapshots.move_to_end(digest)
        return found

    def policy(self, digest: str) -> ranking_policy.RankingPolicy | None:
        """Return the ranking policy with this digest, None if the cell cannot give it."""
        found = self._policies.get(digest)
        if found is None:
            raw = self._fetch("policies", digest)
            if raw is None:
                return None
            try:
                found = ranking_policy.parse(raw)
            except ValueError:
                return None
            if found.digest != digest:
                return None
            self._policies[digest] = found
        return found

    def _load_snapshot(self, digest: str) -> Snapshot | None:
        raw = self._fetch("snapshots", digest)
        if raw is None:
            return None
        try:
            base_digest = live.base_of(raw)
            if base_digest is None:
                return Snapshot.from_bytes(raw, expect=digest)
            base = self.snapshot(base_digest)
            return None if base is None else live.apply(base, raw, expect=digest)
        except ValueError:
            return None


def judge(
    slates: Sequence[tuple[int, SlateServed]],
    records: dict[str, SlateRecord],
    sources: Sources,
    cell: str,
    withdrawals: Withdrawals | None = None,
) -> list[Verdict]:
    """Give the verdict on each slate.

    Args:
        slates: index and entry of each.
        records: by commitment, those the cell has.
        sources: snapshots and policies.
        cell: the cell whose slates they are.
        withdrawals: which videos the ledger says were taken back; None for none.
    """
    known = withdrawals or Withdrawals()
    return [
        Verdict(
            index,
            _judge(index, entry, records.get(entry.commitment), sources, cell, known),
            _ranker_call(records.get(entry.commitment), sources.policy(entry.policy)),
        )
        for index, entry in slates
    ]


def _ranker_call(
    record: SlateRecord | None, policy: ranking_policy.RankingPolicy | None
) -> RankerCall | None:
    """What a record says of the ranker that its policy names; None where none was asked."""
    if record is None or policy is None or policy.external is None or not record.inputs:
        return None
    try:
        external = read_inputs(record.inputs.encode()).external
    except RecordError:
        return None
    if external is msgspec.UNSET:
        return None
    return RankerCall(bool(external.failed), policy.external.most_failures)


def _judge(
    index: int,
    entry: SlateServed,
    record: SlateRecord | None,
    sources: Sources,
    cell: str,
    withdrawals: Withdrawals,
) -> Outcome:
    if record is None:
        return "missing"
    inputs_bytes, slate_bytes = record.inputs.encode(), record.slate.encode()
    try:
        opening, padding = bytes.fromhex(record.opening), bytes.fromhex(record.padding)
    except ValueError:
        return "unopened"
    if padding:
        # It cannot also open as a slate: a viewer who holds a receipt for it would prove the cell wrong.
        is_padding = commitment.opens(bytes.fromhex(entry.commitment), "padding", opening, padding)
        return "padding" if is_padding else "unopened"
    digests = hashlib.sha256(inputs_bytes).digest(), hashlib.sha256(slate_bytes).digest()
    if not commitment.opens(bytes.fromhex(entry.commitment), "slate", opening, *digests):
        return "unopened"
    snapshot, policy = sources.snapshot(entry.snapshot), sources.policy(entry.policy)
    if snapshot is None or policy is None:
        return "snapshot-missing"
    try:
        inputs = read_inputs(inputs_bytes)
    except RecordError:
        return "differs"
    # The record must have been ranked from what the entry names, not from something of its own.
    if (inputs.cell, inputs.snapshot, inputs.policy) != (cell, entry.snapshot, entry.policy):
        return "differs"
    try:
        again = pipeline.replay(snapshot, policy, inputs)
    except RecordError:
        return "differs"
    if again != slate_bytes:
        return "differs"
    return _judge_withdrawn(index, entry, inputs, slate_bytes, withdrawals)


def _judge_withdrawn(
    index: int, entry: SlateServed, inputs: SlateInputs, slate: bytes, withdrawals: Withdrawals
) -> Outcome:
    """Hold what the record leaves out as withdrawn, and what the slate shows, to the ledger's withdrawals."""
    if not all(withdrawals.stands_before(video, index) for video in inputs.withdrawn):
        return "withdrawal-unproven"
    if any(withdrawals.is_over(item.video, index, entry) for item in read_slate(slate).items):
        return "withdrawn-shown"
    return "identical"
