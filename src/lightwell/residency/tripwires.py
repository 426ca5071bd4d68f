"""Tripwires behind the typed messages: a protected value of this cell in anything about to cross is found."""

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import delete, select

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.residency.folding import fold
from lightwell.residency.inspection import Trip, inspect_each, inspect_exactly
from lightwell.residency.keys import KeyVault
from lightwell.residency.scan import FORM_BYTES, LEAD_BYTES, Mark, Marks
from lightwell.residency.tripwires_models import GuardedValue

# Shorter values are words and numbers that anybody may write; they would trip on innocent captions.
MIN_CHARACTERS: Final = LEAD_BYTES
FRESH_SECONDS: Final = 0.25
"""So late, at most, a process looks for a value that another has just guarded."""
_ALL_SECONDS: Final = 600.0
_OVERLAP_MS: Final = 10_000
_INDEX: Final = "tripwires"
_GUARD: Final = f"INSERT INTO {GuardedValue.__tablename__} (value_index, account_id, guarded_at) VALUES "  # noqa: S608
_CHUNK: Final = re.compile(r"[^\W_]+")


class _Kept:
    """The marks that this process holds of one cell, and how old they are."""

    def __init__(self, vault: KeyVault) -> None:
        self.key = vault.blind_index(_INDEX, "marks")[:16]
        self.marks = Marks(self.key)
        self.lock = threading.Lock()
        self.until = 0
        self.read_at = float("-inf")
        self.all_at = float("-inf")


_kept: Final[WeakKeyDictionary[KeyVault, _Kept]] = WeakKeyDictionary()


def guard(session: WriteSession, vault: KeyVault, account_id: str, values: Iterable[str]) -> int:
    """Remember keyed marks of protected values, so that the gateway knows them when they try to leave.

    Values that many people share (a birthday, a town) are better not guarded: they trip on innocent text.

    Args:
        session: the transaction that stores the values themselves, sealed.
        vault: this cell's keys.
        account_id: whose values they are; `forget` removes them with the account.
        values: e-mail, phone number, address, IP, canaries; those below `MIN_CHARACTERS` letters and
            digits are left out.

    Returns:
        How many values are guarded now, a phone number's forms each counted.
    """
    return guard_all(session, vault, {account_id: values})


def guard_all(session: WriteSession, vault: KeyVault, values: Mapping[str, Iterable[str]]) -> int:
    """Guard the values of many accounts, by account, in one statement; otherwise as `guard`."""
    kept = _of(vault)
    now = now_ms()
    rows = [
        (_pack(kept.marks.mark(form)), account_id, now)
        for account_id, some in values.items()
        for form in {form for value in some for form in _forms(value)}
    ]
    if rows:
        # Given to the driver as they are: half a dozen rows an account, and nothing in them to translate.
        connection = session.connection()
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        connection.exec_driver_sql(f"{_GUARD}({mark}, {mark}, {mark}) ON CONFLICT DO NOTHING", rows)
        kept.read_at = float("-inf")
    return len(rows)


def stored_marks(vault: KeyVault, value: str) -> list[bytes]:
    """Return what `guard` would write down of a value, for those who look for it where it must not be."""
    marks = _of(vault).marks
    return [_pack(marks.mark(form)) for form in dict.fromkeys(_forms(value))]


def forget(session: WriteSession, account_id: str) -> None:
    """Forget every guarded value of an account that is erased; processes drop it within ten minutes."""
    session.execute(delete(GuardedValue).where(GuardedValue.account_id == account_id))


def find(
    session: ReadSession, vault: KeyVault, values: Iterable[str | bytes], country: str = ""
) -> Trip | None:
    """Look for protected data in the values of one message, also split over any two of its fields.

    Args:
        session: any session of this cell.
        vault: this cell's keys.
        values: the message's texts in order.
        country: the numbering plan of the cell's region, such as `US`; see `patterns.found`.

    Returns:
        The first thing found, or None.
    """
    return find_each(session, vault, [values], country)[0]


def find_each(
    session: ReadSession, vault: KeyVault, messages: Sequence[Iterable[str | bytes]], country: str = ""
) -> list[Trip | None]:
    """Look through several messages at once, each for itself, as `find`; that costs less than one by one."""
    return inspect_each(marks_of(session, vault), messages, country)


def marks_of(session: ReadSession, vault: KeyVault) -> Marks:
    """Return the marks of all guarded values of a cell, read anew as far as they may have changed."""
    kept = _of(vault)
    now = time.monotonic()
    if now - kept.read_at > FRESH_SECONDS:
        with kept.lock:
            everything = now - kept.all_at > _ALL_SECONDS
            since = 0 if everything else kept.until - _OVERLAP_MS
            query = select(GuardedValue.value_index, GuardedValue.guarded_at)
            rows = session.execute(query.where(GuardedValue.guarded_at >= since)).all()
            marks = Marks(kept.key) if everything else kept.marks
            marks.add(_unpack(row.value_index) for row in rows)
            kept.until = max((row.guarded_at for row in rows), default=kept.until)
            kept.marks, kept.read_at = marks, now
            if everything:
                kept.all_at = now
    return kept.marks


def find_exact(session: ReadSession, vault: KeyVault, texts: Iterable[str]) -> Trip | None:
    """Look only for guarded values: for bytes in which patterns turn up by chance, such as media headers."""
    return inspect_exactly(marks_of(session, vault), list(texts))


def _forms(value: str) -> Iterator[bytes]:
    """Yield the forms in which a value is looked for: its letters and digits alone, cut to a length."""
    for written in {value, value.lower(), value.upper()}:
        squashed = "".join(_CHUNK.findall(fold(written).lower()))
        form = squashed.encode()
        if len(form) >= MIN_CHARACTERS:
            yield form[:FORM_BYTES]
        # A phone number is known with and without its country code.
        if squashed.isdigit() and len(squashed) > 10:
            yield form[-10:]


def _pack(mark: Mark) -> bytes:
    return mark.mark.to_bytes(8, "big") + bytes([mark.length]) + mark.lead.to_bytes(3, "big")


def _unpack(packed: bytes) -> Mark:
    return Mark(int.from_bytes(packed[:8], "big"), packed[8], int.from_bytes(packed[9:], "big"))


def _of(vault: KeyVault) -> _Kept:
    found = _kept.get(vault)
    if found is None:
        found = _kept[vault] = _Kept(vault)
    return found
