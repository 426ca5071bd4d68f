"""Trust policies (C2SP tlog-policy): which logs are known, which witnesses, and how many of them it takes.

A reader holds one to say what it believes; a cell's writer holds one to say whom it must ask before a
checkpoint is public.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from lightwell.wire.checkpoint import CheckpointError, OpenedCheckpoint, open_checkpoint
from lightwell.wire.keys import COSIGNATURE, NoteError, Verifier
from lightwell.wire.note import split_note

NO_QUORUM = "none"
LINE_LIMIT = 10_000
"""Lines in a file; each names at most one log, witness or group."""

_WORDS = {"any": 1, "all": -1}


class TrustError(ValueError):
    """The file is not a trust policy; or what it was asked to judge does not satisfy it."""


@dataclass(frozen=True)
class Known:
    """A log or a witness of the policy."""

    verifier: Verifier
    url: str = ""
    """Where it answers: of a witness the prefix of `add-checkpoint`; empty if the file gives none."""


@dataclass(frozen=True)
class Group:
    """Witnesses or groups, of which `threshold` must have witnessed."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class TrustPolicy:
    """A parsed policy; made by `parse` or `of_keys`."""

    quorum: str
    """The name of a witness or group; `none` if no cosignature is needed."""
    logs: tuple[Known, ...] = ()
    witnesses: dict[str, Known] = field(default_factory=dict)
    """By the name the file gives them, in its order."""
    groups: dict[str, Group] = field(default_factory=dict)

    def satisfied(self, names: Collection[str]) -> bool:
        """Say whether cosignatures of these witnesses, named as in the file, make the quorum."""
        witnessed = set(names) & self.witnesses.keys()
        # Each group stands below its members, so that one pass from the top decides all of them.
        for name, group in self.groups.items():
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(name)
        return self.quorum == NO_QUORUM or self.quorum in witnessed

    def cosigners(self, opened: OpenedCheckpoint) -> tuple[str, ...]:
        """Return the witnesses, named as in the file, whose cosignature on `opened` verified."""
        signed = {s.verifier for s in opened.note.signatures}
        return tuple(name for name, known in self.witnesses.items() if known.verifier in signed)

    def open(self, note: str) -> OpenedCheckpoint:
        """Open a checkpoint that one of the logs signed and a quorum of the witnesses cosigned.

        Raises:
            NoteError: malformed, a bad signature of a known key, or signed by no known log.
            CheckpointError: signed, but no checkpoint.
            TrustError: of none of the logs, or without its quorum.
        """
        origin = split_note(note)[0].partition("\n")[0]
        logs = [known.verifier for known in self.logs if known.verifier.name == origin]
        if not logs:
            raise TrustError("the policy names no log of this origin")
        opened = _open_by_any(note, logs, [known.verifier for known in self.witnesses.values()])
        cosigners = self.cosigners(opened)
        if not self.satisfied(cosigners):
            found = ", ".join(cosigners) or "no witness"
            raise TrustError(f"the quorum {self.quorum} is not met: cosigned by {found}")
        return opened

    def text(self) -> str:
        """Return the policy as the text of a file; bytes that were not UTF-8 stand in it as surrogates."""
        lines = [f"log {known.verifier.vkey()} {known.url}".removesuffix(" ") for known in self.logs]
        for name, known in self.witnesses.items():
            lines.append(f"witness {name} {known.verifier.vkey()} {known.url}".removesuffix(" "))
        for name, group in self.groups.items():
            lines.append(f"group {name} {group.threshold} {' '.join(group.members)}")
        return "\n".join([*lines, f"quorum {self.quorum}"]) + "\n"

    def encode(self) -> bytes:
        """Return the policy as a file that `parse` reads back."""
        return self.text().encode("utf-8", "surrogateescape")


def of_keys(log: Verifier, witnesses: Sequence[Verifier] = ()) -> TrustPolicy:
    """Return the policy of one log whose checkpoints every one of `witnesses` must have cosigned."""
    known = {f"w{number}": Known(one) for number, one in enumerate(witnesses, 1)}
    if not known:
        return TrustPolicy(NO_QUORUM, (Known(log),))
    groups = {"every": Group(len(known), tuple(known))}
    return TrustPolicy("every", (Known(log),), known, groups)


