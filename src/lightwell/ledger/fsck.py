"""A whole ledger read from outside, in a folder or over HTTP: says what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightwell.ledger.download import UnreadableError
from lightwell.ledger.fsck_tree import EnoughError, check_tree, reading_order
from lightwell.ledger.kinds import Census, kind_of
from lightwell.ledger.reader import Folder, Ledger
from lightwell.ledger.signed_tree import MissingError, TreeError, read_bundle, read_tile
from lightwell.wire import tiles, trust
from lightwell.wire.audit import PROBLEM_LIMIT, Read
from lightwell.wire.checkpoint import CheckpointError, OpenedCheckpoint
from lightwell.wire.keys import NoteError, Verifier
from lightwell.wire.tiles import TileError
from lightwell.wire.trust import TrustError, TrustPolicy

__all__ = ["Cosigner", "Report", "UnreadableError", "check", "check_folder", "check_url", "cosigners_of"]

Told = Callable[[int], None]


@dataclass(frozen=True)
class Cosigner:
    """A known witness that cosigned a checkpoint."""

    name: str
    vkey: str
    at: int
    """Seconds since the epoch, by the witness's clock."""


@dataclass(frozen=True)
class Report:
    """What a check of a whole ledger found."""

    origin: str = ""
    """Empty, as all that follows, if the checkpoint could not be opened."""
    size: int = 0
    """Entries under the checkpoint."""
    root: str = ""
    """Hex."""
    cosigners: tuple[Cosigner, ...] = ()
    """The witnesses that cosigned, of those whose keys were given."""
    strangers: tuple[str, ...] = ()
    """Names on signatures by keys that were not given: nobody checked these."""
    kinds: dict[str, int] = field(default_factory=dict)
    """How many entries of each known kind."""
    unknown_kinds: dict[str, int] = field(default_factory=dict)
    """How many of kinds made after this reader, kept and verified like any other."""
    problems: tuple[str, ...] = ()
    """A line each, beginning with the file's path; none if everything holds."""
    notes: tuple[str, ...] = ()
    """What is worth knowing and no problem, a line each."""
    complete: bool = True
    """Whether all was read: not after a thousand problems, or without a checkpoint."""


def cosigners_of(opened: OpenedCheckpoint) -> tuple[Cosigner, ...]:
    """Return the known witnesses that cosigned, in the note's order."""
    signed = ((one.verifier, one.timestamp) for one in opened.note.signatures)
    return tuple(
        Cosigner(verifier.name, verifier.vkey(), at)
        for verifier, at in signed
        if verifier is not None and at is not None and verifier != opened.log
    )


def check(
    ledger: Ledger, policy: TrustPolicy, on_size: Told | None = None, on_progress: Told | None = None
) -> Report:
    """Check everything of a ledger: its checkpoint, every tile, every bundle, every entry.

    Args:
        ledger: where it is read.
        policy: whose checkpoint it must be, and who must have cosigned it; got from elsewhere.
        on_size: told how many entries there are before the work begins.
        on_progress: told how many entries are done, after each bundle.

    Raises:
        UnreadableError: the ledger, or some file of it, cannot be reached.
    """
    run = _Run(policy, on_size, on_progress)
    opened = run.open(ledger.read)
    if opened is None:
        return run.report(None)
    with ledger.reading(reading_order(opened.checkpoint.size)) as read:
        run.check(read, opened)
    if isinstance(ledger, Folder) and run.complete:
        run.look_around(ledger, opened.checkpoint.size)
    return run.report(opened)


def check_url(
    fetch: Read,
    verifier: Verifier,
    witnesses: Sequence[Verifier] = (),
    on_size: Told | None = None,
    on_progress: Told | None = None,
) -> Report:
    """As `check`, of whatever `fetch` reads, with a key instead of a policy.

    Args:
        fetch: returns the bytes at a path below the ledger's prefix, None if there is nothing.
        verifier: the ledger's key.
        witnesses: cosigners to look for; none of them must have signed.
        on_size, on_progress: as `check`.
    """
    run = _Run(_looking_for(verifier, witnesses), on_size, on_progress)
    opened = run.open(fetch)
    if opened is not None:
        run.check(fetch, opened)
    return run.report(opened)


def check_folder(
    path: Path,
    verifier: Verifier,
    witnesses: Sequence[Verifier] = (),
    on_size: Told | None = None,
    on_progress: Told | None = None,
) -> Report:
    """As `check`, of the ledger in a folder, with a key instead of a policy; arguments as `check_url`.

    Raises:
        UnreadableError: there is no such folder, or a file in it cannot be read.
    """
    return check(Folder(path), _looking_for(verifier, witnesses), on_size, on_progress)


def _looking_for(log: Verifier, witnesses: Sequence[Verifier]) -> TrustPolicy:
    known = {f"w{number}": trust.Known(one) for number, one in enumerate(witnesses, 1)}
    return TrustPolicy(trust.NO_QUORUM, (trust.Known(log),), known)


