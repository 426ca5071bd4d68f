"""The ledger over HTTP, to a reader that has nothing but the log's key."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.testing import TestClient

from lightwell.base.db import Database
from lightwell.base.errors import Problem
from lightwell.base.settings import CellSettings
from lightwell.ledger import fsck, serve
from lightwell.ledger.queue import enqueue_many
from lightwell.ledger.sequencer import Sequencer
from lightwell.wire import merkle, trust
from lightwell.wire.checkpoint import open_checkpoint
from lightwell.wire.entries import PolicyAdopted
from lightwell.wire.keys import COSIGNATURE, SigningKey

KEY = SigningKey.generate("lightwell/us", bytes(32))
WITNESS = SigningKey.generate("witness", bytes([1]) * 32, COSIGNATURE)
Client = TestClient[Litestar]


class Vault:
    def signing_key(self, name: str) -> SigningKey:
        assert name == "ledger"
        return KEY


@dataclass
class Host:
    settings: CellSettings
    database: Database
    vault: Vault

    def grow(self, count: int, first: int) -> list[bytes]:
        facts = [PolicyAdopted(at=first + n, digest="ab" * 32, approvals=1) for n in range(count)]
        with self.database.write() as session:
            return enqueue_many(session, facts)

    def sequence(self) -> None:
        sequencer = Sequencer(self.settings, self.database, KEY)
        while sequencer.run_once():
            pass
        sequencer.close()


@pytest.fixture
def host(database_url: str, tmp_path: Path) -> Iterator[Host]:
    settings = CellSettings(
        cell="us", region="us", url="http://us.test", folder=tmp_path / "us", ledger_policy="ledger.policy"
    )
    settings.folder.mkdir()
    vkey = WITNESS.verifier().vkey()
    policy = f"witness outside {vkey} http://127.0.0.1:1/witness/us\nquorum none\n"
    settings.path("ledger.policy").write_text(policy)
    database = Database(database_url)
    database.create_all()
    yield Host(settings, database, Vault())
    database.dispose()


def as_problem(_: Request[Any, Any, Any], problem: Problem) -> Response[dict[str, Any]]:
    return Response(problem.document(), status_code=problem.status)


@pytest.fixture
def client(host: Host) -> Iterator[Client]:
    app = Litestar(
        list(serve.routes),
        dependencies={"cell": Provide(lambda: host, sync_to_thread=False)},
        exception_handlers={Problem: as_problem},
    )
    with TestClient(app) as opened:
        yield opened


def test_before_the_first_checkpoint_each_answer_says_so(client: Client) -> None:
    for path in ("/ledger/checkpoint", "/ledger/tile/0/000", f"/ledger/proof?leaf={'00' * 32}"):
        assert client.get(path).status_code == 404
    assert client.get("/ledger/status").json()["size"] == 0


def test_the_whole_ledger_can_be_checked_over_http(client: Client, host: Host) -> None:
    host.grow(700, 0)
    host.sequence()

    def fetch(path: str) -> bytes | None:
        answer = client.get(f"/ledger/{path}")
        return answer.content if answer.status_code == 200 else None

    report = fsck.check_url(fetch, KEY.verifier())
    assert (report.size, report.problems) == (700, ())


def test_a_proof_is_given_once_a_checkpoint_covers_the_entry(client: Client, host: Host) -> None:
    leaf = host.grow(1, 0)[0]
    answer = client.get(f"/ledger/proof?leaf={leaf.hex()}")
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("not-yet-integrated")
    host.grow(300, 1)
    host.sequence()
    body = client.get(f"/ledger/proof?leaf={leaf.hex()}").json()
    checkpoint = open_checkpoint(body["checkpoint"], KEY.verifier()).checkpoint
    proof = [base64.b64decode(step) for step in body["proof"]]
    assert (body["index"], body["size"]) == (0, 301)
    merkle.verify_inclusion(leaf, 0, checkpoint.size, proof, checkpoint.root)


@pytest.mark.parametrize("leaf", ["", "00", "zz" * 32, "AB" * 32, "00" * 33])
def test_a_leaf_hash_of_another_form_is_bad_input(leaf: str, client: Client) -> None:
    assert client.get(f"/ledger/proof?leaf={leaf}").status_code == 400


def test_partial_tiles_of_older_checkpoints_stay_readable(client: Client, host: Host) -> None:
    host.grow(10, 0)
    host.sequence()
    old = client.get("/ledger/tile/entries/000.p/10").content
    host.grow(290, 10)
    host.sequence()
    assert client.get("/ledger/tile/entries/000.p/10").content == old
    full = client.get("/ledger/tile/0/000").content
    assert client.get("/ledger/tile/0/000.p/10").content == full[:320]
    assert len(full) == 8192


@pytest.mark.parametrize(
    "path", ["0/0", "0/000.p/256", "64/000", "entries/x001", "0/..%2f..%2fcheckpoint", "%2e%2e/checkpoint"]
)
def test_paths_that_are_no_tile_are_not_found(path: str, client: Client, host: Host) -> None:
    host.grow(300, 0)
    host.sequence()
    assert client.get(f"/ledger/tile/{path}").status_code == 404


def test_headers_let_caches_and_other_pages_read(client: Client, host: Host) -> None:
    host.grow(256, 0)
    host.sequence()
    tile, checkpoint = client.get("/ledger/tile/0/000"), client.get("/ledger/checkpoint")
    assert tile.headers["content-type"] == "application/octet-stream"
    assert "immutable" in tile.headers["cache-control"]
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert "no-cache" in checkpoint.headers["cache-control"]
    assert checkpoint.headers["access-control-allow-origin"] == "*"


def test_status_says_which_witness_is_down(client: Client, host: Host) -> None:
    host.grow(3, 0)
    host.sequence()
    status = client.get("/ledger/status").json()
    assert (status["origin"], status["vkey"], status["size"]) == ("lightwell/us", KEY.verifier().vkey(), 3)
    (witness,) = status["witnesses"]
    assert (witness["name"], witness["cosigned_size"]) == ("witness", 0)
    assert witness["problem"] == "no answer: ConnectError"


def test_the_policy_the_cell_keeps_to_is_there_for_readers(client: Client) -> None:
    policy = trust.parse(client.get("/ledger/policy").content)
    assert policy.quorum == "none"
    assert [known.verifier for known in policy.logs] == [KEY.verifier()]
    assert [known.verifier for known in policy.witnesses.values()] == [WITNESS.verifier()]
