"""Many short texts in one block of bytes: each is decoded when asked for, and found without an index."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

_MOST_REMEMBERED = 65_536


class WordsError(ValueError):
    """A block that is not UTF-8, not whole, or cut at other places than the ends of its words."""


class Words(Sequence[str]):
    """Words by number; those of the block first, in ascending order, then `more` in any order.

    Args:
        block: every word as UTF-8, each followed by a newline.
        starts: where each word begins, and at the end the size of the block; shape (words + 1,).
        more: words that came later than the block.
    """

    def __init__(
        self, block: bytes | memoryview, starts: NDArray[np.int64], more: Iterable[str] = ()
    ) -> None:
        self.block = memoryview(block)
        self.starts = starts
        self._more = tuple(more)
        self._later = {word: starts.size - 1 + at for at, word in enumerate(self._more)}
        self._found: dict[str, int] = {}

    @classmethod
    def of(cls, words: Iterable[str]) -> "Words":
        """Take distinct words in ascending order.

        Raises:
            WordsError: out of order, given twice, or with a newline.
        """
        raw = [word.encode() for word in words]
        if any(before >= after for before, after in pairwise(raw)):
            raise WordsError("words do not ascend")
        starts = np.zeros(len(raw) + 1, dtype=np.int64)
        np.cumsum([len(word) + 1 for word in raw], out=starts[1:])
        made = cls(b"".join(word + b"\n" for word in raw), starts)
        made.check()
        return made

    def check(self) -> None:
        """Refuse a block that does not decode word by word.

        Raises:
            WordsError: what is wrong.
        """
        block, starts = np.frombuffer(self.block, dtype=np.uint8), self.starts
        if (
            not starts.size
            or starts[0]
            or starts[-1] != block.size
            or bool((starts[1:] <= starts[:-1]).any())
        ):
            raise WordsError("words: their starts do not fit")
        # A newline is one byte and part of no longer character: between two of them UTF-8 stays whole.
        if not np.array_equal(np.flatnonzero(block == ord("\n")), starts[1:] - 1):
            raise WordsError("words: one does not end where the next begins")
        try:
            str(self.block, "utf-8")
        except UnicodeDecodeError as error:
            raise WordsError("words are not UTF-8") from error

    def __len__(self) -> int:
        return self.starts.size - 1 + len(self._more)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[str, ...]: ...
    def __getitem__(self, number: int | slice) -> str | tuple[str, ...]:
        if isinstance(number, slice):
            return tuple(self[at] for at in range(*number.indices(len(self))))
        at = int(number)
        if at < 0:
            at += len(self)
        in_block = self.starts.size - 1
        if not 0 <= at < in_block:
            if not in_block <= at < in_block + len(self._more):
                raise IndexError("no word of this number")
            return self._more[at - in_block]
        return str(self._raw(at), "utf-8")

    def number(self, word: str) -> int:
        """The number of a word, -1 for one that is not there."""
        found = self._found.get(word)
        if found is None:
            found = self._later.get(word, -1)
            if found < 0:
                found = self._search(word.encode())
            if len(self._found) < _MOST_REMEMBERED:
                self._found[word] = found
        return found

    def with_more(self, more: Iterable[str]) -> "Words":
        """These words followed by others; the block is shared."""
        return Words(self.block, self.starts, (*self._more, *more))

    def _raw(self, at: int) -> memoryview:
        return self.block[int(self.starts[at]) : int(self.starts[at + 1]) - 1]

    def _search(self, word: bytes) -> int:
        low, high = 0, self.starts.size - 1
        while low < high:
            middle = (low + high) // 2
            if bytes(self._raw(middle)) < word:
                low = middle + 1
            else:
                high = middle
        is_found = low < self.starts.size - 1 and bytes(self._raw(low)) == word
        return low if is_found else -1
