"""Two cells of a demo with real gateway processes, and what one can do who holds a cell's keys."""

import contextlib
import datetime
import hashlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from lightwell.agreement.roster import seats_of
from lightwell.apps.demo.deployment import Deployment, prepare
from lightwell.ledger.models import LedgerEntry
from lightwell.residency import gateway_tls
from lightwell.residency.cell import Cell
from lightwell.wire import canonical, entries, signed_request
from lightwell.wire.keys import SigningKey


class Gateways:
    """Two laid-out cells; `start` runs the gateway of one."""

    def __init__(self, folder: Path) -> None:
        self.deployment: Deployment = prepare(folder, fixed_ports=False)
        self.cells = {name: Cell.open(self.deployment.cell(name), "test") for name in ("us", "sg")}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Run the gateway process of a cell and wait until it answers a peer; `sg` only."""
        child = next(c for c in self.deployment.children() if c.name == f"{name} gateway")
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with child.log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                child.command, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(1200):
            with contextlib.suppress(httpx.TransportError), self.client() as client:
                client.get(
                    self.deployment.gateways[name] + "/",
                    extensions={"sni_hostname": gateway_tls.server_name(name)},
                )
                return
            time.sleep(0.1)
        raise AssertionError(child.log.read_text())

    def kill(self, name: str) -> None:
        """End a gateway at once and with no chance to finish anything."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End what runs."""
        for name in list(self._running):
            self.kill(name)
        for cell in self.cells.values():
            cell.close()

    def client(self, own: SigningKey | None = None, named: str = "us") -> httpx.Client:
        """Return a client to the sg gateway with the certificate of a key, the us gateway's by default."""
        key = own or self.cells["us"].vault.signing_key("gateway")
        made = gateway_tls.identity(key, named, datetime.datetime.now(datetime.UTC))
        vkey = seats_of(self.cells["us"].roster, "gateway", "sg")[0].vkey
        return httpx.Client(timeout=20, trust_env=False, verify=gateway_tls.client_context(made, vkey))

    def post(self, message: Any, client: httpx.Client, **changed: Any) -> httpx.Response:
        """Post a message to the sg gateway, signed as the us gateway would: its key is in wrong hands."""
        envelope = {
            "v": 1,
            "transfer": secrets.token_hex(8),
            "flow": "public-video",
            "source": "us",
            "target": "sg",
            "salt": secrets.token_hex(16),
            "message": message,
        }
        body = canonical.encode(envelope | changed)
        path = "/gateway/transfers"
        key = self.cells["us"].vault.signing_key("gateway")
        headers = signed_request.headers(
            key, "POST", path, hashlib.sha256(body).hexdigest(), int(time.time())
        )
        return client.post(
            self.deployment.gateways["sg"] + path,
            content=body,
            headers=headers,
            extensions={"sni_hostname": gateway_tls.server_name("sg")},
        )

    def entries_of(self, cell: str, kind: type[Any]) -> list[Any]:
        """Return a cell's entries of a kind, sequenced or queued."""
        with self.cells[cell].database.read() as session:
            rows = session.query(LedgerEntry).order_by(LedgerEntry.entry_id)
            found = [entries.decode(row.entry) for row in rows]
        return [entry for entry in found if isinstance(entry, kind)]


def message(caption: str = "an ordinary caption", **changed: Any) -> dict[str, Any]:
    """Return a published video's message; no media follows it."""
    video_id = secrets.token_hex(8)
    digest = hashlib.sha256(video_id.encode()).hexdigest()
    return {
        "video_id": video_id,
        "origin_cell": "us",
        "creator_handle": "mira.folds",
        "creator_name": "Mira",
        "caption": caption,
        "hashtags": ["origami"],
        "sound_title": "",
        "sound_artist": "",
        "duration_ms": 7000,
        "width": 720,
        "height": 1280,
        "published_at": int(time.time() * 1000),
        "media": dict.fromkeys(("540.mp4", "720.mp4", "poster.jpg"), digest),
    } | changed


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Gateways]:
    """Run the sg gateway while the block lasts."""
    gateways = Gateways(folder)
    try:
        gateways.start("sg")
        yield gateways
    finally:
        gateways.close()
