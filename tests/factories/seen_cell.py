"""A cell as the monitor sees it: a real ledger and real slate records, without the cell's processes."""

import hashlib
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from lightwell.agreement import load
from lightwell.agreement.roster import Seat, dump_roster, roster_digest
from lightwell.oversight.settings import CleanRoomSettings, OversightSettings, WatchedCell
from lightwell.recommender.pipeline import rank
from lightwell.recommender.policy import dump
from lightwell.recommender.record import Request, SlateInputs, inputs_bytes, slate_bytes
from lightwell.wire import commitment, entries, merkle, tiles
from lightwell.wire.checkpoint import Checkpoint, sign
from lightwell.wire.edge import Edge
from lightwell.wire.keys import COSIGNATURE, SigningKey
from lightwell.wire.note import join_note, parse_signatures, split_note
from lightwell.wire.witnessing import encode_request
from tests.factories.cells import AGREEMENTS
from tests.unit.recommender import worlds


def key(name: str, algorithm: int = 1) -> SigningKey:
    """Make a key of this name."""
    return SigningKey.generate(name, secrets.token_bytes(32), algorithm)


class SeenCell:
    """Files of a ledger, slate records and the answers a cell gives about them."""

    def __init__(self, name: str = "us", snapshot_events: int = 60) -> None:
        self.name = name
        self.key = key(f"lightwell/{name}")
        self.cleanroom = key(f"cleanroom-{name}")
        self.files: dict[str, bytes] = {}
        self.entries: list[bytes] = []
        self.records: dict[str, dict[str, str]] = {}
        self.withdrawals: dict[str, dict[str, str]] = {}
        self.sources: dict[tuple[str, str], bytes] = {}
        self.agreement = (AGREEMENTS / "us-2022-draft.toml").read_text("utf-8")
        self.roster = ""
        self.url = f"http://{name}.test"
        self.snapshot = worlds.snapshot(60, snapshot_events)
        self.edge = Edge()
        self.checkpoint = Checkpoint(f"lightwell/{name}", 0, merkle.EMPTY_ROOT)
        self.broken: set[str] = set()

    # --- what the cell does

    def add(self, *facts: entries.Entry) -> int:
        """Append entries and publish a checkpoint; return the index of the last."""
        self.append([entries.encode(fact) for fact in facts])
        return len(self.entries) - 1

    def append(self, data: list[bytes]) -> None:
        """Append entries as bytes and publish a checkpoint."""
        self.entries += data
        self.files |= self.edge.append(data, [merkle.leaf_hash(one) for one in data])
        self.checkpoint = Checkpoint(f"lightwell/{self.name}", self.edge.size, self.edge.root())
        self.files["checkpoint"] = sign(self.checkpoint, self.key).encode()

    def adopt(self, seats: list[Seat] | None = None) -> None:
        """Adopt the agreement, a ranking policy and a snapshot, so that slates can be served."""
        own = [
            Seat("ledger", f"ledger of {self.name}", self.key.verifier().vkey(), self.name),
            Seat("cleanroom", f"clean room of {self.name}", self.cleanroom.verifier().vkey(), self.name),
        ]
        known = [*own, *(seats or [])]
        self.roster = dump_roster(known)
        agreement = load.parse(self.agreement)
        self.add(
            entries.AgreementAdopted(
                at=int(time.time()),
                agreement=agreement.id,
                version=agreement.version,
                digest=load.digest(agreement),
                roster_digest=roster_digest(known),
            ),
            entries.PolicyAdopted(at=int(time.time()), digest=worlds.POLICY.digest, approvals=2),
            self.published(),
        )

    def published(self) -> entries.SnapshotPublished:
        """Keep the snapshot and policy for the clean room and return the entry that names the snapshot."""
        digest = self.snapshot.digest
        self.sources["snapshots", digest] = self.snapshot.to_bytes()
        self.sources["policies", worlds.POLICY.digest] = dump(worlds.POLICY)
        return entries.SnapshotPublished(
            at=int(time.time()), snapshot=digest, events="0" * 64, settings="1" * 64, code="2" * 64, videos=60
        )

    def withdraw(self, video: str, *, at: int | None = None, opens: bool = True) -> int:
        """Take a video back; return the index of the entry, which the cell may not open."""
        opening = hashlib.sha256(b"withdrawal of " + video.encode()).digest()[:16]
        committed = commitment.commit("withdrawal", opening, entries.withdrawal_digest(video)).hex()
        if opens:
            self.withdrawals[committed] = {
                "commitment": committed,
                "video": video,
                "opening": opening.hex(),
            }
        stated = int(time.time()) if at is None else at
        return self.add(entries.VideoWithdrawn(at=entries.minute(stated), commitment=committed))

    def slate(self, number: int, withdrawn: list[str] | None = None) -> entries.SlateServed:
        """Rank one request and keep its record; return its entry, not added yet."""
        inputs = SlateInputs(
            cell=self.name,
            snapshot=self.snapshot.digest,
            policy=worlds.POLICY.digest,
            seed=f"{number:032x}",
            request=Request(hour=worlds.HOUR),
            viewer=worlds.fan(worlds.TOPICS[number % 6]),
            withdrawn=withdrawn or [],
        )
        slate = slate_bytes(rank(self.snapshot, worlds.POLICY, inputs).slate)
        opening = hashlib.sha256(b"opening %d" % number).digest()
        raw = inputs_bytes(inputs)
        committed = commitment.commit(
            "slate", opening, hashlib.sha256(raw).digest(), hashlib.sha256(slate).digest()
        ).hex()
        self.records[committed] = {
            "commitment": committed,
            "inputs": raw.decode(),
            "slate": slate.decode(),
            "opening": opening.hex(),
        }
        return entries.SlateServed(
            at=entries.minute(int(time.time())),
            commitment=committed,
            snapshot=self.snapshot.digest,
            policy=worlds.POLICY.digest,
        )

    def serve(self, count: int, start: int = 0) -> list[entries.SlateServed]:
        """Serve slates and add their entries."""
        slates = [self.slate(start + number) for number in range(count)]
        self.add(*slates)
        return slates

    def ask_witness(self, client: httpx.Client, url: str, old_size: int) -> httpx.Response:
        """Ask a witness to cosign the checkpoint; add its line to the published one if it does."""
        proof = tiles.consistency_proof(self.read_tile, old_size, self.checkpoint.size) if old_size else []
        note = self.files["checkpoint"].decode()
        answer = client.post(f"{url}/add-checkpoint", content=encode_request(old_size, proof, note))
        if answer.status_code == 200:
            text, own = split_note(note)
            self.files["checkpoint"] = join_note(text, [*own, *parse_signatures(answer.text)]).encode()
        return answer

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Read one of our own tiles."""
        return self.files[tiles.tile_path(level, index, width)]

    # --- what the cell answers

    def read(self, path: str) -> bytes | None:
        """Read a file of the ledger."""
        return self.files.get(path)

    def answer(self, path_and_query: str) -> tuple[int, bytes]:
        """Return status and body for a GET."""
        parts = urlsplit(path_and_query)
        if parts.path.startswith("/ledger/"):
            found = self.files.get(parts.path.removeprefix("/ledger/"))
            return (200, found) if found is not None else (404, b"")
        if parts.path == "/api/agreement":
            return 200, msgspec.json.encode({"agreement": self.agreement, "roster": self.roster})
        if parts.path.startswith("/api/policies/"):
            policy = self.sources.get(("policies", parts.path.rpartition("/")[2]))
            return (200, policy) if policy is not None else (404, b"")
        if parts.path == "/cleanroom/records":
            wanted = parse_qs(parts.query)["commitments"][0].split(",")
            if self.broken & set(wanted):
                return 500, b""
            found_records = [self.records[one] for one in wanted if one in self.records]
            missing = [one for one in wanted if one not in self.records]
            return 200, msgspec.json.encode({"records": found_records, "missing": missing})
        if parts.path == "/cleanroom/withdrawals":
            wanted = parse_qs(parts.query)["commitments"][0].split(",")
            opened = [self.withdrawals[one] for one in wanted if one in self.withdrawals]
            return 200, msgspec.json.encode({"withdrawals": opened})
        if parts.path.startswith("/cleanroom/"):
            _, _, kind, digest = parts.path.split("/")
            source = self.sources.get((kind, digest))
            return (200, source) if source is not None else (404, b"")
        return 404, b""

    def handler(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an httpx client with a mock transport."""
        status, body = self.answer(request.url.raw_path.decode())
        return httpx.Response(status, content=body)

    def listen(self) -> ThreadingHTTPServer:
        """Answer on a port of this machine until `shutdown()`; sets `url`."""
        cell = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = cell.answer(self.path)
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *values: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    # --- how it is watched

    def seat(self) -> WatchedCell:
        """Return how the oversight server's settings name this cell."""
        return WatchedCell(self.name, self.url, self.key.verifier().vkey(), self.cleanroom.verifier().vkey())


def oversight_folder(
    folder: Any, cells: list[SeenCell], url: str = "http://oversight.test"
) -> OversightSettings:
    """Write an oversight folder with a witness's and three board members' keys; return its settings."""
    from lightwell.oversight.settings import write_oversight

    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "witness.key").write_text(key("oversight-witness", COSIGNATURE).text())
    for number in (1, 2, 3):
        (folder / "keys" / f"board-{number}.key").write_text(key(f"board-{number}").text())
    settings = OversightSettings(url, tuple(cell.seat() for cell in cells), folder=folder, poll_seconds=0.05)
    write_oversight(settings)
    return settings


def cleanroom_settings(folder: Any, cell: SeenCell, oversight_url: str) -> CleanRoomSettings:
    """Write a clean room's folder; return its settings."""
    from lightwell.oversight.settings import write_cleanroom

    folder.mkdir(parents=True)
    (folder / "cleanroom.key").write_text(cell.cleanroom.text())
    settings = CleanRoomSettings(
        cell.name, cell.url, cell.key.verifier().vkey(), oversight_url, folder=folder, poll_seconds=0.05
    )
    write_cleanroom(settings)
    return settings
