"""Messages are inspected for marked values and personal details: all of them quickly, what is odd closely."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lightwell.residency import patterns, shapes, spotting
from lightwell.residency.decoding import TooNestedError, spotted, texts_in, turned, unfold
from lightwell.residency.folding import fold, fold_fields, plain
from lightwell.residency.scan import MAX_FIELDS, Marks

_DIGEST: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}|\d{13}")
_DIGEST_SIZES: Final = frozenset({13, 16, 64})
_DIGEST_LETTERS: Final = 64
_WORDS: Final = (re.compile(r"(?<!\S)\S{3,64}$"), re.compile(r"^\S{3,64}"))
_TOKENS: Final = (re.compile(r"(?<![\w+/=-])[\w+/=-]{3,}$"), re.compile(r"^[\w+/=-]{3,}(?![\w+/=-])"))
# Capitals inside a word, or digits between letters: words of people are seldom so.
_ODD: Final = re.compile(r"[a-z][A-Z]|\d[a-zA-Z]|[+/=]")
_WINDOW: Final = 512
_OVERLAP: Final = 96
_LONG: Final = 2 * _WINDOW


class Trip(Struct, frozen=True):
    """What was found, never the value itself.

    `why` is `protected-value`, `too-nested` or one of the names of `patterns.found`.
    """

    why: str


def inspect(marks: Marks, values: Iterable[str | bytes], country: str = "") -> Trip | None:
    """Look for marked values and personal details in the values of one message; see `tripwires.find`."""
    return inspect_each(marks, [values], country)[0]


def inspect_each(
    marks: Marks, messages: Sequence[Iterable[str | bytes]], country: str = ""
) -> list[Trip | None]:
    """Look through the values of several messages at once, each for itself.

    Kernels read all of them in one go; what they cannot clear is looked at closely.

    Args:
        marks: of the values that are guarded.
        messages: the values of each, in order.
        country: see `patterns.found`.

    Returns:
        The first thing found in each, or None.
    """
    fields: list[str] = []
    rows: list[int] = [0]
    longest: list[int] = []
    for number, values in enumerate(messages):
        # Ids and digests are in every message; of them only those are looked into that decode to text.
        lone: set[str] = set()
        for value in values:
            for one in (value,) if isinstance(value, str) else texts_in(value):
                size = len(one)
                if size in _DIGEST_SIZES and _DIGEST.fullmatch(one):
                    lone.add(one)
                elif size:
                    fields.append(one)
                    if size > _LONG:
                        longest.append(number)
        rows.append(len(fields))
        fields += lone
        rows.append(len(fields))
    text, offsets, others = _folded(fields)
    ends = np.array(rows, np.int64)
    marked = marks.found_in(text, offsets, ends)
    shaped, hidden = _glance(text, offsets, ends, others, set(longest))
    trips: list[Trip | None] = [None] * len(messages)
    for number in set(longest):
        trips[number] = _through_windows(marks, fields[rows[2 * number] : rows[2 * number + 2]], country)
    for number in np.flatnonzero((marked | shaped | hidden).reshape(-1, 2).any(axis=1)).tolist():
        free, lone_row = 2 * number, 2 * number + 1
        if marked[free] or marked[lone_row]:
            trips[number] = Trip("protected-value")
            continue
        first, middle, last = rows[free : free + 3]
        some, spot = fields[first:middle], int(hidden[free])
        if hidden[lone_row]:
            # Of ids and digests only those are looked into that hide something.
            some += [text for text in fields[middle:last] if spotted(text, lone=True)]
            spot |= int(hidden[lone_row])
        trips[number] = trips[number] or _closely(marks, some, country, int(shaped[free]), spot)
    return trips


def inspect_exactly(marks: Marks, texts: Sequence[str]) -> Trip | None:
    """Look only for marked values: for bytes in which patterns turn up by chance, such as media headers."""
    return Trip("protected-value") if _marked(marks, texts) else None


def _folded(fields: Sequence[str]) -> tuple[bytes, NDArray[np.int64], NDArray[np.uint8]]:
    offsets = np.zeros(len(fields) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, fields), np.int64, len(fields)) + 1, out=offsets[1:])
    return fold_fields("\n".join(fields), offsets)


def _glance(
    text: bytes,
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    others: NDArray[np.uint8],
    without: Iterable[int] = (),
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return by row what its shapes could be and what could be hidden in it; every other is of digests.

    `without` are messages that are too long to be looked at in one.
    """
    shaped = np.zeros(len(rows) - 1, np.uint8)
    spotted = np.zeros(len(rows) - 1, np.uint8)
    if text:
        array = np.frombuffer(text, np.uint8)
        lone = np.zeros(len(rows) - 1, np.uint8)
        lone[1::2] = 1
        for number in without:
            lone[2 * number] = 2
        shapes.shape_rows(array, offsets, rows, lone, shaped)
        spotting.spot_rows(array, offsets, rows, lone, spotted)
        for field in np.flatnonzero(others):
            row = np.searchsorted(rows, field, "right") - 1
            spotted[row] |= spotting.ENCODED if lone[row] == 0 else 0
    return shaped, spotted


