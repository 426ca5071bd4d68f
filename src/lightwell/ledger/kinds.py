"""What kind an entry is of, said about any bytes: known, made after this reader, or no entry at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lightwell.wire import entries

_NAMES_KEPT = 100
_NAME_LIMIT = 200
OTHERS = "(others)"


@dataclass(frozen=True)
class Kind:
    """What is known about one entry."""

    name: str
    """The kind it names; empty if it is no entry."""
    known: bool
    """Whether this reader knows the kind and its version."""
    problem: str = ""
    """Why it is no entry; empty if it is one."""


def kind_of(data: bytes) -> Kind:
    """Return the kind of the entry in `data`, its name cut to 200 characters."""
    try:
        entry = entries.decode(data)
    except entries.EntryError as error:
        return Kind("", False, str(error))
    if isinstance(entry, entries.UnknownEntry):
        return Kind(entry.kind[:_NAME_LIMIT], False)
    return Kind(type(entry).__name__, True)


@dataclass
class Census:
    """How many entries there are of each kind; names that a log makes up cannot fill the memory."""

    known: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    """Kinds made after this reader: the first hundred by name, the rest together as `(others)`."""

    def add(self, kind: Kind) -> None:
        """Count one entry; what is no entry is not counted."""
        if kind.known:
            self.known[kind.name] += 1
        elif not kind.problem:
            room = kind.name in self.unknown or len(self.unknown) < _NAMES_KEPT
            self.unknown[kind.name if room else OTHERS] += 1
