"""What a front asks the shards of a catalogue, and what they answer: closed types of bounded size."""

from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.counters import Totals
from lightwell.recommender.record import Digest
from lightwell.recommender.snapshot import PER_VIDEO

MOST_SHARDS: Final = 64
MOST_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""No message is longer; a reader refuses one that says it is before it reads on."""

ROW: Final = np.dtype(
    [*PER_VIDEO.items(), ("place", "<i4"), ("tags", "<u4"), ("long", "<i4"), ("other", "<i4")]
)
"""One video: its columns; its position in the whole base, -1 if it was added later; how many tags it has;
and what the item graph's edges from the viewer's long and other watches to it sum to."""

Kind = Literal["creator", "sound", "tag"]
Rows = NDArray[Any]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class AskedList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The newest videos of some creators, sounds or tags.

    rows: their numbers in the whole catalogue, ascending, as int32. most: videos of each, of the base; of
    those added later, all. cut: of all together the newest so many, 0 for no cut. skip: whether the heads of
    lists are filled with what was not seen.
    """

    kind: Kind
    rows: bytes
    most: _Count
    cut: _Count = 0
    skip: bool = True


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="ask"):
    """One question about one snapshot.

    find: ids (uint64) of videos whose rows are wanted, if they are this shard's. watched, kinds: the viewer's
    history as positions in the whole base and kinds of `measure.history`, int32. long, other: what edges
    from long and other watches count. near: how many of the strongest neighbours. seen: ids (uint64),
    ascending. window: how deep the newest videos are looked at; with `whole`, the rows of those and of
    the risen ones are answered, else only their sums.
    """

    snapshot: Digest
    find: bytes = b""
    watched: bytes = b""
    kinds: bytes = b""
    long: int = 0
    other: int = 0
    near: _Count = 0
    seen: bytes = b""
    lists: list[AskedList] = []
    window: _Count = 0
    whole: bool = False


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="answer"):
    """The answer to an `Ask`.

    rows: of the videos found, of neighbours, of each list in turn, then of the window, as `ROW`. tags: of the
    rows, one after the other, int32. parts: how many rows each of them has. numbers: of the rows of
    lists, the number each was found under, -1 for videos added later. met: which of the window's videos
    have edges from the history, and the two sums of each, three int32 a video.
    """

    rows: bytes
    tags: bytes
    parts: list[int]
    numbers: bytes
    met: bytes


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="open"):
    """Hold this snapshot ready: the base that the shard has on disk, or that and an update beside it."""

    snapshot: Digest
    base: Digest


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="opened"):
    """It is there; the totals of the shard's own videos."""

    totals: Totals


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="settle"):
    """The totals of all shards, from which the scores of videos follow; only then is an `Ask` answered."""

    snapshot: Digest
    totals: Totals


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="done"):
    """It was done."""


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="failed"):
    """It could not be done: the snapshot is not held here, its bytes are wrong, or the question is."""

    why: Literal["absent", "unreadable", "malformed", "too-long"]


Question = Ask | Open | Settle
Reply = Answer | Opened | Done | Failed


def ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of several ranges, one after the other: start, start + 1 ... of each."""
    ends = sizes.cumsum()
    total = int(ends[-1]) if ends.size else 0
    before: NDArray[np.int64] = (starts - ends + sizes).repeat(sizes)
    return np.arange(total, dtype=np.int64) + before
