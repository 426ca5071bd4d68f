"""Trains in a process of its own, so that a long training takes neither the worker's lock nor its memory.

The child opens no store and holds no key: facts and events come in through its standard input, and what it
leaves is one file. Ended at any point, it leaves nothing that anybody reads.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, cast

import msgspec
import numpy as np

from lightwell.product.feed.training import Trained, TrainingSettings, train
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


class TrainingProcess:
    """One training in a child process.

    Args:
        facts, events, settings, minute, out: as `training.train`.
    """

    def __init__(
        self, facts: Sequence[VideoFact], events: Events, settings: TrainingSettings, minute: int, out: Path
    ) -> None:
        self.out = out
        job = msgspec.msgpack.encode(_Job(list(facts), settings, minute, str(out), events.size))
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


def _end_with(parent: int) -> None:
    """End when the process that wants the model has: nobody else would."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Train what standard input says; write the result to standard output."""
    os.nice(_NICE)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    Doors("trainer", []).install()
    stream = sys.stdin.buffer
    job = msgspec.msgpack.decode(_read(stream, int.from_bytes(_read(stream, 8), "little")), type=_Job)
    events = np.frombuffer(_read(stream, job.events * EVENT.itemsize), dtype=EVENT)
    made = train(job.facts, events, job.settings, job.minute, Path(job.out))
    sys.stdout.buffer.write(msgspec.msgpack.encode(made))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
