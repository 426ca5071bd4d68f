"""Another organisation's ranker, run confined in a process of its own; whatever it does, the feed answers."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from lightwell.base import confine
from lightwell.base.confine import Limits
from lightwell.base.converse import Conversation, ConversationError
from lightwell.base.labels import declare_prefix
from lightwell.base.telemetry import log
from lightwell.recommender import pipeline, shards_rank
from lightwell.recommender.external import (
    LONGEST_ANSWER,
    AnswerError,
    Question,
    encode_question,
    is_asked,
    read_answer,
    recorded,
)
from lightwell.recommender.policy import ExternalRanker, RankingPolicy
from lightwell.recommender.record import External, Failure, SlateInputs
from lightwell.recommender.shards_front import Front
from lightwell.recommender.snapshot import Snapshot
from lightwell.residency.cell import Cell

declare_prefix("rankers", "system.operations", "interop")

_log = log("feed.external")

START_SECONDS: Final = 10.0
MOST_PROGRAM_BYTES: Final = 64 * 1024 * 1024
_LIMITS: Final = Limits(
    wall_seconds=0, cpu_seconds=24 * 3600, memory_bytes=1 << 30, file_bytes=0, open_files=64, processes=16
)
_NOBODY: Final = encode_question(Question(tab="for_you", k=1, hour=0, features=[], candidates=[]))


def object_key(digest: str) -> str:
    """Return where the program of a ranker lies in the object store."""
    return f"rankers/{digest}"


Features = Callable[[Any, RankingPolicy, SlateInputs, int], shards_rank.Best]
"""As `pipeline.features_of`, for snapshots in whatever form they are held."""


def question_of(
    snapshot: Snapshot | Front,
    policy: RankingPolicy,
    inputs: SlateInputs,
    features_of: Features = pipeline.features_of,
) -> Question:
    """Return what the policy's ranker is asked for a request; the same record is the same question.

    Raises:
        ValueError: the policy names no ranker, or the record cannot be ranked.
    """
    if policy.external is None:
        raise ValueError("the policy names no ranker of others")
    unanswered = msgspec.structs.replace(inputs, external=msgspec.UNSET)
    videos, names, rows = features_of(snapshot, policy, unanswered, policy.external.candidates)
    return Question(
        tab=inputs.request.tab,
        k=inputs.request.k,
        hour=inputs.request.hour,
        features=list(names),
        candidates=list(zip(videos, rows.tolist(), strict=True)),
    )


class RunningRanker:
    """One ranker's process.

    A program that begins as an ELF file is run as it is; any other is Python (source or a zip application)
    and runs on this Python with the standard library alone.

    Args:
        program: its bytes.

    Raises:
        OSError: it cannot be started, or not confined.
        ConversationError, AnswerError: it does not answer even a question without candidates.
    """

    def __init__(self, program: bytes) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lightwell-ranker-")
        folder = Path(self._folder.name)
        file = folder / "ranker"
        try:
            file.write_bytes(program)
            file.chmod(0o555)
            if program.startswith(b"\x7fELF"):
                self._talk = Conversation(file, [], folder, _LIMITS)
            else:
                version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
                library = Path(sys.base_prefix) / sys.platlibdir / version
                self._talk = Conversation(
                    Path(sys.executable).resolve(),
                    ["-s", "-S", "-B", "-P", "ranker"],
                    folder,
                    _LIMITS,
                    libraries=[library],
                    environment={"PYTHONHOME": sys.base_prefix, "PYTHONHASHSEED": "0"},
                )
        except BaseException:
            self._folder.cleanup()
            raise
        try:
            # Loading itself takes a while; no viewer should wait for it.
            read_answer(self._talk.ask(_NOBODY, START_SECONDS, LONGEST_ANSWER), 0)
        except BaseException:
            self.close()
            raise

    def scores(self, question: Question, seconds: float) -> list[int]:
        """Ask about a question's candidates.

        Raises:
            ConversationError, AnswerError: it did not answer, or not what was asked; it is ended.
        """
        try:
            answer = self._talk.ask(encode_question(question), seconds, LONGEST_ANSWER)
            return read_answer(answer, len(question.candidates))
        except AnswerError:
            self.close()
            raise

    def close(self) -> None:
        """End the process and remove its folder."""
        self._talk.close()
        self._folder.cleanup()


class Rankers:
    """Asks the ranker that the policy names, one process of it for this process; never raises.

    Args:
        cell: whose objects hold the programs.
        features_of: makes what they are asked with.
    """

    def __init__(self, cell: Cell, features_of: Features = pipeline.features_of) -> None:
        self._cell = cell
        self._features_of = features_of
        self._lock = threading.Lock()
        self._running: RunningRanker | None = None
        self._digest = ""
        self._why: Failure = "starting"
        self._rest_seconds = 0.0
        self._rest_until = 0.0
        self._is_starting = False
        self._is_closed = False
        self._wanted: SimpleQueue[str] = SimpleQueue()
        self._starter: threading.Thread | None = None

    def asked(self, snapshot: Snapshot | Front, policy: RankingPolicy, inputs: SlateInputs) -> SlateInputs:
        """Return the inputs with the ranker's answer, or with why there is none.

        Args:
            snapshot, policy: those the inputs name.
            inputs: of any request; they come back unchanged where no ranker is asked.
        """
        ranker = policy.external
        if ranker is None or not is_asked(policy, inputs):
            return inputs
        return msgspec.structs.replace(inputs, external=self._answer(ranker, snapshot, policy, inputs))

    def close(self) -> None:
        """End the ranker's process, and start none any more."""
        with self._lock:
            self._is_closed = True
            self._end()
            self._wanted.put("")

    def _answer(
        self, ranker: ExternalRanker, snapshot: Snapshot | Front, policy: RankingPolicy, inputs: SlateInputs
    ) -> External:
        seconds = ranker.milliseconds / 1000
        if not self._lock.acquire(timeout=seconds):
            return External(digest=ranker.digest, failed="timeout")
        try:
            # One that hangs must not slow every request: it rests for as long as the policy says.
            self._rest_seconds = ranker.rest_milliseconds / 1000
            running = self._ready(ranker.digest)
            if running is None:
                return External(digest=ranker.digest, failed=self._why)
            question = question_of(snapshot, policy, inputs, self._features_of)
            videos = [video for video, _ in question.candidates]
            return recorded(ranker, videos, running.scores(question, seconds))
        except ConversationError as error:
            return self._failed(ranker.digest, error.failure)
        except AnswerError:
            return self._failed(ranker.digest, "malformed")
        finally:
            self._lock.release()

    def _ready(self, digest: str) -> RunningRanker | None:
        """Return the running ranker; if there is none, start it in the background and say why in `_why`."""
        if self._digest != digest:
            self._end()
            self._digest, self._why, self._rest_until = digest, "starting", 0.0
        if self._running is not None:
            return self._running
        if not self._is_starting and not self._is_closed and time.monotonic() >= self._rest_until:
            self._is_starting, self._why = True, "starting"
            self._wanted.put(digest)
            if self._starter is None:
                self._starter = threading.Thread(target=self._start_wanted, name="rankers", daemon=True)
                self._starter.start()
        return None

    def _start_wanted(self) -> None:
        # One thread starts them all and stays: a confined child dies with the thread that started it.
        while digest := self._wanted.get():
            self._start(digest)

    def _start(self, digest: str) -> None:
        running: RunningRanker | None = None
        why: Failure = "crashed"
        try:
            program = self._cell.objects.get(object_key(digest))
        except Exception as error:  # noqa: BLE001  an object store can fail in many ways; the feed serves on
            _log.error("a ranker of others is not there", error, digest=digest)
            program = b""
        try:
            if hashlib.sha256(program).hexdigest() == digest:
                running = RunningRanker(program)
            else:
                why = "missing"
        except (OSError, confine.InterruptedRun):
            why = "unconfined" if confine.bubblewrap() is None else "crashed"
        except ConversationError as error:
            why = error.failure
        except AnswerError:
            why = "malformed"
        with self._lock:
            self._is_starting = False
            if running is None:
                self._rest(why)
            elif self._digest != digest or self._is_closed:
                running.close()
            else:
                self._running = running

    def _failed(self, digest: str, why: Failure) -> External:
        self._end()
        self._rest("resting")
        _log.error("a ranker of others failed", digest=digest, why=why)
        return External(digest=digest, failed=why)

    def _rest(self, why: Failure) -> None:
        self._why, self._rest_until = why, time.monotonic() + self._rest_seconds

    def _end(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None
