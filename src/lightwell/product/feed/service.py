"""A slate is gathered, ranked, sealed, made durable with its entry, and only then answered with a promise."""

import asyncio
import hashlib
import secrets
from typing import Any

import msgspec
from sqlalchemy import select

from lightwell.base.clock import minute_s, now_s
from lightwell.base.db import ReadSession, WriteSession
from lightwell.base.errors import not_found
from lightwell.ledger.queue import enqueue, prepare
from lightwell.product import social
from lightwell.product.accounts import Account
from lightwell.product.feed.cards import Cards
from lightwell.product.feed.group_commit import GroupCommit, Prepared
from lightwell.product.feed.models import RankingPolicyRow, SlateRecordRow
from lightwell.product.feed.padding import padding_for_replay
from lightwell.product.feed.serving import Serving
from lightwell.recommender import pipeline
from lightwell.recommender.explain import explain
from lightwell.recommender.pipeline import Ranked
from lightwell.recommender.policy import RankingPolicy, default_policy, dump
from lightwell.recommender.record import (
    Request,
    SlateInputs,
    Tab,
    Viewer,
    inputs_bytes,
    slate_bytes,
)
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell
from lightwell.residency.decide import Permit, Principal, Resource
from lightwell.residency.keys import KeyDestroyedError
from lightwell.wire import commitment
from lightwell.wire.entries import PolicyAdopted, SlateServed
from lightwell.wire.promise import make_promise

PROMISE_SECONDS = 10
MAX_SLATE = 30
_CATEGORY = "user.behavior.browsing_history"