class _Run:
    def __init__(self, policy: TrustPolicy, on_size: Told | None, on_progress: Told | None) -> None:
        self.policy = policy
        self.on_size, self.on_progress = on_size or (lambda _: None), on_progress or (lambda _: None)
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.census = Census()
        self.complete = True

    def report(self, opened: OpenedCheckpoint | None) -> Report:
        problems = tuple(self.problems)
        if opened is None:
            return Report(problems=problems, complete=False)
        checkpoint = opened.checkpoint
        return Report(
            checkpoint.origin,
            checkpoint.size,
            checkpoint.root.hex(),
            cosigners_of(opened),
            tuple(one.name for one in opened.note.others),
            dict(sorted(self.census.known.items())),
            dict(sorted(self.census.unknown.items())),
            problems,
            tuple(self.notes),
            self.complete,
        )

    def open(self, read: Read) -> OpenedCheckpoint | None:
        """Open the checkpoint; one without its quorum, or with a bad cosignature, is still one to check."""
        note = read(tiles.CHECKPOINT_PATH)
        if note is None:
            self._problem("checkpoint: missing")
            return None
        logs = self.policy.logs
        anybody = TrustPolicy(trust.NO_QUORUM, logs, self.policy.witnesses)
        for policy in (anybody, TrustPolicy(trust.NO_QUORUM, logs)):
            try:
                opened = policy.open(note.decode())
            except (NoteError, CheckpointError, TrustError, UnicodeDecodeError) as error:
                if policy is anybody:
                    self._problem(f"checkpoint: {error}")
                continue
            found = self.policy.cosigners(opened)
            if not self.policy.satisfied(found):
                names = ", ".join(found) or "no witness"
                self._problem(f"checkpoint: the quorum {self.policy.quorum} is not met: cosigned by {names}")
            return opened
        return None

    def check(self, read: Read, opened: OpenedCheckpoint) -> None:
        checkpoint = opened.checkpoint
        self.on_size(checkpoint.size)

        def look(index: int, data: bytes) -> None:
            kind = kind_of(data)
            self.census.add(kind)
            if kind.problem:
                self._problem(f"{_bundle_of(index, checkpoint.size)}: entry {index}: {kind.problem}")

        try:
            check_tree(read, checkpoint, self._problem, look, self.on_progress)
        except EnoughError:
            self.complete = False

    def look_around(self, folder: Folder, size: int) -> None:
        """Look at the files in the folder that the checkpoint does not cover."""
        later = drafts = 0
        try:
            for path in folder.files():
                match _place(path, size):
                    case "older":
                        self._compare_older(folder.read, path, size)
                    case "later":
                        later += 1
                    case "draft":
                        drafts += 1
                    case "foreign" if len(self.notes) < PROBLEM_LIMIT:
                        self.notes.append(f"{path}: not a file of a ledger")
        except EnoughError:
            self.complete = False
        if later:
            self.notes.append(f"files of entries that the checkpoint does not cover yet: {later}")
        if drafts:
            self.notes.append(f"drafts that a writer did not finish (.new): {drafts}")

    def _compare_older(self, read: Read, path: str, size: int) -> None:
        """See that an unfinished file of an older checkpoint is the beginning of today's."""
        level, index, width = tiles.parse_path(path)

        def older(wanted: str) -> bytes | None:
            return read(wanted) if wanted == path else None

        now = tiles.width_at(level or 0, index, size)
        fetch = read_bundle if level is None else _tile_reader(level)
        try:
            before = fetch(older, index, width)
        except MissingError:
            return
        except TreeError as error:
            self._problem(str(error))
            return
        try:
            today = fetch(read, index, now)
        except (MissingError, TreeError):
            return
        if before != today[:width]:
            self._problem(f"{path}: of an older tree, and not the beginning of today's")

    def _problem(self, line: str) -> None:
        self.problems.append(line)
        if len(self.problems) >= PROBLEM_LIMIT:
            raise EnoughError


def _tile_reader(level: int) -> Callable[[Read, int, int], list[bytes]]:
    return lambda read, index, width: read_tile(read, level, index, width)


def _bundle_of(index: int, size: int) -> str:
    bundle = index // tiles.WIDTH
    return tiles.bundle_path(bundle, tiles.width_at(0, bundle, size))


def _place(path: str, size: int) -> str:
    """Say what a file in a ledger's folder is to a tree of `size`."""
    if path == tiles.CHECKPOINT_PATH:
        return "ours"
    if path.endswith(".new"):
        return "draft"
    try:
        level, index, width = tiles.parse_path(path)
    except TileError:
        return "foreign"
    now = tiles.width_at(level or 0, index, size)
    if width == now:
        return "ours"
    return "older" if width < now else "later"
