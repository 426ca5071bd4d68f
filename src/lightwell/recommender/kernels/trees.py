"""Trees asked for many candidates at once, and one candidate's answer divided by what was asked."""

# The widths of integers are numba's here, which reads no annotations: to mypy they are all of one kind.
# mypy: disable-error-code="arg-type, assignment, call-overload, no-any-return, operator, return-value"

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.kernels.compiled import I2_TABLE, I2S, I4S, I8, I8S, TO_I8S, U2S, kernel

Array = NDArray[Any]

_DE_BRUIJN = 0x077CB531  # every window of five of its bits is another number


@kernel(I4S, I2S, I4S, I4S, I4S, I4S)
def pack(
    root: Array, feature: Array, threshold: Array, left: Array, right: Array, value: Array
) -> tuple[Array, Array]:
    """Lay trees out for walking: one number a node, siblings side by side, level after level.

    Returns:
        nodes: child << 48 | feature << 32 | threshold (its low 32 bits). `child` is where, from the root, the
            left child stands, the right one after it; a leaf leads to itself, since nothing exceeds its
            threshold.
        values: of each node in the new order.
    """
    nodes = np.empty(feature.size, dtype=np.int64)
    values = np.empty(feature.size, dtype=np.int32)
    queue = np.empty(feature.size, dtype=np.int32)
    for tree in range(root.size):
        begin = np.int64(root[tree])
        queue[begin] = root[tree]
        at, free = begin, begin + 1
        while at < free:
            node = queue[at]
            values[at] = value[node]
            if feature[node] < 0:
                nodes[at] = ((at - begin) << 48) | 0x7FFFFFFF
            else:
                asked = np.int64(feature[node]) << 32
                nodes[at] = ((free - begin) << 48) | asked | (np.int64(threshold[node]) & 0xFFFFFFFF)
                queue[free] = left[node]
                queue[free + 1] = right[node]
                free += 2
            at += 1
    return nodes, values


@kernel(I8S, I4S, I4S, I8S, I8, I8, I2_TABLE, I8, TO_I8S)
def walk(
    nodes: Array,
    values: Array,
    root: Array,
    depth: Array,
    first: int,
    last: int,
    features: Array,
    weight: int,
    raw: Array,
) -> None:
    """Add to `raw` what trees `first` to `last` - 1 answer for each candidate, times a weight.

    Args:
        nodes, values: from `pack`.
        root, depth: by tree.
        features: shape (candidates, features).
        raw: shape (candidates,).
    """
    for tree in range(first, last):
        # Unsigned places spare a look at whether they count from the end.
        begin, levels = np.uint64(root[tree]), depth[tree]
        own = nodes[begin:]
        leaves = values[begin:]
        for row in range(raw.size):
            asked = features[row]
            at = np.uint64(0)
            # As many steps for every candidate: a loop the processor foresees, and overlaps with the next.
            for _ in range(levels):
                node = own[at]
                over = asked[np.uint64(node >> 32) & np.uint64(0xFFFF)] > np.int32(node)
                at = (np.uint64(node) >> np.uint64(48)) + np.uint64(over)
            raw[row] += weight * leaves[at]


@kernel(I8S, I4S, I2S, U2S, I4S, I8, I8, I2_TABLE, I8, TO_I8S)
def vote(
    starts: Array,
    asked: Array,
    at_most: Array,
    keeps: Array,
    values: Array,
    first: int,
    last: int,
    columns: Array,
    weight: int,
    raw: Array,
) -> None:
    """As `walk`, for trees of at most 32 leaves: every question is put to all candidates at once.

    After Lucchese et al., "QuickScorer" (2015): a bit stands for each leaf, from left to right; a question
    answered with "more" strikes the leaves to its left; the lowest bit left is the leaf that walking reaches.
    The leaves are kept in two halves of 16: most questions strike leaves of one half only, and a processor
    holds twice as many halves at a time.

    Args:
        starts: by half tree, the lower half first, where its questions begin.
        asked, at_most, keeps: by question: the feature, the threshold, the leaves that "more" leaves.
        values: 32 a tree, where `leaf_place` puts each leaf.
        columns: shape (features, at least as many as candidates): a multiple of 64 is quickest.
        weight: what the answers count.
        raw: shape (candidates,), to add to.
    """
    size = columns.shape[1]
    lower, upper = np.empty(size, dtype=np.uint16), np.empty(size, dtype=np.uint16)
    sums = np.zeros(size, dtype=np.int32)
    for tree in range(first, last):
        for half in range(2):
            reach = upper if half else lower
            reach[:] = np.uint16(0xFFFF)
            for question in range(starts[2 * tree + half], starts[2 * tree + half + 1]):
                column, limit, kept = columns[asked[question]], at_most[question], keeps[question]
                for row in range(size):
                    reach[row] = reach[row] & (kept if column[row] > limit else np.uint16(0xFFFF))
        own = values[32 * tree : 32 * tree + 32]
        for row in range(size):
            reached = np.uint32(lower[row]) | (np.uint32(upper[row]) << np.uint32(16))
            lowest = reached & np.uint32(np.uint32(~reached) + np.uint32(1))
            sums[row] += own[np.uint32(lowest * np.uint32(_DE_BRUIJN)) >> np.uint32(27)]
    for row in range(raw.size):
        raw[row] += weight * sums[row]


def leaf_place(leaf: int) -> int:
    """Where `vote` looks for the value of a leaf: the top bits of a product that no two leaves share."""
    return ((1 << leaf) * _DE_BRUIJN & 0xFFFFFFFF) >> 27


@kernel(I8S, I4S, I4S, I8S, I8, I8, I2S, I2S, TO_I8S)
def attribute(
    nodes: Array,
    values: Array,
    root: Array,
    depth: Array,
    first: int,
    last: int,
    features: Array,
    group: Array,
    parts: Array,
) -> None:
    """Divide what trees answer for one candidate: each change of the expected value goes to what was asked.

    Args:
        features: of the candidate.
        group: by feature, which part it belongs to.
        parts: to add to; the last takes the values of the roots. They sum exactly to the answer.
    """
    for tree in range(first, last):
        begin = np.int64(root[tree])
        at = begin
        parts[parts.size - 1] += values[at]
        for _ in range(depth[tree]):
            node = nodes[at]
            asked = (node >> 32) & 0xFFFF
            right = np.int64(np.int64(features[asked]) > np.int64(np.int32(node)))
            to = begin + ((node >> 48) & 0xFFFF) + right
            parts[group[asked]] += values[to] - values[at]
            at = to
