"""What the ledger commands share: whom to trust, plain lines on the screen, progress, and how they end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lightwell.wire import trust
from lightwell.wire.keys import COSIGNATURE, NoteError, Verifier
from lightwell.wire.tiles import ENTRY_LIMIT
from lightwell.wire.trust import TrustError, TrustPolicy

Where = Annotated[str, typer.Argument(help="Address of a cell or of its ledger, or the ledger's folder.")]
Vkey = Annotated[str | None, typer.Option(help="The ledger's verifier key: name+hash+base64.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A tlog-policy file: known logs, witnesses and the quorum.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_POLICY_LIMIT = 16 * 1024 * 1024
_QUIET_SECONDS = 1.0
_UNREADABLE = 2
_PIPE_CLOSED, _INTERRUPTED = 141, 130
"""What a shell reports of a process that such a signal ended."""


class UsageError(ValueError):
    """The options do not say what is needed; the text says what is."""


def trusted(vkey: str | None, policy: Path | None, witnesses: list[str] | None = None) -> TrustPolicy:
    """Return the policy that the options stand for.

    Args:
        vkey: the one log; if there is a policy too, a log of it.
        policy: a tlog-policy file.
        witnesses: verifier keys, each of which must have cosigned; not beside a policy.

    Raises:
        UsageError: neither key nor policy, or they do not fit.
        NoteError, TrustError: a key or the file is malformed.
        OSError: the file cannot be read.
    """
    if policy is None:
        if vkey is None:
            raise UsageError("say whom to trust: --vkey, --policy or both")
        return trust.of_keys(_log(vkey), [_witness(one) for one in witnesses or ()])
    if witnesses:
        raise UsageError("--witness goes with --vkey; a policy names its own witnesses")
    with policy.open("rb") as file:
        data = read_up_to(file, _POLICY_LIMIT, str(policy))
    try:
        found = trust.parse(data)
    except TrustError as error:
        raise UsageError(f"{policy}: {error}") from None
    if vkey is None:
        return found
    logs = tuple(known for known in found.logs if known.verifier == _log(vkey))
    if not logs:
        raise UsageError(f"{policy} names no log of this --vkey")
    return TrustPolicy(found.quorum, logs, found.witnesses, found.groups)


def _log(vkey: str) -> Verifier:
    try:
        log = Verifier.from_vkey(vkey.strip())
    except NoteError as error:
        raise UsageError(f"--vkey: {error}") from None
    if log.algorithm == COSIGNATURE:
        raise UsageError("--vkey: this is a witness's key (type 0x04), not a log's")
    return log


def _witness(vkey: str) -> Verifier:
    try:
        witness = Verifier.from_vkey(vkey.strip())
    except NoteError as error:
        raise UsageError(f"--witness: {error}") from None
    if not witness.is_cosigner:
        raise UsageError("--witness: this key is not a witness's (type 0x04 or 0x06)")
    return witness


def read_up_to(file: BinaryIO, limit: int, name: str) -> bytes:
    """Return all of `file`.

    Raises:
        UsageError: it has more than `limit` bytes.
    """
    data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{name}: longer than any such file is")
    return data


def read_entry(path: Path) -> bytes:
    """Return the bytes of the one entry that the file holds.

    Raises:
        UsageError: it is longer than an entry may be.
    """
    with path.open("rb") as file:
        return read_up_to(file, ENTRY_LIMIT, str(path))


def plain(text: str) -> str:
    """Return `text` so that a terminal shows it and does nothing: a log may put any character in a name."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def say(text: str) -> None:
    """Print one line."""
    typer.echo(plain(text))


def moment(seconds: int) -> str:
    """Return a time as UTC; the bare number if no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """End without a traceback: bad input is one line (2), the user may interrupt (130), a reader go (141)."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # What is still buffered has no reader: Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_PIPE_CLOSED)
    except (ValueError, OSError) as error:
        said = str(error).splitlines() or [type(error).__name__]
        if isinstance(error, OSError) and error.filename is not None:
            said = [f"{error.filename}: {error.strerror}"]
        # The command line says such errors anyway, but as they come, and servers choose some of the words.
        typer.echo(f"lightwell: {plain(said[0])}", err=True)
        sys.exit(_UNREADABLE)


class Bar:
    """A progress bar on standard error: only on a terminal, and only once the work has taken a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = Console(stderr=True)
        self._since = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def show(self, done: int, total: int) -> None:
        """Say how far the work is."""
        if self._progress is None:
            if not self._console.is_terminal or time.monotonic() - self._since < _QUIET_SECONDS:
                return
            columns = (TextColumn(self._what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.start()
            self._task = self._progress.add_task(self._what, total=total)
        self._progress.update(self._task, completed=done)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
