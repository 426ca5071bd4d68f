"""Trains in a process of its own, so that a long training takes neither the worker's lock nor its memory.

The child opens no store and holds no key: facts and events come in through its standard input, and what it
leaves is one file, and sealed results of finished parts that only who started it can let another go on from.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, cast

import msgspec
import numpy as np

from lightwell.product.feed.training import Trained, TrainingSettings, train
from lightwell.product.feed.training_parts import AT_ONCE, Keeping, SideBySide, end_with
from lightwell.recommender.catalogue import VideoFact
from lightwell.recommender.happened import EVENT, Events
from lightwell.residency.doors import Doors

_NICE: Final = 10


class TrainingFailedError(RuntimeError):
    """The child ended without a model."""


class _Job(msgspec.Struct):
    facts: list[VideoFact]
    settings: TrainingSettings
    minute: int
    out: str
    events: int
    keeping: Keeping | None
    at_once: int


class TrainingProcess:
    """One training in a child process.

    Args:
        facts, events, settings, minute, out: as `training.train`.
        keeping: where results of parts are kept; with those of an earlier try with the same arguments, it
            goes on from there. None keeps nothing.
        at_once: parts worked on at the same time; the model is the same however many.
    """

    def __init__(
        self,
        facts: Sequence[VideoFact],
        events: Events,
        settings: TrainingSettings,
        minute: int,
        out: Path,
        *,
        keeping: Keeping | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self.out = out
        job = msgspec.msgpack.encode(
            _Job(list(facts), settings, minute, str(out), events.size, keeping, at_once)
        )
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "lightwell.product.feed.training_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | threads,
        )
        with contextlib.suppress(BrokenPipeError), cast(IO[bytes], self._child.stdin) as stream:
            # A child that has failed already says so by its code.
            stream.write(len(job).to_bytes(8, "little"))
            stream.write(job)
            stream.write(np.ascontiguousarray(events, dtype=EVENT).view(np.uint8).data)

    def is_done(self) -> bool:
        """Tell whether the child has ended."""
        return self._child.poll() is not None

    def result(self) -> Trained:
        """Wait for the model.

        Raises:
            TrainingFailedError: the child failed or was ended.
        """
        with cast(IO[bytes], self._child.stdout) as stream:
            answer = stream.read()
        if self._child.wait() != 0:
            raise TrainingFailedError(f"training ended with code {self._child.returncode}")
        return msgspec.msgpack.decode(answer, type=Trained)

    def end(self) -> None:
        """End the child, done or not."""
        self._child.kill()
        self._child.wait()


def _read(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise EOFError("the job was cut short")
    return found


def main() -> None:
    """Train what standard input says; write the result to standard output."""
    os.nice(_NICE)
    end_with(os.getppid())
    Doors("trainer", []).install()
    stream = sys.stdin.buffer
    job = msgspec.msgpack.decode(_read(stream, int.from_bytes(_read(stream, 8), "little")), type=_Job)
    events = np.frombuffer(_read(stream, job.events * EVENT.itemsize), dtype=EVENT)
    spread = SideBySide(job.keeping, job.at_once)
    made = train(job.facts, events, job.settings, job.minute, Path(job.out), spread)
    sys.stdout.buffer.write(msgspec.msgpack.encode(made))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
