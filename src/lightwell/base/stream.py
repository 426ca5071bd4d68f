"""A durable stream in NATS JetStream: what was appended has a number, and is not appended twice.

JetStream acknowledges what its servers have written; what else that withstands is theirs to configure: the
loss of a machine with three replicas, a power cut with `sync_interval: always`. A stream that exists already
is used as it was made.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from lightwell.base.telemetry import log

ANSWER_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 2
AWAY_SECONDS: Final = 1.0
KNOWN_SECONDS: Final = 600
_FETCH: Final = 1000
_PENDING: Final = 4000

_log = log("stream")
Answer = TypeVar("Answer")


class StreamError(OSError):
    """The stream did not answer in time, or refused; nothing is known of what was asked."""


class Stream:
    """One stream of one server; safe to share between threads. It connects when it is first used.

    Args:
        url: `nats://host:port`.
        name: the stream's name.
        subject: every message's subject begins with this and a dot.
    """

    def __init__(self, url: str, name: str, subject: str) -> None:
        self._url = url
        self._name = name
        self._subject = subject
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting: asyncio.Lock | None = None
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._away_until = 0.0

    def append(self, messages: Sequence[tuple[str, str, bytes]]) -> list[tuple[int, bool]]:
        """Append messages in their order, and return once the server has written all of them.

        Args:
            messages: each `(last part of the subject, message id, content)`.

        Returns:
            For each its number, and whether a message of that id was there already (looked for among those
            of the last ten minutes); the number is then the earlier one's.

        Raises:
            StreamError: not all were acknowledged; appending them again under the same ids adds none twice.
        """
        return self._ask(self._append(messages), ANSWER_SECONDS + len(messages) / 1000)

    def read(self, after: int, limit: int, last_part: str = "*") -> list[tuple[int, str, bytes]]:
        """Return messages after a number, each `(number, last part of the subject, content)`, in order.

        Args:
            after: the last number known; 0 to begin.
            limit: at most so many.
            last_part: only messages of that subject.

        Raises:
            StreamError: the server did not answer.
        """
        return self._ask(self._read(after, limit, last_part), ANSWER_SECONDS + limit / 500)

    def close(self) -> None:
        """Close the connection and end its thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            client, self._client, self._jetstream = self._client, None, None
        if loop is None:
            return
        if client is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                asyncio.run_coroutine_threadsafe(client.close(), loop).result(ANSWER_SECONDS)
        loop.call_soon_threadsafe(loop.stop)

    def _ask(self, question: Coroutine[Any, Any, Answer], seconds: float) -> Answer:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(question, seconds), self._running_loop())
        try:
            return future.result()
        except (NatsError, OSError, TimeoutError, asyncio.CancelledError) as error:
            raise StreamError(f"the stream {self._name} did not answer as it should") from error

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                # A loop of Python's own: the doors see what it connects to.
                self._loop = loop = asyncio.SelectorEventLoop()
                self._connecting = asyncio.Lock()
                threading.Thread(target=_run, args=(loop,), name="stream", daemon=True).start()
            return self._loop

    async def _connected(self) -> JetStreamContext:
        assert self._connecting is not None  # noqa: S101  set with the loop that runs this
        async with self._connecting:
            if self._client is not None and self._jetstream is not None:
                if not self._client.is_connected:
                    # It connects again by itself; callers may hold locks and are told at once.
                    raise StreamError("the connection is lost")
                return self._jetstream
            if time.monotonic() < self._away_until:
                raise StreamError("there was no connection a moment ago")
            self._away_until = time.monotonic() + CONNECT_SECONDS + AWAY_SECONDS
            client = await asyncio.wait_for(
                nats.connect(
                    self._url,
                    connect_timeout=CONNECT_SECONDS,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,
                    error_cb=_say,
                ),
                CONNECT_SECONDS,
            )
            jetstream = client.jetstream(timeout=ANSWER_SECONDS, publish_async_max_pending=_PENDING)
            try:
                await jetstream.stream_info(self._name)
            except NotFoundError:
                await jetstream.add_stream(
                    StreamConfig(
                        name=self._name,
                        subjects=[f"{self._subject}.*"],
                        storage=StorageType.FILE,
                        duplicate_window=KNOWN_SECONDS,
                    )
                )
            self._client, self._jetstream = client, jetstream
            return jetstream

    async def _append(self, messages: Sequence[tuple[str, str, bytes]]) -> list[tuple[int, bool]]:
        jetstream = await self._connected()
        found: list[tuple[int, bool]] = []
        for first in range(0, len(messages), _PENDING):
            waiting = [
                await jetstream.publish_async(
                    f"{self._subject}.{last_part}",
                    content,
                    stream=self._name,
                    headers={"Nats-Msg-Id": message_id},
                )
                for last_part, message_id, content in messages[first : first + _PENDING]
            ]
            for ack in await asyncio.gather(*waiting):
                found.append((ack.seq, bool(ack.duplicate)))
        return found

    async def _read(self, after: int, limit: int, last_part: str) -> list[tuple[int, str, bytes]]:
        jetstream = await self._connected()
        subscription = await jetstream.pull_subscribe(
            f"{self._subject}.{last_part}",
            stream=self._name,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=after + 1,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=30,
            ),
        )
        info = await subscription.consumer_info()
        try:
            left = min(limit, info.num_pending or 0)
            found: list[tuple[int, str, bytes]] = []
            while left > 0:
                messages = await subscription.fetch(min(left, _FETCH), timeout=ANSWER_SECONDS)
                left -= len(messages)
                for message in messages:
                    part = message.subject.rpartition(".")[2]
                    found.append((message.metadata.sequence.stream, part, message.data))
            return found
        finally:
            await subscription.unsubscribe()
            await jetstream.delete_consumer(self._name, info.name)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


async def _say(error: Exception) -> None:
    _log.warning("the connection to the stream has trouble", error=type(error).__name__)
