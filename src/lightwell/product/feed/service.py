"""A slate is gathered, ranked, sealed, made durable with its entry, and only then answered with a promise."""

import asyncio
import hashlib
import secrets
import threading
from collections.abc import Generator, Mapping, Sequence

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from lightwell.base.clock import minute_s, now_s
from lightwell.base.db import ReadSession
from lightwell.base.errors import Problem
from lightwell.base.together import InStep, Together
from lightwell.ledger.queue import prepare
from lightwell.product import social
from lightwell.product.accounts import Account
from lightwell.product.accounts.raw_requests import account_of
from lightwell.product.feed import records
from lightwell.product.feed.answers import Proof, answer_bytes
from lightwell.product.feed.cards import Card, Cards, nothing
from lightwell.product.feed.external import Rankers
from lightwell.product.feed.group_commit import GroupCommit, Prepared
from lightwell.product.feed.records import Record
from lightwell.product.feed.serving import RankedFrom
from lightwell.product.feed.shards_serving import serving_of
from lightwell.recommender import kernels
from lightwell.recommender.pipeline import Ranked
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.record import (
    MOST_WITHDRAWN,
    Request,
    SlateInputs,
    Tab,
    Viewer,
    inputs_bytes,
    seed_of,
    slate_bytes,
)
from lightwell.residency.cell import Cell
from lightwell.residency.keys import KeyDestroyedError
from lightwell.wire import commitment
from lightwell.wire.entries import SlateServed

MAX_SLATE = 30
_AT_ONCE = 32
# A commit, and all that one request leaves cold for the next, cost as much as half a ranking: less than a
# viewer could notice is waited so that several share it.
_APART_SECONDS = 0.01
_READY_SECONDS = 0.2


class _Asked(msgspec.Struct):
    """A request for a slate, and what it is ranked from."""

    snapshot: RankedFrom
    policy: RankingPolicy
    token: str
    tab: Tab
    k: int
    nonce: str


class _Draft(msgspec.Struct):
    """A slate that waits to be durable, and what its answer is made of."""

    prepared: Prepared
    ranked: Ranked
    cards: Mapping[str, Card]
    state: social.ViewerState
    inputs_digest: str
    opening: str


