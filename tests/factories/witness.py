"""A witness over real HTTP with its memory in the process, for tests of those who ask witnesses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lightwell.wire import merkle
from lightwell.wire.checkpoint import open_checkpoint
from lightwell.wire.keys import SigningKey, Verifier
from lightwell.wire.witnessing import SIZE_CONTENT_TYPE, parse_request


class MemoryWitness:
    """Cosigns what extends the last it cosigned; `is_down` makes it answer 503."""

    def __init__(self, log: Verifier, *keys: SigningKey) -> None:
        self.log = log
        self.keys = keys
        self.size, self.root = 0, merkle.EMPTY_ROOT
        self.is_down = False
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, body: bytes) -> tuple[int, str, str]:
        """Return status, text and content type for one add-checkpoint request."""
        if self.is_down:
            return 503, "down\n", "text/plain"
        asked = parse_request(body)
        opened = open_checkpoint(asked.note, self.log).checkpoint
        with self._lock:
            if asked.old_size != self.size:
                return 409, f"{self.size}\n", SIZE_CONTENT_TYPE
            if self.size:
                merkle.verify_consistency(self.size, self.root, opened.size, opened.root, asked.proof)
            self.size, self.root = opened.size, opened.root
        now = int(time.time())
        return 200, "".join(key.cosign(opened.text(), now).line() for key in self.keys), "text/plain"


@contextmanager
def serving(witness: MemoryWitness) -> Iterator[MemoryWitness]:
    """Serve a witness on a free port of this machine; its `url` says where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, text, kind = witness.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    witness.url = f"http://127.0.0.1:{server.server_address[1]}/witness/us"
    try:
        yield witness
    finally:
        server.shutdown()
        server.server_close()
