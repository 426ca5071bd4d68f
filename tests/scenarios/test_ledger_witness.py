"""The witness as a process of its own, over real HTTP: it is killed at any moment and forgets nothing."""

import hashlib
import http.client
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lightwell.base.db import Database
from lightwell.base.settings import CellSettings
from lightwell.ledger.queue import enqueue
from lightwell.ledger.sequencer import Sequencer
from lightwell.oversight.monitor import WITNESS_MLDSA_KEY, read_witness_keys
from lightwell.wire import entries, tiles
from lightwell.wire.checkpoint import Checkpoint, open_checkpoint, sign
from lightwell.wire.keys import MLDSA_COSIGNATURE
from lightwell.wire.trust import Group, Known, TrustPolicy
from lightwell.wire.witnessing import encode_request
from tests.factories.seen_cell import SeenCell, key, oversight_folder
from tests.scenarios.attacker import Attacker, video, wait_for

ORIGIN_HASH = hashlib.sha256(b"lightwell/us").hexdigest()


class Process:
    """An oversight server in a process of its own."""

    def __init__(self, folder: Path, cell: SeenCell) -> None:
        settings = oversight_folder(folder, [cell], f"http://127.0.0.1:{free_port()}")
        (folder / WITNESS_MLDSA_KEY).write_text(key("oversight-witness", MLDSA_COSIGNATURE).text())
        self.settings = settings
        self.verifiers = [one.verifier() for one in read_witness_keys(settings.folder)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "lightwell.apps.oversee", "serve", str(self.settings.folder)]
        self.process = subprocess.Popen(command, start_new_session=True)
        wait_for(self.answers, 120)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.settings.url}/api/overview", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """End the server and its worker without any warning."""
        if self.process is not None:
            # The server has a worker: both are of the process group that was started here.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def cell() -> Attacker:
    cell = Attacker()
    cell.grow(3)
    return cell


@pytest.fixture
def witness(cell: SeenCell, tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "oversight", cell)
    process.start()
    yield process
    process.kill()


def test_many_requests_go_over_one_connection(witness: Process, cell: Attacker) -> None:
    address = urlsplit(witness.settings.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.connect()
    ours = connection.sock.getsockname()
    body = encode_request(0, [], cell.files["checkpoint"].decode())
    for status in (200, 409, 400, 404):
        path = "/witness/us" if status != 404 else "/witness/xx"
        connection.request("POST", f"{path}/add-checkpoint", b"" if status == 400 else body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        assert connection.sock is not None, "the connection was closed"
        assert connection.sock.getsockname() == ours
    connection.request("GET", f"/witness/us/{ORIGIN_HASH}/checkpoint")
    note = connection.getresponse().read().decode()
    assert connection.sock.getsockname() == ours
    opened = open_checkpoint(note, cell.key.verifier(), witness.verifiers)
    assert {s.verifier for s in opened.note.signatures} == {cell.key.verifier(), *witness.verifiers}


def test_a_witness_killed_at_any_moment_never_forgets_what_it_cosigned(
    witness: Process, cell: Attacker
) -> None:
    chance = random.Random(7)
    refused: list[str] = []
    cosigned, url = 0, f"{witness.settings.url}/witness/us"
    for _ in range(4):
        acknowledged: list[int] = []
        stop = threading.Event()

        def grow(size: int, acknowledged: list[int], stop: threading.Event) -> None:
            with httpx.Client(timeout=5) as client:
                while not stop.is_set():
                    cell.grow(1)
                    grown = cell.checkpoint.size
                    proof = tiles.consistency_proof(cell.read_tile, size, grown) if size else []
                    body = encode_request(size, proof, cell.files["checkpoint"].decode())
                    try:
                        answer = client.post(f"{url}/add-checkpoint", content=body)
                    except httpx.HTTPError:
                        return
                    if answer.status_code != 200:
                        refused.append(answer.text)
                        return
                    size = grown
                    acknowledged.append(size)

        thread = threading.Thread(target=grow, args=(cosigned, acknowledged, stop))
        thread.start()
        wait_for(lambda seen=acknowledged: len(seen) > 3)
        time.sleep(chance.random() / 4)
        witness.kill()
        stop.set()
        thread.join()
        assert refused == []
        witness.start()
        last = acknowledged[-1]
        with httpx.Client(timeout=5) as client:
            answer = client.post(
                f"{url}/add-checkpoint", content=encode_request(0, [], cell.checkpoint_of(1))
            )
            assert (answer.status_code, answer.headers["content-type"]) == (409, "text/x.tlog.size")
            # At most the request that was on its way when it was killed is remembered, but not answered.
            assert last <= int(answer.text) <= cell.checkpoint.size
            cosigned = int(answer.text)
            fork = sign(Checkpoint("lightwell/us", last, b"\7" * 32), cell.key)
            for old in (0, last):
                answer = client.post(f"{url}/add-checkpoint", content=encode_request(old, [], fork))
                assert answer.status_code in (400, 409, 422)
            served = client.get(f"{url}/{ORIGIN_HASH}/checkpoint").text
            opened = open_checkpoint(served, cell.key.verifier(), witness.verifiers)
            assert opened.checkpoint.size == cosigned
            assert len(opened.note.signatures) == 3


class LedgerFolder(SeenCell):
    """A real cell's ledger, written by its own sequencer and answered over HTTP."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.database = Database(f"sqlite:///{folder / 'cell.db'}")
        self.database.create_all()

    def answer(self, path_and_query: str) -> tuple[int, bytes]:
        file = self.folder / path_and_query.removeprefix("/")
        found = path_and_query.startswith("/ledger/") and file.is_file()
        return (200, file.read_bytes()) if found else (404, b"")

    def queue(self, count: int) -> None:
        with self.database.write() as session:
            for number in range(count):
                enqueue(session, entries.decode(video(secrets.randbelow(2**60) + number)))  # type: ignore[arg-type]

    def sequencer(self, policy: TrustPolicy) -> Sequencer:
        (self.folder / "ledger.policy").write_text(policy.text())
        settings = CellSettings(
            cell="us", region="us", url=self.url, folder=self.folder, ledger_policy="ledger.policy",
            checkpoint_milliseconds=20,
        )  # fmt: skip
        return Sequencer(settings, self.database, self.key)