def _glance_each(texts: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return by text what its shapes could be, and what could be hidden in it."""
    text, offsets, others = _folded(texts)
    rows = np.arange(1, 2 * len(texts) + 2, dtype=np.int64) // 2
    rows[-1] = len(texts)
    shaped, hidden = _glance(text, offsets, np.concatenate(([0], rows[1:])), others)
    return shaped[::2].tolist(), hidden[::2].tolist()


def _through_windows(marks: Marks, texts: Sequence[str], country: str) -> Trip | None:
    """Look closely only at those stretches of long texts that cannot be cleared."""
    for text in texts:
        starts = range(0, max(1, len(text) - _OVERLAP), _WINDOW - _OVERLAP)
        shaped, spotted = _glance_each([text[at : at + _WINDOW] for at in starts])
        for at, shape in zip(starts, shaped, strict=True):
            trip = _closely(marks, [text[at : at + _WINDOW]], country, shape, 0) if shape else None
            if trip is not None:
                return trip
        begun = -1
        for number, odd in enumerate([*spotted, 0]):
            # Windows that are odd one after the other are looked at as one: they may hold one encoding.
            if odd and begun < 0:
                begun = number
            if not odd and begun >= 0:
                trip = _inside(marks, [text[starts[begun] : starts[number - 1] + _WINDOW]], country)
                if trip is not None:
                    return trip
                begun = -1
    return None


def _closely(marks: Marks, texts: Sequence[str], country: str, shape: int, spot: int) -> Trip | None:
    """Look at texts of one message for what a glance could not rule out."""
    if shape == shapes.COUNTED and not (country and patterns.calls(plain("\n".join(texts)))):
        shape = 0
    for text in texts if shape else ():
        why = _by_form(text, country)
        if why:
            return Trip(why)
    for text in _joints(texts, _WORDS) if shape & shapes.MAIL else ():
        why = patterns.found(plain(text)) if "@" in text else ""
        if why:
            return Trip(why)
    return _inside(marks, texts, country) if spot else None


def _inside(marks: Marks, texts: Sequence[str], country: str) -> Trip | None:
    """Look through what the texts encode: alone, all in a row, and where two of them meet."""
    some = [*texts, *_joints(texts, _TOKENS)]
    if len(texts) > 1:
        some.append("\n".join(texts))
    try:
        for text, spot in zip(some, _glance_each(some)[1], strict=True):
            for found in _hidden_in(text) if spot else ():
                if any(_marked(marks, [one], every=True) for one in (found, *turned(found))):
                    return Trip("protected-value")
                why = _by_form(found, country)
                if why:
                    return Trip(why)
    except TooNestedError:
        return Trip("too-nested")
    return None


def _hidden_in(text: str) -> Iterator[str]:
    """Yield what a text encodes."""
    for written in {text, fold(text)}:
        yield from islice(unfold(written), 1, None)


def _by_form(text: str, country: str) -> str:
    folded = plain(text)
    return (
        patterns.found(folded, country)
        or ("@" in folded and next((why for one in turned(folded) if (why := patterns.found(one))), ""))
        or ""
    )


def _marked(marks: Marks, texts: Sequence[str], *, every: bool = False) -> bool:
    some = [text for text in texts if text]
    if not some:
        return False
    text, offsets, _ = _folded(some)
    return bool(marks.found_in(text, offsets, np.array([0, len(some)], np.int64), every=every)[0])


def _joints(texts: Sequence[str], parts: tuple[re.Pattern[str], re.Pattern[str]]) -> Iterator[str]:
    """Yield the end of each text joined to the beginning of each other, where both are such parts."""
    # Digests are in every message, and joined to anything they only look encoded.
    some = [text for text in texts if len(text) != _DIGEST_LETTERS][:MAX_FIELDS]
    last, first = (
        [(number, match[0]) for number, text in enumerate(some) if (match := part.search(text))]
        for part in parts
    )
    for i, end in last:
        for j, begin in first:
            # A field that begins with a mention of somebody is no second half of a mail address.
            if i != j and begin[0] != "@" and (parts is _WORDS or _ODD.search(f"{end} {begin}")):
                yield end + begin
