"""A ranker: integer decision trees, one group for each outcome, that turn integer features into log-odds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OUTCOMES: Final = ("relevance", "long", "like", "share", "follow", "skip", "hide")
"""What a viewer may do with a video, by the names a ranking policy mixes them under."""

RAW_ONE: Final = 1024
"""Raw scores are log-odds in this fraction."""

MOST_DEPTH: Final = 64
_MOST_FEATURES: Final = 256
_MOST_NODES: Final = 1 << 16  # of one tree: a packed child fits 16 bits
_MOST_VALUE: Final = 1 << 24  # of all trees on one path together: sums and mixes stay far below 2^63

ARRAYS: Final[Mapping[str, str]] = {
    "tree_starts": "<i4",
    "root": "<i4",
    "feature": "<i2",
    "threshold": "<i4",
    "left": "<i4",
    "right": "<i4",
    "value": "<i4",
}
"""The arrays of a ranker and their types, in the order a file holds them."""


class RankerError(ValueError):
    """Arrays that are not a forest: another shape, a loop, a value out of range."""


@dataclass(frozen=True, eq=False)
class Ranker:
    """Trees in plain arrays, read-only.

    Attributes:
        outcomes: names among `OUTCOMES`, each once.
        tree_starts: shape (outcomes + 1,), where the trees of each outcome begin in `root`.
        root: the first node of each tree; the nodes of a tree follow it without a gap.
        feature: by node, which feature is asked for; -1 in a leaf.
        threshold: go left if the feature is at most this.
        left, right: the children, after their parent; of a leaf, itself.
        value: 1/1024 log-odds of a leaf; of an inner node what is expected below it, for attribution.
    """

    outcomes: tuple[str, ...]
    tree_starts: NDArray[np.int32]
    root: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.int32]

    @classmethod
    def of(cls, outcomes: tuple[str, ...], arrays: Mapping[str, Any], features: int) -> "Ranker":
        """Check arrays, from a file or from fitting, and take them as a ranker.

        Args:
            outcomes: see above.
            arrays: every name of `ARRAYS`.
            features: how many features there are.

        Raises:
            RankerError: they are not a forest over so many features.
        """
        taken = {name: _read_only(np.asarray(arrays[name]), kind) for name, kind in ARRAYS.items()}
        ranker = cls(outcomes, **taken)
        ranker._check(features)
        return ranker

    @property
    def trees(self) -> int:
        """How many trees there are."""
        return int(self.root.size)

    def _check(self, features: int) -> None:
        if len(set(self.outcomes)) != len(self.outcomes) or not set(self.outcomes) <= set(OUTCOMES):
            raise RankerError(f"ranker: outcomes {self.outcomes} are not those known, each once")
        starts, nodes = self.tree_starts, self.feature.size
        if starts.size != len(self.outcomes) + 1 or starts[0] or starts[-1] != self.root.size:
            raise RankerError("ranker: tree_starts does not fit")
        if bool((np.diff(starts) < 0).any()):
            raise RankerError("ranker: tree_starts does not ascend")
        sizes = {array.size for array in (self.threshold, self.left, self.right, self.value)}
        if sizes != {nodes}:
            raise RankerError("ranker: arrays of nodes differ in length")
        self._check_nodes(features, nodes)

    def _check_nodes(self, features: int, nodes: int) -> None:
        root = self.root.astype(np.int64)
        ends = np.append(root[1:], nodes)
        if root.size and (root[0] or bool((ends <= root).any()) or int((ends - root).max()) > _MOST_NODES):
            raise RankerError("ranker: roots do not divide the nodes")
        if not root.size and nodes:
            raise RankerError("ranker: nodes without a tree")
        if not nodes:
            return
        at, leaf = np.arange(nodes), self.feature < 0
        if int(self.feature.min()) < -1 or int(self.feature.max()) >= min(features, _MOST_FEATURES):
            raise RankerError(f"ranker: a node asks for a feature that is not among {features}")
        end = ends.repeat(ends - root)
        for child in (self.left, self.right):
            inner_fits = (child > at) & (child < end)
            if not bool(np.where(leaf, child == at, inner_fits).all()):
                raise RankerError("ranker: a child does not come after its parent in the same tree")
        children = np.concatenate((self.left[~leaf], self.right[~leaf]))
        parents = np.bincount(children, minlength=nodes)
        parents[root] += 1
        if not bool((parents == 1).all()):
            raise RankerError("ranker: a node has no parent or several")
        largest = np.maximum.reduceat(np.abs(self.value.astype(np.int64)), root)
        if int(largest.sum()) > _MOST_VALUE:
            raise RankerError("ranker: values are too large to add up")
        if int(depths(self).max()) > MOST_DEPTH:
            raise RankerError(f"ranker: a tree is deeper than {MOST_DEPTH}")


def depths(ranker: Ranker) -> NDArray[np.int64]:
    """How many questions the longest way through each tree asks, shape (trees,)."""
    level = ranker.root.astype(np.int64)
    tree = np.arange(level.size)
    found = np.zeros(level.size, dtype=np.int64)
    for depth in range(1, MOST_DEPTH + 2):
        inner = ranker.feature[level] >= 0
        level, tree = level[inner], tree[inner]
        if not level.size:
            break
        found[tree] = depth
        level = np.concatenate((ranker.left[level], ranker.right[level])).astype(np.int64)
        tree = np.concatenate((tree, tree))
    return found


def _read_only(values: NDArray[Any], kind: str) -> NDArray[Any]:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise RankerError("ranker: arrays hold integers in one dimension")
    bounds = np.iinfo(kind)
    if values.size and (int(values.min()) < bounds.min or int(values.max()) > bounds.max):
        raise RankerError(f"ranker: a value does not fit {kind}")
    taken = np.ascontiguousarray(values, dtype=kind)
    taken = taken.view()
    taken.flags.writeable = False
    return taken
