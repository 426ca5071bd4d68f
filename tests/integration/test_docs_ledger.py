"""The commands in docs/ledger.md work as they stand there, one after another, against a ledger over HTTP."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lightwell.ledger.folder import Folder
from lightwell.wire import merkle, trust
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.edge import Edge
from lightwell.wire.entries import PolicyAdopted, encode
from lightwell.wire.keys import SigningKey
from tests.go_toolchain import go_environment, require_go

ROOT = Path(__file__).parents[2]
KEY = SigningKey.generate("lightwell/us", bytes(32))


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[str]:
    """Address of a cell's public files."""
    edge = Edge()
    entries = [encode(PolicyAdopted(at=n, digest="ab" * 32, approvals=1)) for n in range(300)]
    storage = Folder(tmp_path / "served" / "ledger")
    storage.write(edge.append(entries, [merkle.leaf_hash(entry) for entry in entries]))
    storage.publish(sign(Checkpoint("lightwell/us", edge.size, edge.root()), KEY).encode(), None)
    (storage.folder / "policy").write_bytes(trust.of_keys(KEY.verifier()).encode())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_every_command_on_the_page_ends_well(cell: str, tmp_path: Path) -> None:
    require_go()
    commands = re.findall(r"^    \$ (.+)$", (ROOT / "docs" / "ledger.md").read_text(), re.MULTILINE)
    assert len(commands) >= 8
    place = tmp_path / "place"
    shutil.copytree(ROOT / "conformance", place / "conformance")
    script = "\n".join(["set -euo pipefail", *commands])
    environment = os.environ | go_environment() | {"CELL": cell}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "300 entries, 0 problems" in ended.stdout
    assert "holds: PolicyAdopted, entry 0 of 300" in ended.stdout
