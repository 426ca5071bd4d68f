"""Tripwires behind the typed messages: a protected value of this cell in anything about to cross is found."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from lightwell.base.db import ReadSession, WriteSession
from lightwell.residency.decoding import TooNestedError, plain, unfold
from lightwell.residency.keys import KeyVault
from lightwell.residency.tripwires_models import GuardedValue

# Shorter values are words and numbers that anybody may write; they would trip on innocent captions.
MIN_CHARACTERS: Final = 7
MAX_CHUNKS: Final = 12
_LOOKUP_BATCH: Final = 500
_INDEX: Final = "tripwires"

_CHUNK: Final = re.compile(r"[^\W_]+")
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+")
# International form, or the North American one with its separators; bare digits are too often counts.
_PHONE: Final = re.compile(
    r"(?<![\w+])(?:\+\d(?:[ .()/-]{0,2}\d){7,14}|(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4})(?!\w)"
)


class Trip(Struct, frozen=True):
    """What was found, never the value itself.

    `why` is `protected-value`, `e-mail`, `phone-number` or `too-nested`.
    """

    why: str


def guard(session: WriteSession, vault: KeyVault, account_id: str, values: Iterable[str]) -> int:
    """Remember keyed hashes of protected values, so that the gateway knows them when they try to leave.

    Values that many people share (a birthday, a town) are better not guarded: they trip on innocent text.

    Args:
        session: the transaction that stores the values themselves, sealed.
        vault: this cell's keys.
        account_id: whose values they are; `forget` removes them with the account.
        values: e-mail, phone number, address, IP, canaries; those below `MIN_CHARACTERS` letters and
            digits are left out.

    Returns:
        How many values are guarded now.
    """
    found = {form for value in values for form in _forms(value)}
    rows = [
        {"value_index": vault.blind_index(_INDEX, form), "account_id": account_id} for form in sorted(found)
    ]
    if rows:
        on_sqlite = session.get_bind().dialect.name == "sqlite"
        insert = (sqlite if on_sqlite else postgresql).insert(GuardedValue)
        session.execute(insert.on_conflict_do_nothing(), rows)
    return len(rows)


def forget(session: WriteSession, account_id: str) -> None:
    """Forget every guarded value of an account that is erased."""
    session.execute(delete(GuardedValue).where(GuardedValue.account_id == account_id))


def find(session: ReadSession, vault: KeyVault, values: Iterable[str | bytes]) -> Trip | None:
    """Look for protected data in the values of one message, also split over neighbouring fields.

    Args:
        session: any session of this cell.
        vault: this cell's keys.
        values: the message's texts in order.

    Returns:
        The first thing found, or None.
    """
    texts: list[str] = []
    try:
        for value in values:
            texts += unfold(value)
    except TooNestedError:
        return Trip("too-nested")
    for text in texts:
        if _EMAIL.search(plain(text)):
            return Trip("e-mail")
        if _PHONE.search(text):
            return Trip("phone-number")
    candidates = set(_candidates(texts))
    return Trip("protected-value") if _any_guarded(session, vault, candidates) else None


def find_exact(session: ReadSession, vault: KeyVault, texts: Iterable[str]) -> Trip | None:
    """Look only for guarded values: for bytes in which patterns turn up by chance, such as media headers."""
    candidates = set(_candidates(list(texts)))
    return Trip("protected-value") if _any_guarded(session, vault, candidates) else None


def _forms(value: str) -> Iterator[str]:
    """Yield the forms in which a value is looked for: its letters and digits alone."""
    squashed = "".join(_CHUNK.findall(plain(value)))
    if len(squashed) >= MIN_CHARACTERS:
        yield squashed
    # A phone number is known with and without its country code.
    if squashed.isdigit() and len(squashed) > 10:
        yield squashed[-10:]


def _candidates(texts: list[str]) -> Iterator[str]:
    chunks = [chunk for text in texts for chunk in _CHUNK.findall(plain(text))]
    yield from _windows(chunks)
    yield from _windows([chunk[::-1] for chunk in reversed(chunks)])


def _windows(chunks: list[str]) -> Iterator[str]:
    for start in range(len(chunks)):
        joined = ""
        for chunk in chunks[start : start + MAX_CHUNKS]:
            joined += chunk
            if len(joined) >= MIN_CHARACTERS:
                yield joined


def _any_guarded(session: ReadSession, vault: KeyVault, candidates: set[str]) -> bool:
    indexes = [vault.blind_index(_INDEX, candidate) for candidate in candidates]
    for start in range(0, len(indexes), _LOOKUP_BATCH):
        batch = indexes[start : start + _LOOKUP_BATCH]
        asked = select(GuardedValue.account_id).where(GuardedValue.value_index.in_(batch)).limit(1)
        if session.scalars(asked).first() is not None:
            return True
    return False
