"""A whole ledger read from outside, in a folder or over HTTP: says what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from lightwell.wire import entries
from lightwell.wire.audit import audit
from lightwell.wire.checkpoint import CheckpointError, open_checkpoint
from lightwell.wire.note import NoteError, Verifier

_ANSWER_SECONDS = 30.0


class UnreadableError(OSError):
    """The ledger cannot be reached or read at all, which says nothing about whether it is sound."""


@dataclass(frozen=True)
class Report:
    """What a check of a whole ledger found."""

    origin: str
    size: int
    """Entries under the checkpoint; 0 if it could not be opened."""
    root: str
    """Hex."""
    cosigned_by: tuple[str, ...]
    """Names of the witnesses that cosigned, of those whose keys were given."""
    problems: tuple[str, ...]
    """A line each, beginning with the file's path; none if everything holds."""


def check_url(
    fetch: Callable[[str], bytes | None],
    verifier: Verifier,
    witnesses: Sequence[Verifier] = (),
    on_size: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Report:
    """Recompute everything of a ledger from what `fetch` answers.

    Args:
        fetch: returns the bytes at a path below the ledger's prefix, None if there is nothing.
        verifier: the ledger's key, got from elsewhere than the ledger itself.
        witnesses: cosigners' keys to look for on the checkpoint.
        on_size: told the size before the work begins.
        on_progress: told how many entries are done, after each bundle.
    """
    note = fetch("checkpoint")
    if note is None:
        return Report("", 0, "", (), ("checkpoint: missing",))
    try:
        opened = open_checkpoint(note.decode(), verifier, witnesses, origin=verifier.name)
    except (NoteError, CheckpointError, UnicodeDecodeError) as error:
        return Report("", 0, "", (), (f"checkpoint: {error}",))
    checkpoint = opened.checkpoint
    malformed: list[str] = []

    def look(index: int, data: bytes) -> None:
        try:
            entries.decode(data)
        except entries.EntryError as error:
            malformed.append(f"tile/entries: entry {index}: {error}")

    if on_size:
        on_size(checkpoint.size)
    problems = audit(fetch, checkpoint, on_entry=look, on_bundle=on_progress)
    cosigned = tuple(sorted(opened.cosigned_by()))
    return Report(
        checkpoint.origin, checkpoint.size, checkpoint.root.hex(), cosigned, (*problems, *malformed)
    )


def check_folder(
    path: Path,
    verifier: Verifier,
    witnesses: Sequence[Verifier] = (),
    on_size: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Report:
    """Recompute everything of the ledger in a folder; arguments as `check_url`.

    Raises:
        UnreadableError: there is no such folder.
    """
    if not path.is_dir():
        raise UnreadableError(f"{path} is no folder")

    def read(name: str) -> bytes | None:
        try:
            return (path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    return check_url(read, verifier, witnesses, on_size, on_progress)


def check(
    where: str | Path,
    verifier: Verifier,
    witnesses: Sequence[Verifier] = (),
    on_size: Callable[[int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Check the ledger in a folder or at an address and return the report ready for JSON.

    Args:
        where: a ledger's folder; or the address of a log or of a cell, whose log is below `/ledger`.
        verifier, witnesses, on_size, on_progress: as `check_url`.

    Raises:
        UnreadableError: no such folder, or nothing answers at the address.
    """
    if isinstance(where, Path):
        return asdict(check_folder(where, verifier, witnesses, on_size, on_progress))
    with httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False) as client:
        prefix = where.rstrip("/")
        try:
            if client.get(f"{prefix}/checkpoint").status_code != 200:
                prefix += "/ledger"

            def fetch(path: str) -> bytes | None:
                answer = client.get(f"{prefix}/{path}")
                if answer.status_code == 200:
                    return answer.content
                if answer.status_code in {404, 410}:
                    return None
                raise UnreadableError(f"{prefix}/{path}: status {answer.status_code}")

            return asdict(check_url(fetch, verifier, witnesses, on_size, on_progress))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreadableError(f"{prefix}: {type(error).__name__}") from error
