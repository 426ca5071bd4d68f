"""What a web process ranks from when shards hold the catalogue: no more than what all of them hold ready."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from lightwell.base.labels import declare_cache
from lightwell.base.telemetry import log
from lightwell.product.feed import shards_files
from lightwell.product.feed.serving import Named, RankedFrom, Serving
from lightwell.product.feed.shards_links import AwayError, Links
from lightwell.product.feed.snapshot_files import UNREADABLE
from lightwell.recommender import shards_rank
from lightwell.recommender.pipeline import Ranked
from lightwell.recommender.policy import RankingPolicy
from lightwell.recommender.record import SlateInputs
from lightwell.recommender.shards_asked import Failed, Open, Opened, Settle
from lightwell.recommender.shards_front import AnswersError, Front
from lightwell.recommender.shards_rank import Best
from lightwell.residency.cell import Cell

declare_cache("feed.shards_serving", "fronts of snapshots", "system.operations", "interop")

_log = log("feed.shards")
_OPEN_SECONDS: Final = 120.0
_FRONTS_KEPT: Final = 2
_HELD: Final = 3


class ShardedServing(Serving):
    """As `Serving`, over shards: a snapshot serves once every shard has said that it holds it.

    Args:
        cell: whose feed it is; its settings say how many shards there are.
    """

    asks_others = True

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        settings = cell.settings
        folder = shards_files.shards_folder(cell)
        self.links = Links(folder, settings.shards, settings.shard_milliseconds / 1000)
        self._covers: OrderedDict[str, Front] = OrderedDict()
        self._held: OrderedDict[str, Front] = OrderedDict()
        self._lost = threading.Event()

    def rank(self, snapshot: RankedFrom, policy: RankingPolicy, inputs: SlateInputs) -> Ranked:
        """Rank a request; of a snapshot that shards hold, by asking them.

        Raises:
            AwayError: 503, one of them is away.
        """
        if isinstance(snapshot, Front):
            return self._carry(shards_rank.rank(snapshot, policy, inputs))
        return super().rank(snapshot, policy, inputs)

    def features_of(
        self, snapshot: RankedFrom, policy: RankingPolicy, inputs: SlateInputs, most: int
    ) -> Best:
        """As `pipeline.features_of`, and as `rank`."""
        if isinstance(snapshot, Front):
            return self._carry(shards_rank.best(snapshot, policy, inputs, most))
        return super().features_of(snapshot, policy, inputs, most)

    def load(self, digest: str) -> RankedFrom:
        """Return a snapshot that has been published: one that shards hold, or the whole, mapped here."""
        held = self._held.get(digest)
        return super().load(digest) if held is None or self._lost.is_set() else held

    def close(self) -> None:
        """End the connections to shards."""
        self.links.close()

    def _carry(self, talk: shards_rank.Talk[shards_rank.Outcome]) -> shards_rank.Outcome:
        try:
            return self.links.carry(talk)
        except AnswersError as error:
            self._lost.set()
            raise AwayError(-1, "malformed") from error
        except AwayError as error:
            # It may have been started anew and hold nothing yet: the next look opens what serves again.
            self._lost.set()
            _log.error("a shard is away", shard=error.shard, why=error.why)
            raise

    def _next(self) -> Named | None:
        if not self._lost.is_set():
            return super()._next()
        now = time.monotonic()
        return next((named for named in self._wanted if self._unreadable.get(named[0], 0) <= now), None)

    def _is_small(self, named: Named) -> bool:
        """Whether it is read at once: never, since shards are waited for."""
        return False

    def _switch(self) -> None:
        try:
            while (wanted := self._next()) is not None:
                try:
                    self._snapshot = self._open(*wanted)
                    self._lost.clear()
                except AwayError as error:
                    # The last one serves on where it can; the next look tries again.
                    _log.warning("a shard is not ready", shard=error.shard, why=error.why)
                    return
                except (*UNREADABLE, AnswersError) as error:
                    self._put_aside(wanted[0], error)
        finally:
            self._loading.release()

    def _open(self, digest: str, base: str) -> Front:
        """Split what is not split yet, let every shard open its part, and look out over all of them."""
        cover = self._covers.get(base)
        if cover is None:
            cover = self._covers[base] = shards_files.open_cover(self._cell, base)
        front = cover
        if digest != base:
            front = cover.with_update(shards_files.put_update(self._cell, digest), digest)
        before = self._snapshot
        depth = before.window.depth if isinstance(before, Front) and before.window else 0
        hold_everywhere(self.links, front, depth)
        self._held[digest] = front
        for kinds, most in ((self._covers, _FRONTS_KEPT), (self._held, _HELD)):
            while len(kinds) > most:
                kinds.popitem(last=False)
        return front


def hold_everywhere(links: Links, front: Front, depth: int = 0) -> None:
    """Let every shard hold a snapshot ready, and look out over all of them.

    Args:
        links: to the shards, which find the files of the snapshot in their folder.
        front: of the snapshot.
        depth: how deep the window is to be, if deeper than it always is.

    Raises:
        AwayError: one of them does not.
    """
    opened = links.ask([Open(snapshot=front.digest, base=front.base)] * front.shards, _OPEN_SECONDS)
    totals = [reply.totals for reply in opened if isinstance(reply, Opened)]
    if len(totals) < front.shards:
        raise _failure(opened)
    whole = totals[0]
    for more in totals[1:]:
        whole += more
    settled = links.ask([Settle(snapshot=front.digest, totals=whole)] * front.shards, _OPEN_SECONDS)
    if any(isinstance(reply, Failed) for reply in settled):
        raise _failure(settled)
    links.carry(shards_rank.look_out(front, max(depth, shards_rank.LEAST_WINDOW)))


def serving_of(cell: Cell) -> Serving:
    """What this process ranks from, as the cell's settings say: the whole catalogue, or shards."""
    return Serving(cell) if cell.settings.shards == 1 else ShardedServing(cell)


def _failure(replies: Sequence[object]) -> AwayError:
    for shard, reply in enumerate(replies):
        if isinstance(reply, Failed):
            return AwayError(shard, reply.why)
    return AwayError(-1, "malformed")
