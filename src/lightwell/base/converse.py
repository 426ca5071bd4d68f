"""A confined child that answers one message after another; the first answer that fails ends it."""

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, Self

from lightwell.base import confine
from lightwell.base.confine import Limits

Failure = Literal["timeout", "crashed", "too-long"]

_PREFIX_BYTES: Final = 4


class ConversationError(Exception):
    """The child gave no answer; it is ended. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure: Failure = failure


class Conversation:
    """One running child. Messages and answers begin with their length, 4 bytes, big-endian.

    Not to be used by two threads at once; it ends with the thread that made it. The child sees `folder`
    read-only as its working folder, the system's libraries and `libraries`; it has no network and its
    environment holds nothing of ours. `limits` count over its whole life, but `wall_seconds` and
    `output_bytes`, which `ask` sets for each answer.

    Args:
        program: an executable file.
        arguments: its arguments; paths relative to `folder`.
        folder: all of its files.
        limits: what it may use.
        libraries: further folders it may read, such as an interpreter's.
        environment: variables to add.

    Raises:
        OSError: it could not be started, or bubblewrap does not work here: then nothing is run at all.
    """

    def __init__(
        self,
        program: Path,
        arguments: Sequence[str],
        folder: Path,
        limits: Limits,
        *,
        libraries: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if confine.bubblewrap() is None:
            raise OSError("bubblewrap does not work here, and no program of others runs without it")
        self._child = subprocess.Popen(
            confine.command_line(program, arguments, folder, limits, libraries=libraries, is_read_only=True),
            cwd=folder,
            env={**confine.ENVIRONMENT, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        confine.watch(self._child)
        assert self._child.stdin is not None  # noqa: S101  asked for above
        assert self._child.stdout is not None  # noqa: S101
        self._input, self._output = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether the child runs, as far as is known."""
        return self._child.poll() is None

    def close(self) -> None:
        """End the child."""
        confine.end(self._child)

    def ask(self, message: bytes, seconds: float, longest: int) -> bytes:
        """Send a message and return the answer.

        Args:
            message: at most 2^32 - 1 bytes.
            seconds: how long sending and answering may take together.
            longest: bytes of the longest answer that is taken.

        Raises:
            ConversationError: no such answer in time, or one too long; the child is ended.
        """
        deadline = time.monotonic() + seconds
        try:
            self._send(len(message).to_bytes(_PREFIX_BYTES, "big") + message, deadline)
            length = int.from_bytes(self._receive(_PREFIX_BYTES, deadline), "big")
            if length > longest:
                raise ConversationError("too-long")
            return self._receive(length, deadline)
        except ConversationError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise ConversationError("crashed") from error

    def _send(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._input, selectors.EVENT_WRITE, deadline)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._input, rest) :]

    def _receive(self, size: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            _wait(self._output, selectors.EVENT_READ, deadline)
            with contextlib.suppress(BlockingIOError):
                part = os.read(self._output, min(size - len(found), 1 << 20))
                if not part:
                    raise ConversationError("crashed")
                found += part
        return bytes(found)


def _wait(descriptor: int, event: int, deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, event)
        if not selector.select(max(deadline - time.monotonic(), 0)):
            raise ConversationError("timeout")
