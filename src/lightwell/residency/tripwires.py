"""Tripwires behind the typed messages: a protected value of this cell in anything about to cross is found."""

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final
from weakref import WeakKeyDictionary

from msgspec import Struct
from sqlalchemy import delete, select

from lightwell.base.clock import now_ms
from lightwell.base.db import ReadSession, WriteSession
from lightwell.residency import patterns, scan
from lightwell.residency.decoding import (
    TooNestedError,
    looks_encoded,
    seen_as_others,
    texts_in,
    turned,
    unescaped,
    unfold,
)
from lightwell.residency.folding import fold, plain
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
_MAX_FIELDS: Final = 24

_CHUNK: Final = re.compile(r"[^\W_]+")
_DIGEST: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}|\d{13}")
_WORDS: Final = (re.compile(r"(?<!\S)\S{3,64}$"), re.compile(r"^\S{3,64}"))
_TOKENS: Final = (re.compile(r"(?<![\w+/=-])[\w+/=-]{3,}$"), re.compile(r"^[\w+/=-]{3,}(?![\w+/=-])"))
# Capitals inside a word, or digits between letters: words of people are seldom so.
_ODD: Final = re.compile(r"[a-z][A-Z]|\d[a-zA-Z]|[+/=]")
_SHORTEST_CODE: Final = 12
_NUMBER: Final = 13
_DIGEST_LETTERS: Final = 64


class Trip(Struct, frozen=True):
    """What was found, never the value itself.

    `why` is `protected-value`, `too-nested` or one of the names of `patterns.found`.
    """

    why: str


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
    return inspect(marks_of(session, vault), values, country)


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


def inspect(marks: Marks, values: Iterable[str | bytes], country: str = "") -> Trip | None:
    """Look for marked values and personal details in the values of one message; see `find`."""
    texts: list[str] = []
    for value in values:
        texts += [value] if isinstance(value, str) else texts_in(value)
    # Ids and digests are in every message; of them only those are looked into that decode to text.
    hexes = b"\n".join({text.encode() for text in texts if _DIGEST.fullmatch(text)})
    free = [text for text in texts if text and not _DIGEST.fullmatch(text)]
    if _marked(marks, free) or (hexes and (marks.found_in([hexes]) or marks.found_in([hexes[::-1]]))):
        return Trip("protected-value")
    flags = scan.flags_of(b"\n".join(one for one in hexes.split() if len(one) > _NUMBER)) & scan.ENCODED
    everything = texts
    texts = free if not flags else texts
    flags |= scan.flags_of("\n".join(texts).encode("utf-8", "replace"))
    foreign = [text for text in texts if not text.isascii()]
    if foreign:
        flags |= scan.flags_of("\n".join(map(fold, foreign)).encode("utf-8", "replace"))
    if flags & (scan.MAIL | scan.DIGITS):
        for text in texts:
            why = _by_form(text, country)
            if why:
                return Trip(why)
    if flags & scan.MAIL:
        for text in _joints(texts, _WORDS):
            why = patterns.found(plain(text))
            if why:
                return Trip(why)
    closer = flags & (scan.ENCODED | scan.ESCAPED)
    if not closer and flags & (scan.DIGITS | scan.MIXED):
        closer = any(len(text) >= _SHORTEST_CODE and looks_encoded(fold(text)) for text in texts)
    if closer or any(True for text in foreign for _ in seen_as_others(text)):
        return _inside(marks, everything, country)
    return None


def find_exact(session: ReadSession, vault: KeyVault, texts: Iterable[str]) -> Trip | None:
    """Look only for guarded values: for bytes in which patterns turn up by chance, such as media headers."""
    return Trip("protected-value") if _marked(marks_of(session, vault), list(texts)) else None


def _inside(marks: Marks, texts: list[str], country: str) -> Trip | None:
    """Look through what the texts encode, alone and where two of them meet."""
    try:
        for text in (*texts, *_joints(texts, _TOKENS)):
            for found in _hidden_in(text):
                if any(_marked(marks, [one], every=True) for one in (found, *turned(found))):
                    return Trip("protected-value")
                why = _by_form(found, country)
                if why:
                    return Trip(why)
    except TooNestedError:
        return Trip("too-nested")
    return None


def _hidden_in(text: str) -> Iterator[str]:
    """Yield what a text encodes, if it looks as though it encoded anything."""
    for written in {text, fold(text)}:
        flags = scan.flags_of(written.encode("utf-8", "replace"))
        if flags & scan.ENCODED or looks_encoded(written):
            yield from islice(unfold(written), 1, None)
        elif flags & scan.ESCAPED:
            for found in unescaped(written):
                yield from unfold(found)
    yield from seen_as_others(text)


def _by_form(text: str, country: str) -> str:
    folded = plain(text)
    return (
        patterns.found(folded, country)
        or ("@" in folded and patterns.found(folded[::-1], ""))
        or ("@" in folded and next((why for one in turned(folded) if (why := patterns.found(one))), ""))
        or ""
    )


def _marked(marks: Marks, texts: list[str], *, every: bool = False) -> bool:
    if not len(marks):
        return False
    forward = [fold(text) for text in texts if text]
    # Beyond the limit, fields are looked at in a row only.
    for some in (forward, [text[::-1] for text in reversed(forward)]):
        encoded = [text.encode("utf-8", "replace") for text in some]
        if len(encoded) > _MAX_FIELDS:
            encoded = [*encoded[: _MAX_FIELDS - 1], b"\n".join(encoded[_MAX_FIELDS - 1 :])]
        if marks.found_in(encoded, every=every):
            return True
    return False


def _joints(texts: list[str], parts: tuple[re.Pattern[str], re.Pattern[str]]) -> Iterator[str]:
    """Yield the end of each text joined to the beginning of each other, where both are such parts."""
    # Digests are in every message, and joined to anything they only look encoded.
    some = [text for text in texts if text and len(text) != _DIGEST_LETTERS][:_MAX_FIELDS]
    last, first = (
        [(number, match[0]) for number, text in enumerate(some) if (match := part.search(text))]
        for part in parts
    )
    for i, end in last:
        for j, begin in first:
            # A field that begins with a mention of somebody is no second half of a mail address.
            if i != j and begin[0] != "@" and (parts is _WORDS or _ODD.search(f"{end} {begin}")):
                yield end + begin


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
