"""A load generator: keep-alive HTTP/1.1 over plain sockets, closed or open loop, latencies kept exactly."""

import asyncio
import time
from collections.abc import Sequence

Latencies = list[float]


class Connection:
    """One kept-alive connection that sends a fixed request again and again."""

    def __init__(self, host: str, port: int, path: str, cookie: str) -> None:
        self._address = (host, port)
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n\r\n".encode()

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=1 << 20)

    async def ask(self) -> bytes:
        """Send the request and return the body; raise on any status but 200."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head.splitlines()[0]!r}: {body[:200]!r}")
        return body

    def close(self) -> None:
        self._writer.close()


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
    tasks = []
    for number in range(int(rate * seconds)):
        planned = began + number / rate
        await asyncio.sleep(max(0.0, planned - time.perf_counter()))
        tasks.append(asyncio.create_task(one(planned)))
    await asyncio.gather(*tasks)
    return taken


def quantile(values: Latencies, share: float) -> float:
    """Return the value below which `share` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
