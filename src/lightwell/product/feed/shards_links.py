"""Connections of a front to all shards: what each is asked at once, answered by all in time or by none."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Final

import msgspec

from lightwell.base import frames, shard_files
from lightwell.base.errors import Problem
from lightwell.recommender.shards_asked import MOST_MESSAGE_BYTES, Answer, Failed, Question, Reply
from lightwell.recommender.shards_rank import Outcome, Talk

_SETS_KEPT: Final = 16
_encode = msgspec.msgpack.Encoder().encode
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


class AwayError(Problem):
    """A shard did not answer in time, or does not hold the snapshot; nothing was ranked without it.

    Args:
        shard: its number.
        why: `silent`, or as `shards_asked.Failed` says.
    """

    def __init__(self, shard: int, why: str) -> None:
        detail = "A part of the catalogue is away for a moment; ask again."
        super().__init__(503, "feed-part-away", detail)
        self.headers["retry-after"] = "1"
        self.shard, self.why = shard, why


class Links:
    """Asks the shards of one cell; each request that runs has connections of its own.

    Args:
        folder: where the sockets are.
        shards: how many.
        seconds: how long all shards together may take for one round of questions.
    """

    def __init__(self, folder: Path, shards: int, seconds: float) -> None:
        self._folder, self._shards, self._seconds = folder, shards, seconds
        self._free: list[list[socket | None]] = []
        self._lock = threading.Lock()

    def carry(self, talk: Talk[Outcome]) -> Outcome:
        """Carry the questions of a ranking to the shards and their answers back, until it is done.

        Raises:
            AwayError: a shard is away.
        """
        try:
            asks = next(talk)
            while True:
                answers: list[Answer | None] = []
                for shard, reply in enumerate(self.ask(asks)):
                    if reply is not None and not isinstance(reply, Answer):
                        raise AwayError(shard, reply.why if isinstance(reply, Failed) else "malformed")
                    answers.append(reply)
                asks = talk.send(answers)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        finally:
            talk.close()

    def ask(self, questions: Sequence[Question | None], seconds: float | None = None) -> list[Reply | None]:
        """Ask every shard its question at once; None asks nothing.

        Raises:
            AwayError: one did not answer in time.
        """
        until = time.monotonic() + (self._seconds if seconds is None else seconds)
        links = self._borrow()
        shard = 0
        try:
            for shard, question in enumerate(questions):
                if question is not None:
                    self._send(links, shard, _encode(question), until)
            replies: list[Reply | None] = []
            for shard, question in enumerate(questions):
                link = links[shard]
                if question is None or link is None:
                    replies.append(None)
                    continue
                message = frames.receive(link, MOST_MESSAGE_BYTES, until)
                if message is None:
                    raise frames.FrameError("a shard ended")
                replies.append(_replies.decode(message))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _close(links)
            raise AwayError(shard, "silent") from error
        except BaseException:
            _close(links)
            raise
        with self._lock:
            if len(self._free) < _SETS_KEPT:
                self._free.append(links)
                return replies
        _close(links)
        return replies

    def close(self) -> None:
        """End the connections that nobody uses now."""
        with self._lock:
            free, self._free = self._free, []
        for links in free:
            _close(links)

    def _borrow(self) -> list[socket | None]:
        with self._lock:
            return self._free.pop() if self._free else [None] * self._shards

    def _send(self, links: list[socket | None], shard: int, message: bytes, until: float) -> None:
        link = links[shard]
        if link is not None:
            try:
                return frames.send(link, message, until)
            except frames.FrameError:
                # It may have been started anew since: once more on a new connection.
                link.close()
        link = links[shard] = shard_files.connect(self._folder, shard)
        return frames.send(link, message, until)


def _close(links: list[socket | None]) -> None:
    for link in links:
        if link is not None:
            with suppress(OSError):
                link.close()