class Record(msgspec.Struct, array_like=True):
    """What stands inside the seal of a slate record."""

    inputs: bytes
    slate: bytes
    opening: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class Feed:
    """Answers feed requests of one process.

    Args:
        cell: the cell whose viewers it serves.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._serving = Serving(cell)
        self._commit = GroupCommit(cell.database)
        self._key = cell.vault.signing_key("ledger")
        self._vkey = self._key.verifier().vkey()
        self._cards = Cards()
        self._origin = f"lightwell/{cell.settings.cell}"

    def close(self) -> None:
        """Finish what waits to become durable."""
        self._commit.close()

    async def answer(self, account: Account, tab: Tab, k: int) -> dict[str, Any]:
        """Rank a slate for a viewer and answer it with its proof, once its record is durable.

        Args:
            account: the viewer.
            tab: which page of the feed.
            k: how many videos, 1..30.

        Raises:
            Problem: 503 when there is nothing to rank from yet.
        """
        if self._cell.database.is_sqlite:
            # An embedded database answers in microseconds; a thread would cost more than it frees.
            prepared, inputs, opening, body = self._prepare(account, tab, k)
        else:
            prepared, inputs, opening, body = await asyncio.to_thread(self._prepare, account, tab, k)
        await self._commit.durable(prepared)
        leaf = prepared.entry.leaf_hash
        promise = make_promise(self._key, self._origin, leaf, now_s() + PROMISE_SECONDS)
        body["proof"] = {
            "entry": prepared.entry.data.decode(),
            "opening": opening.hex(),
            "inputs_digest": hashlib.sha256(inputs).hexdigest(),
            "promise": promise,
            "vkey": self._vkey,
            "origin": self._origin,
            "leaf": leaf.hex(),
        }
        return body

    def _prepare(self, account: Account, tab: Tab, k: int) -> tuple[Prepared, bytes, bytes, dict[str, Any]]:
        cell = self._cell
        snapshot, policy = self._serving.current()
        with cell.database.read() as session:
            state = social.viewer_state(cell, session, account.account_id)
            inputs = SlateInputs(
                v=1,
                cell=cell.settings.cell,
                snapshot=snapshot.digest,
                policy=policy.digest,
                seed=secrets.token_hex(16),
                request=Request(tab=tab, k=k, hour=now_s() // 3600),
                viewer=_viewer(cell, account, state),
            )
            ranked, cards, inputs = self._rank_what_is_there(session, snapshot, policy, inputs)
            raw_inputs, raw_slate = inputs_bytes(inputs), slate_bytes(ranked.slate)
            opening = secrets.token_bytes(16)
            committed = commitment.commit(
                "slate", opening, hashlib.sha256(raw_inputs).digest(), hashlib.sha256(raw_slate).digest()
            )
            entry = SlateServed(
                at=minute_s(), commitment=committed.hex(), snapshot=snapshot.digest, policy=policy.digest
            )
            sealed = cell.vault.seal(
                session,
                account.account_id,
                "slate_records",
                "sealed",
                committed.hex(),
                _encode(Record(raw_inputs, raw_slate, opening)),
            )
            body = _present(ranked, cards, state)
        prepared = Prepared(account.account_id, committed, sealed, prepare(entry))
        return prepared, raw_inputs, opening, body

    def _rank_what_is_there(
        self, session: ReadSession, snapshot: Snapshot, policy: RankingPolicy, inputs: SlateInputs
    ) -> tuple[Ranked, dict[str, dict[str, Any]], SlateInputs]:
        """Rank; a video taken down since the snapshot becomes a recorded input, and it ranks again."""
        while True:
            ranked = pipeline.rank(snapshot, policy, inputs)
            shown = [item.video for item in ranked.slate.items]
            cards = self._cards.of(session, shown)
            gone = [video for video in shown if video not in cards]
            if not gone:
                return ranked, cards, inputs
            inputs = msgspec.structs.replace(inputs, withdrawn=sorted({*inputs.withdrawn, *gone}))


def _present(ranked: Ranked, cards: dict[str, dict[str, Any]], state: social.ViewerState) -> dict[str, Any]:
    items = []
    for place, (item, reasons) in enumerate(zip(ranked.slate.items, ranked.reasons, strict=True), 1):
        card = cards[item.video]
        creator, sound = card["creator"], card["sound"]
        promotion = next((r.about for r in reasons if r.code == "promotion"), None)
        items.append(
            {
                "place": place,
                "score": item.score,
                "source": item.source,
                "video": card,
                "liked": item.video in state.likes,
                "follows": f"{creator['cell']}:{creator['handle']}" in state.follows,
                "reasons": explain(reasons, {sound["sound_id"]: sound["title"]} if sound["sound_id"] else {}),
                "promotion": {"id": promotion} if promotion else None,
            }
        )
    return {"items": items}


def _viewer(cell: Cell, account: Account, state: social.ViewerState) -> Viewer:
    return Viewer(
        region=cell.settings.region,
        own=f"{cell.settings.cell}:{account.handle}",
        watched=list(state.watched.items()),
        seen=list(state.seen),
        follows=list(state.follows),
        likes=list(state.likes),
        hidden=list(state.hidden),
    )


def own_slate(cell: Cell, session: ReadSession, account: Account, leaf: bytes) -> dict[str, Any]:
    """Return the whole record of a slate to the viewer it was made for.

    Raises:
        Problem: 404 for a slate that does not exist or was somebody else's.
    """
    row = session.get(SlateRecordRow, leaf)
    if row is None or row.account_id != account.account_id:
        raise not_found("slate of yours")
    permit = _permit(cell, Principal(kind="account", id=account.account_id, role="self"), "use_own", row)
    record = open_record(cell, session, permit, row)
    return {
        "inputs": record.inputs.decode(),
        "slate": record.slate.decode(),
        "opening": record.opening.hex(),
        "commitment": row.commitment.hex(),
        "leaf": leaf.hex(),
    }


def records_for_replay(cell: Cell, session: ReadSession, commitments: list[bytes]) -> list[dict[str, str]]:
    """Open the records behind `commitments` for the partner's clean room; unknown ones are left out.

    A record that no longer opens (altered bytes, erased viewer) is left out too: the clean room then
    reports the slate as missing.
    """
    rows = session.scalars(select(SlateRecordRow).where(SlateRecordRow.commitment.in_(commitments)))
    found = []
    process = Principal(kind="process", id="cleanroom", role="cleanroom")
    for row in rows:
        permit = _permit(cell, process, "replay", row)
        try:
            record = open_record(cell, session, permit, row)
        except (ValueError, msgspec.DecodeError, KeyDestroyedError):
            continue
        found.append(
            {
                "commitment": row.commitment.hex(),
                "inputs": record.inputs.decode(),
                "slate": record.slate.decode(),
                "opening": record.opening.hex(),
            }
        )
    return found + padding_for_replay(session, commitments)


def open_record(cell: Cell, session: ReadSession, permit: Permit, row: SlateRecordRow) -> Record:
    """Unseal one slate record under a decision already made.

    Raises:
        ValueError: its bytes are not whole.
        KeyDestroyedError: its viewer was erased.
    """
    plain = cell.vault.unseal(
        permit, session, row.account_id, "slate_records", "sealed", row.commitment.hex(), row.sealed
    )
    return _decode(plain)


def _permit(cell: Cell, principal: Principal, action: str, row: SlateRecordRow) -> Permit:
    resource = Resource(category=_CATEGORY, residency="protected", owner=row.account_id)
    return cell.decider.decide(principal, action, resource)


def ensure_policy(session: WriteSession) -> str:
    """Adopt the founding ranking policy if the cell has none; return the digest of the newest one."""
    newest = session.scalar(select(RankingPolicyRow.digest).order_by(RankingPolicyRow.number.desc()).limit(1))
    if newest is not None:
        return newest
    policy = default_policy()
    leaf = enqueue(session, PolicyAdopted(at=now_s(), digest=policy.digest, approvals=0))
    session.add(RankingPolicyRow(digest=policy.digest, body=dump(policy), leaf=leaf))
    return policy.digest
