"""The courier delivers what the gateway has recorded, again and again until the peer accepts or refuses.

Each time it inspects it again first: what was written into the queue behind the gateway's back does not go.
"""

import datetime
import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import httpx
import msgspec
from sqlalchemy import select, update

from lightwell.base.clock import minute_s, now_ms, now_s
from lightwell.base.errors import Problem
from lightwell.base.settings import Peer
from lightwell.base.telemetry import log
from lightwell.ledger.queue import enqueue
from lightwell.residency import gateway
from lightwell.residency.cell import Cell
from lightwell.residency.gateway_models import OutgoingTransfer
from lightwell.residency.gateway_rules import TransferRefusal, record_refusal
from lightwell.residency.gateway_tls import client_context, identity, pinned, server_name
from lightwell.wire.entries import TransferRefused
from lightwell.wire.signed_request import headers

POLL_SECONDS: Final = 0.2
CLAIM_MS: Final = 120_000
MAX_WAIT_MS: Final = 30_000
BATCH: Final = 20

_log = log("courier")


class _PeerRefusedError(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Courier:
    """Delivers the outgoing transfers of one cell; several may run, a transfer is claimed by one at a time.

    Args:
        cell: the sending cell.
        client: HTTP client to deliver with; by default one for each peer that speaks mutual TLS with that
            peer's gateway alone, without proxy, redirects or cookies of others.
    """

    def __init__(self, cell: Cell, client: httpx.Client | None = None) -> None:
        self._cell = cell
        self._key = cell.vault.signing_key("gateway")
        self._peers: dict[str, Peer] = {peer.cell: peer for peer in cell.settings.peers}
        self._given = client
        self._clients: dict[str, httpx.Client] = {}

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set; a peer that is down is tried again with growing pauses."""
        while not stop.wait(POLL_SECONDS):
            try:
                self.deliver_due()
            except Exception as error:  # noqa: BLE001  a restarting database must not end the courier
                _log.error("looking for transfers failed", error)
        for client in self._clients.values():
            client.close()

    def deliver_due(self) -> int:
        """Try every transfer that is due once; return how many were accepted."""
        return sum(self._deliver(row) for row in self._claimed())

    def _claimed(self) -> Iterator[OutgoingTransfer]:
        due = (
            select(OutgoingTransfer)
            .where(OutgoingTransfer.state == "queued", OutgoingTransfer.next_try_at <= now_ms())
            .order_by(OutgoingTransfer.next_try_at)
            .limit(BATCH)
        )
        with self._cell.database.read() as session:
            rows = list(session.scalars(due))
        for row in rows:
            with self._cell.database.write() as session:
                claimed = session.scalars(
                    update(OutgoingTransfer)
                    .where(
                        OutgoingTransfer.transfer_id == row.transfer_id,
                        OutgoingTransfer.next_try_at == row.next_try_at,
                        OutgoingTransfer.state == "queued",
                    )
                    .values(next_try_at=now_ms() + CLAIM_MS, attempts=OutgoingTransfer.attempts + 1)
                    .returning(OutgoingTransfer.transfer_id)
                    .execution_options(synchronize_session=False)
                ).first()
            if claimed is not None:
                yield row

    def _deliver(self, row: OutgoingTransfer) -> bool:
        peer = self._peers.get(row.peer)
        try:
            if peer is None:
                raise TransferRefusal("no-flow", "This cell's gateway knows no such cell.")
            gateway.recheck(self._cell, row)
            if not self._hand_over(peer, row):
                self._postpone(row)
                return False
        except TransferRefusal as refusal:
            self._stop(row, refusal)
            return False
        except _PeerRefusedError as refusal:
            self._close(row, "refused", refusal.reason)
            return False
        except (httpx.HTTPError, OSError, Problem) as error:
            _log.warning(
                "a transfer waits", peer=row.peer, transfer=row.transfer_id, why=type(error).__name__
            )
            self._postpone(row)
            return False
        self._close(row, "accepted", "")
        return True

    def _hand_over(self, peer: Peer, row: OutgoingTransfer) -> bool:
        """Give the message, then the media that the peer lacks, then the message again."""
        keys: dict[str, str] = msgspec.json.decode(row.media, type=dict[str, str])
        answer = self._request(peer, "POST", "/gateway/transfers", row.envelope)
        for digest in _missing(answer):
            if digest not in keys:
                raise _PeerRefusedError("media-unknown")
            data = self._cell.objects.get(keys[digest])
            if sha256(data).hexdigest() != digest:
                # It was other bytes a moment ago, when they were inspected.
                raise TransferRefusal("media-digest")
            sent = self._request(peer, "PUT", f"/gateway/media/{digest}", data)
            if not sent.is_success:
                return _accepted(sent)
        if answer.status_code == httpx.codes.CONFLICT:
            answer = self._request(peer, "POST", "/gateway/transfers", row.envelope)
        return _accepted(answer)

    def _request(self, peer: Peer, method: str, path: str, body: bytes) -> httpx.Response:
        signed = headers(self._key, method, path, sha256(body).hexdigest(), now_s())
        signed["Content-Type"] = "application/octet-stream"
        return self._client(peer).request(
            method,
            peer.url.rstrip("/") + path,
            content=body,
            headers=signed,
            extensions={"sni_hostname": server_name(peer.cell)},
        )

    def _client(self, peer: Peer) -> httpx.Client:
        if self._given is not None:
            return self._given
        client = self._clients.get(peer.cell)
        if client is None:
            vkey = pinned(self._cell.roster, [peer]).get(peer.cell)
            if vkey is None:
                raise _PeerRefusedError("bad-signature")
            own = identity(self._key, self._cell.settings.cell, datetime.datetime.now(datetime.UTC))
            # No proxy, no redirect: the only place this client reaches is the peer in the settings.
            client = httpx.Client(
                timeout=30, trust_env=False, follow_redirects=False, verify=client_context(own, vkey)
            )
            self._clients[peer.cell] = client
        return client

    def _stop(self, row: OutgoingTransfer, refusal: TransferRefusal) -> None:
        """Record what may not go after all, keep what a tripwire stopped, and try it no more."""
        _log.warning("a queued transfer was stopped", peer=row.peer, reason=refusal.reason)
        record_refusal(
            self._cell,
            row.transfer_id,
            row.flow,
            row.peer,
            refusal.reason,
            refusal.stopped,
            outgoing=True,
        )
        with self._cell.database.write() as session:
            session.execute(
                update(OutgoingTransfer)
                .where(OutgoingTransfer.transfer_id == row.transfer_id)
                .values(state="refused", reason=refusal.reason)
            )

    def _postpone(self, row: OutgoingTransfer) -> None:
        wait = min(MAX_WAIT_MS, 250 * 2 ** min(row.attempts, 8))
        with self._cell.database.write() as session:
            session.execute(
                update(OutgoingTransfer)
                .where(OutgoingTransfer.transfer_id == row.transfer_id)
                .values(next_try_at=now_ms() + wait)
            )

    def _close(self, row: OutgoingTransfer, state: str, reason: str) -> None:
        with self._cell.database.write() as session:
            session.execute(
                update(OutgoingTransfer)
                .where(OutgoingTransfer.transfer_id == row.transfer_id)
                .values(state=state, reason=reason)
            )
            if state == "refused":
                _log.warning("a peer refused a transfer", peer=row.peer, reason=reason)
                enqueue(
                    session,
                    TransferRefused(
                        at=minute_s(),
                        transfer=row.transfer_id,
                        flow=row.flow,
                        peer=row.peer,
                        reason=f"by-peer:{reason}",
                    ),
                )


def _problem(answer: httpx.Response) -> dict[str, object]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _missing(answer: httpx.Response) -> list[str]:
    if answer.status_code != httpx.codes.CONFLICT:
        return []
    missing = _problem(answer).get("missing")
    return [digest for digest in missing if isinstance(digest, str)] if isinstance(missing, list) else []


def _accepted(answer: httpx.Response) -> bool:
    """Say whether the peer accepted; False asks to try later, a final refusal raises."""
    if answer.is_success:
        return True
    problem = _problem(answer)
    reason = problem.get("reason")
    # A spent budget ends with the day; everything else that a gateway refuses stays refused.
    if str(problem.get("type", "")).endswith(":transfer-refused") and reason != "over-budget":
        raise _PeerRefusedError(str(reason)[:40])
    return False
