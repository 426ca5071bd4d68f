"""A load generator: keep-alive HTTP/1.1 on bare protocols, closed or open loop, latencies kept exactly."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import cast

Latencies = list[float]


class Connection(asyncio.Protocol):
    """One kept-alive connection that sends one of its requests, drawn at random, at a time.

    Args:
        host, port: where to.
        requests: whole requests as bytes, such as `request` makes.
        seed: of the draws.
        kept: answers' bodies are appended here, if given.
    """

    def __init__(
        self, host: str, port: int, requests: Sequence[bytes], seed: int = 0, kept: list[bytes] | None = None
    ) -> None:
        self._address = (host, port)
        self._requests = requests
        self._draw = random.Random(seed)
        self._kept = kept
        self._got = bytearray()
        self._needs = -1
        self._head = 0
        self._answered: asyncio.Future[None] | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        transport, _ = await self._loop.create_connection(lambda: self, *self._address)
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self) -> None:
        """Send a request and wait for the whole answer; raise on any status but 200."""
        self._answered = self._loop.create_future()
        self._transport.write(self._requests[self._draw.randrange(len(self._requests))])
        await self._answered

    def data_received(self, data: bytes) -> None:
        got = self._got
        got += data
        if self._needs < 0:
            end = got.find(b"\r\n\r\n")
            if end < 0:
                return
            at = got.find(b"content-length:", 0, end)
            length = int(got[at + 15 : got.find(b"\r", at)]) if at > 0 else 0
            self._head, self._needs = end + 4, end + 4 + length
        if len(got) < self._needs or self._answered is None:
            return
        if not got.startswith(b"HTTP/1.1 200"):
            self._answered.set_exception(RuntimeError(bytes(got[:400]).decode("latin-1")))
        else:
            if self._kept is not None:
                self._kept.append(bytes(got[self._head : self._needs]))
            self._answered.set_result(None)
        self._needs = -1
        got.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()


def request(host: str, port: int, path: str, cookie: str = "") -> bytes:
    """Return a GET request as browsers send it, as far as it matters."""
    lines = [f"GET {path} HTTP/1.1", f"host: {host}:{port}", "accept: application/json"]
    if cookie:
        lines.append(f"cookie: {cookie}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def closed_loop(connections: Sequence[Connection], seconds: float) -> Latencies:
    """Every connection asks again as soon as it is answered; return each answer's latency in seconds."""
    taken: Latencies = []
    end = time.perf_counter() + seconds

    async def client(connection: Connection) -> None:
        while time.perf_counter() < end:
            began = time.perf_counter()
            await connection.ask()
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(client(connection) for connection in connections))
    return taken


async def open_loop(connections: Sequence[Connection], rate: float, seconds: float) -> Latencies:
    """Requests start at a fixed rate whatever the answers do; latency counts from the planned start."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    taken: Latencies = []

    async def one(planned: float) -> None:
        connection = await free.get()
        await connection.ask()
        taken.append(time.perf_counter() - planned)
        free.put_nowait(connection)

    began = time.perf_counter()
    tasks = set()
    for number in range(int(rate * seconds)):
        planned = began + number / rate
        wait = planned - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(planned))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.gather(*tasks)
    return taken


def quantile(values: Latencies, share: float) -> float:
    """Return the value below which `share` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