def parse(data: bytes) -> TrustPolicy:
    """Parse a policy file.

    Args:
        data: its bytes. Names and comments are opaque: bytes that are not UTF-8 are kept as they are.

    Raises:
        TrustError: malformed, with the line's number.
    """
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in data):
        raise TrustError("a control character")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) > LINE_LIMIT:
        raise TrustError("too many lines")
    parser = _Parser()
    for number, line in enumerate(lines, 1):
        # Space and tab alone separate; Python's own split would take others too.
        words = line.replace("\t", " ").split(" ")
        items = [word for word in words if word]
        if items and not items[0].startswith("#"):
            try:
                parser.take(items[0], items[1:])
            except (TrustError, NoteError) as error:
                raise TrustError(f"line {number}: {error}") from None
    if not parser.quorum:
        raise TrustError("there is no quorum line")
    return TrustPolicy(parser.quorum, tuple(parser.logs), parser.witnesses, parser.groups)


class _Parser:
    def __init__(self) -> None:
        self.logs: list[Known] = []
        self.witnesses: dict[str, Known] = {}
        self.groups: dict[str, Group] = {}
        self.quorum = ""
        self._members: set[str] = set()
        self._keys: dict[str, set[bytes]] = {"log": set(), "witness": set()}

    def take(self, word: str, items: list[str]) -> None:
        match word:
            case "log" if 1 <= len(items) <= 2:
                self._take_log(items[0], *items[1:])
            case "witness" if 2 <= len(items) <= 3:
                self._take_witness(*items)
            case "group" if len(items) >= 3:
                self._take_group(items[0], items[1], tuple(items[2:]))
            case "quorum" if len(items) == 1:
                self._take_quorum(items[0])
            case "log" | "witness" | "group" | "quorum":
                raise TrustError(f"a {word} line has another number of items")
            case _:
                raise TrustError("no line of this kind is known")

    def _take_log(self, vkey: str, url: str = "") -> None:
        verifier = Verifier.from_vkey(vkey)
        if verifier.algorithm == COSIGNATURE:
            raise TrustError("a log's key is not of type 0x04")
        self._check_key("log", verifier)
        self.logs.append(Known(verifier, url))

    def _take_witness(self, name: str, vkey: str, url: str = "") -> None:
        self._check_new(name)
        verifier = Verifier.from_vkey(vkey)
        if not verifier.is_cosigner:
            raise TrustError("a witness's key is of type 0x04 or 0x06")
        self._check_key("witness", verifier)
        self.witnesses[name] = Known(verifier, url)

    def _take_group(self, name: str, count: str, members: tuple[str, ...]) -> None:
        self._check_new(name)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise TrustError("a group's member is not defined above it")
            if member in self._members:
                raise TrustError("a name is a member of a group at most once")
            self._members.add(member)
        threshold = _WORDS.get(count, 0)
        if not threshold:
            if not count.isascii() or not count.isdigit() or len(count) > 9:
                raise TrustError("a group says any, all or a number")
            threshold = int(count)
        elif threshold < 0:
            threshold = len(members)
        if not 1 <= threshold <= len(members):
            raise TrustError("a group needs one to all of its members")
        self.groups[name] = Group(threshold, members)

    def _take_quorum(self, name: str) -> None:
        if self.quorum:
            raise TrustError("there is one quorum line, not two")
        if name != NO_QUORUM and name not in self.witnesses and name not in self.groups:
            raise TrustError("the quorum is not defined above it")
        self.quorum = name

    def _check_key(self, role: str, verifier: Verifier) -> None:
        # The same key under another name or of another type is the same party.
        if verifier.public_bytes in self._keys[role]:
            raise TrustError(f"this {role}'s key stands here twice")
        self._keys[role].add(verifier.public_bytes)

    def _check_new(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise TrustError("this name is taken")


def _open_by_any(note: str, logs: Sequence[Verifier], witnesses: Sequence[Verifier]) -> OpenedCheckpoint:
    problem: NoteError | CheckpointError = NoteError("no log")
    for log in logs:
        try:
            return open_checkpoint(note, log, witnesses, origin=log.name)
        except (NoteError, CheckpointError) as error:
            problem = error
    raise problem