def test_a_cells_own_writer_is_cosigned_by_both_keys_and_waits_for_a_witness_that_is_away(
    tmp_path: Path,
) -> None:
    (tmp_path / "us").mkdir()
    cell = LedgerFolder(tmp_path / "us")
    server = cell.listen()
    witness = Process(tmp_path / "oversight", cell)
    url = f"{witness.settings.url}/witness/us"
    members = {f"w{n}": Known(one, url) for n, one in enumerate(witness.verifiers)}
    policy = TrustPolicy("both", (Known(cell.key.verifier()),), members, {"both": Group(2, tuple(members))})
    writer, stop = cell.sequencer(policy), threading.Event()
    thread = threading.Thread(target=writer.run, args=(stop,))

    def published() -> int:
        file = cell.folder / "ledger" / "checkpoint"
        # Whatever is public has its quorum: opening it would say if not.
        return policy.open(file.read_text()).checkpoint.size if file.exists() else -1

    def figures() -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{witness.settings.url}/api/cells/us/ledger").json()
        return found

    try:
        witness.start()
        thread.start()
        total = 0
        for count in (1, 300, 2):
            cell.queue(count)
            total += count
            wait_for(lambda total=total: published() == total)
        wait_for(lambda: figures()["size"] == total)
        assert figures()["witnesses"][0]["cosigned_with"] == ["Ed25519", "ML-DSA-44"]
        witness.kill()
        cell.queue(5)
        time.sleep(0.5)
        assert published() == total
        witness.start()
        wait_for(lambda: published() == total + 5, 30)
        wait_for(lambda: figures()["size"] == total + 5)
        served = httpx.get(f"{url}/{ORIGIN_HASH}/checkpoint").text
        assert (
            policy.open(served).checkpoint
            == policy.open((cell.folder / "ledger/checkpoint").read_text()).checkpoint
        )
        assert httpx.get(f"{witness.settings.url}/api/findings?cell=us").json()["findings"] == []
    finally:
        stop.set()
        thread.join()
        witness.kill()
        server.shutdown()
        cell.database.dispose()
