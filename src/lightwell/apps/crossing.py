"""Published videos cross: each one made here is sent once to every cell that a flow leads to."""

import threading

from lightwell.base.clock import now_ms
from lightwell.base.errors import Problem
from lightwell.base.telemetry import log
from lightwell.product import videos
from lightwell.residency import gateway
from lightwell.residency.cell import Cell

_log = log("crossing")
_LOOK_SECONDS = 0.5
# Two transactions may commit in another order than their videos' times; none takes this long.
_OVERLAP_MS = 10 * 60 * 1000


class Herald:
    """Hands every video published here to the gateway, once a peer; the gateway decides whether it goes.

    A restarted process hands over everything again, and the gateway knows what it has already sent.

    Args:
        cell: the sending cell.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._told: set[str] = set()
        self._since = 0

    def run(self, stop: threading.Event) -> None:
        """Hand over until `stop` is set."""
        while not stop.wait(_LOOK_SECONDS):
            try:
                self.tell()
            except Exception as error:  # noqa: BLE001  a restarting database must not end the herald
                _log.error("telling of published videos failed", error)

    def tell(self) -> int:
        """Hand over what is new; return how many videos."""
        looked_at = now_ms()
        with self._cell.database.read() as session:
            rows = [
                row for row in videos.published_here(session, self._since) if row.video_id not in self._told
            ]
        for row in rows:
            message, keys = videos.public_video(row), videos.media_keys(row.video_id)
            for peer in self._cell.settings.peers:
                try:
                    gateway.send(self._cell, peer.cell, message, keys, row.account_id or "")
                except Problem as problem:
                    # A refusal is an entry already; sending the same again would be refused again.
                    reason = str(problem.extra.get("reason"))
                    _log.warning("a video may not cross", peer=peer.cell, reason=reason)
            self._told.add(row.video_id)
        self._since = looked_at - _OVERLAP_MS
        return len(rows)
