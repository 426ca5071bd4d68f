"""Ledgers for readers, made without the writer, and a real HTTP server that serves them."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from lightwell.wire import checkpoint, entries, merkle, note, tiles
from lightwell.wire.checkpoint import Checkpoint
from lightwell.wire.edge import Edge
from lightwell.wire.keys import COSIGNATURE, SigningKey

ORIGIN = "lightwell/us"
KEY = SigningKey.generate(ORIGIN, bytes(32))
WITNESSES = [SigningKey.generate(f"witness{n}.test", bytes([n]) * 32, COSIGNATURE) for n in (1, 2, 3)]
DIGEST = "ab" * 32


@cache
def entry(number: int) -> bytes:
    return entries.encode(entries.PolicyAdopted(at=number, digest=DIGEST, approvals=1))


@cache
def leaf(data: bytes) -> bytes:
    return merkle.leaf_hash(data)


@dataclass
class Made:
    """A ledger as files, kept in memory: path to bytes."""

    files: dict[str, bytes] = field(default_factory=dict)
    edge: Edge = field(default_factory=Edge)
    key: SigningKey = KEY

    def grow(
        self, data: Sequence[bytes], cosigners: Sequence[SigningKey] = (), at: int = 1_700_000_000
    ) -> None:
        self.files |= self.edge.append(data, [leaf(one) for one in data])
        self.sign(cosigners, at)

    def sign(self, cosigners: Sequence[SigningKey] = (), at: int = 1_700_000_000) -> None:
        text = Checkpoint(self.key.name, self.edge.size, self.edge.root()).text()
        lines = [self.key.sign_text(text), *(one.cosign(text, at) for one in cosigners)]
        self.files["checkpoint"] = note.join_note(text, lines).encode()

    def current(self) -> dict[str, bytes]:
        """Only what the checkpoint covers, without what older ones left."""
        names = {*tiles.paths(self.edge.size), "checkpoint"}
        return {path: data for path, data in self.files.items() if path in names}

    def write(self, folder: Path, files: dict[str, bytes] | None = None) -> Path:
        for path, data in (self.files if files is None else files).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return folder


def made(count: int, cosigners: Sequence[SigningKey] = ()) -> Made:
    ledger = Made()
    ledger.grow([entry(n) for n in range(count)], cosigners)
    return ledger


def opens(files: dict[str, bytes]) -> Checkpoint:
    return checkpoint.open_checkpoint(files["checkpoint"].decode(), KEY.verifier()).checkpoint


@dataclass
class Answer:
    """What the server says to one request."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Respond = Callable[[str], Answer]


def plainly(files: dict[str, bytes], prefix: str = "/") -> Respond:
    """Answer with the files as they are."""

    def respond(path: str) -> Answer:
        data = files.get(path.removeprefix(prefix)) if path.startswith(prefix) else None
        return Answer(b"nothing here", 404) if data is None else Answer(data)

    return respond


def packed(respond: Respond) -> Respond:
    """Answer with gzip whether it was asked for or not, as C2SP lets a log do."""

    def squeezed(path: str) -> Answer:
        answer = respond(path)
        if answer.status == 200:
            answer.body = gzip.compress(answer.body)
            answer.headers["Content-Encoding"] = "gzip"
        return answer

    return squeezed


@dataclass
class Server:
    url: str
    asked: list[str]


@contextmanager
def serving(respond: Respond) -> Iterator[Server]:
    """Serve on a free port of this machine until the block ends."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or the reader waits for the second

        def do_GET(self) -> None:
            asked.append(self.path)
            answer = respond(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield Server(f"http://127.0.0.1:{server.server_port}", asked)
        server.shutdown()