class Feed:
    """Answers feed requests of one process.

    Args:
        cell: the cell whose viewers it serves.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.serving = serving_of(cell)
        self._is_whole = not self.serving.asks_others
        key = cell.vault.signing_key("ledger")
        self._vkey = key.verifier().vkey()
        self._origin = f"lightwell/{cell.settings.cell}"
        self._commit = GroupCommit(cell.database, key, self._origin)
        self._cards = Cards(cell.database)
        self._rankers = Rankers(cell, self.serving.features_of)
        self._together = Together(self._draft, _AT_ONCE, _APART_SECONDS)

    def make_ready(self, stop: threading.Event) -> None:
        """Read what this process ranks from before somebody asks, as soon as there is anything to read.

        Shards hold the newest snapshots only, so a process that ranks from them follows though nobody asks.
        """
        kernels.warm()
        while not stop.is_set():
            try:
                self.serving.current()
            except (Problem, SQLAlchemyError, OSError):
                stop.wait(_READY_SECONDS)
            else:
                if self._is_whole:
                    return
                stop.wait(_READY_SECONDS)

    def close(self) -> None:
        """Finish what waits to become durable."""
        self._commit.close()
        self._rankers.close()
        self.serving.close()

    async def answer(self, token: str, tab: Tab, k: int, nonce: str = "") -> bytes:
        """Rank a slate for a viewer and answer it with its proof, once its record is durable.

        Args:
            token: of the viewer's session.
            tab: which page of the feed.
            k: how many videos, 1..30.
            nonce: 32 hex characters that the viewer drew, from which all draws of this ranking follow; empty
                if the viewer gave none, and then the cell draws.

        Returns:
            The JSON of the answer; see `answers.answer_bytes`.

        Raises:
            Problem: 401 nobody is signed in with it, or the account was erased meanwhile; 503 there is
                nothing to rank from yet.
        """
        try:
            snapshot, policy = self.serving.current()
        except Problem:
            # Whoever is not signed in is told so, and no more.
            await asyncio.to_thread(account_of, self._cell, token)
            raise
        asked = _Asked(snapshot, policy, token, tab, k, nonce)
        try:
            if self._cell.database.is_sqlite and policy.external is None and self._is_whole:
                # An embedded database answers in microseconds; a thread would cost more than it frees.
                draft = await self._together.outcome(asked)
            else:
                draft = await asyncio.to_thread(self._draft_alone, asked)
        except KeyDestroyedError as error:
            raise Problem(401, "not-signed-in", "This account is gone.") from error
        entry = draft.prepared.entry
        promise = await self._commit.durable(draft.prepared)
        proof = Proof(
            entry=entry.data.decode(),
            opening=draft.opening,
            inputs_digest=draft.inputs_digest,
            promise=promise,
            vkey=self._vkey,
            origin=self._origin,
            leaf=entry.leaf_hash.hex(),
        )
        return answer_bytes(draft.ranked, draft.cards, draft.state, k, proof)

    def _draft_alone(self, asked: _Asked) -> _Draft:
        (made,) = self._draft((asked,))
        if isinstance(made, Exception):
            raise made
        return made

    def _draft(self, asked: Sequence[_Asked]) -> list[_Draft | Exception]:
        """Draft slates side by side: what one reads or runs, the next finds near the processor."""
        database = self._cell.database
        with database.read_if_needed() as session:
            drafts = InStep([self._drafting(session, one) for one in asked])
            with database.one_read():
                drafts.step()
            shown = drafts.step()
            with database.one_read():
                self._cards.of(list({video for some in shown for video in some}))
                drafts.step()
        return drafts.outcomes

    def _drafting(self, session: ReadSession, asked: _Asked) -> Generator[list[str], None, _Draft]:
        """Draft a slate; it stops before it ranks, and when it has, to tell which videos it shows."""
        cell, snapshot, policy, tab = self._cell, asked.snapshot, asked.policy, asked.tab
        account = account_of(cell, asked.token)
        state = social.viewer_state(cell, session, account.account_id)
        if tab == "for_you" and state.without_profiling:
            tab = "without_profiling"
        inputs = SlateInputs(
            v=1,
            cell=cell.settings.cell,
            snapshot=snapshot.digest,
            policy=policy.digest,
            nonce=asked.nonce,
            seed=seed_of(asked.nonce) if asked.nonce else secrets.token_hex(16),
            request=Request(tab=tab, k=asked.k, hour=now_s() // 3600),
            viewer=_viewer(cell, account, state, tab),
        )
        yield []
        inputs = self._rankers.asked(snapshot, policy, inputs)
        ranked = self.serving.rank(snapshot, policy, inputs)
        yield _shown(ranked)
        ranked, cards, inputs = self._of_what_is_there(snapshot, policy, inputs, ranked)
        raw_inputs, raw_slate = inputs_bytes(inputs), slate_bytes(ranked.slate)
        opening, inputs_digest = secrets.token_bytes(16), hashlib.sha256(raw_inputs)
        committed = commitment.commit(
            "slate", opening, inputs_digest.digest(), hashlib.sha256(raw_slate).digest()
        )
        row = committed.hex()
        entry = SlateServed(at=minute_s(), commitment=row, snapshot=snapshot.digest, policy=policy.digest)
        record = records.encode(Record(raw_inputs, raw_slate, opening))
        sealed = cell.vault.seal(session, account.account_id, "slate_records", "sealed", row, record)
        prepared = Prepared(account.account_id, committed, sealed, prepare(entry))
        return _Draft(prepared, ranked, cards, state, inputs_digest.hexdigest(), opening.hex())

    def _of_what_is_there(
        self, snapshot: RankedFrom, policy: RankingPolicy, inputs: SlateInputs, ranked: Ranked
    ) -> tuple[Ranked, Mapping[str, Card], SlateInputs]:
        """Add cards; videos taken down since the snapshot become a recorded input, and it ranks again."""
        while True:
            shown = _shown(ranked)
            cards = self._cards.of(shown)
            if len(cards) == len(shown):
                return ranked, cards, inputs
            # All that this ranking considered is looked at, so that few more are needed however many went.
            considered = [*shown, *(video for video, why in ranked.dropped if why == "outranked")]
            withdrawn = {*inputs.withdrawn, *self._cards.missing(considered)}
            if len(withdrawn) > MOST_WITHDRAWN:
                # More than a record holds: these keep their line in the slate and have nothing to show.
                return (
                    ranked,
                    cards | {video: nothing(video) for video in shown if video not in cards},
                    inputs,
                )
            inputs = msgspec.structs.replace(inputs, withdrawn=sorted(withdrawn))
            ranked = self.serving.rank(snapshot, policy, inputs)


def _shown(ranked: Ranked) -> list[str]:
    return [item.video for item in ranked.slate.items]


def _viewer(cell: Cell, account: Account, state: social.ViewerState, tab: Tab) -> Viewer:
    if tab == "without_profiling":
        return Viewer(region=cell.settings.region)
    return Viewer(
        region=cell.settings.region,
        adult=account.adult,
        own=f"{cell.settings.cell}:{account.handle}",
        watched=list(state.watched.items()),
        seen=list(state.seen),
        follows=list(state.follows),
        likes=list(state.likes),
        hidden=list(state.hidden),
        blocked=list(state.blocked),
        muted=list(state.muted),
    )
