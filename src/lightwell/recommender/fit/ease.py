"""The item graph by ridge regression (EASE): each video foretold from all others, in signed whole weights."""

import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.graph import Graph
from lightwell.recommender.integers import Ints

Floats = NDArray[np.float64]

MOST_WEIGHT = 127
_BLOCK = 1024
_CHUNK_PAIRS = 4_000_000


def shared_evidence(viewer: Ints, video: Ints, evidence: Ints, videos: int) -> Floats:
    """Sum, over viewers, the products of their evidence for each two videos.

    Args:
        viewer, video, evidence: one row a pair, sorted by viewer, shape (n,).
        videos: size of the catalogue.

    Returns:
        A symmetric matrix, shape (videos, videos); whole numbers, exact below 2^53.
    """
    shared = np.zeros(videos * videos)
    begin = viewer.searchsorted(viewer)
    count = viewer.searchsorted(viewer, side="right") - begin
    total = int(count.sum())
    cuts = np.searchsorted(count.cumsum(), np.arange(0, total, _CHUNK_PAIRS), side="right").tolist()
    for low, high in zip(cuts, [*cuts[1:], viewer.size], strict=False):
        rows = np.arange(low, high, dtype=np.int64)
        left = rows.repeat(count[rows])
        before = count[rows].cumsum() - count[rows]
        right = np.arange(left.size, dtype=np.int64) + (begin[rows] - before)[left - low]
        np.add.at(shared, video[left] * videos + video[right], (evidence[left] * evidence[right]) * 1.0)
    return shared.reshape(videos, videos)


def regress(shared: Floats, ridge: float, dropout: int = 0) -> Floats:
    """Weights w -> v that foretell each video from all others best, in the sense of ridge regression.

    Doubles, so that rounding to whole weights comes out alike whatever linear algebra is below.

    Args:
        shared: as `shared_evidence`; overwritten.
        ridge: added to the diagonal, above 0; the more, the less is believed of few viewers.
        dropout: percent of watches, 0..95, that a video is to be foretold without, whichever they are: else
            few strong neighbours say it all, and nothing of it to a viewer who has not met just these. The
            mean over all draws of such watches is a ridge that grows with the video (Steck, NeurIPS 2020).

    Returns:
        shape (videos, videos), zero on the diagonal: `shared` itself, for it may be all there is room for.
    """
    at = np.diag_indices(shared.shape[0])
    shared[at] += ridge + shared[at] * (dropout / (100 - dropout))
    _invert(shared)
    shared /= -shared[at]
    shared[at] = 0.0
    return shared


def _invert(matrix: Floats) -> None:
    """Invert a symmetric, positive definite matrix, in half the steps that an inverse of any matrix takes."""
    lower: Floats = np.linalg.cholesky(matrix)  # type: ignore[assignment]
    _invert_lower(lower)
    for start in range(0, matrix.shape[0], _BLOCK):
        end = min(start + _BLOCK, matrix.shape[0])
        matrix[start:end, :end] = lower[start:, start:end].T @ lower[start:, :end]
        matrix[:start, start:end] = matrix[start:end, :start].T


def _invert_lower(lower: Floats) -> None:
    """Invert a lower triangle by halves: two smaller triangles and two products."""
    size = lower.shape[0]
    if size <= _BLOCK // 4:
        lower[:] = np.linalg.inv(lower)
        return
    half = size // 2
    _invert_lower(lower[:half, :half])
    _invert_lower(lower[half:, half:])
    lower[half:, :half] = -lower[half:, half:] @ (lower[half:, :half] @ lower[:half, :half])


def to_graph(weights: Floats, *, most: int) -> Graph:
    """Round weights to -127..127, the largest of all to 127, and keep the strongest of each row.

    Args:
        weights: shape (videos, videos).
        most: neighbours kept of each video, by absolute weight, ties by position; weight 0 is none.
    """
    videos = weights.shape[0]
    unit = max(float(np.abs(weights).max(initial=0.0)), 1e-12) / MOST_WEIGHT
    counts, near, strength = np.zeros(videos, dtype=np.int64), [], []
    for start in range(0, videos, _BLOCK):
        whole = np.rint(weights[start : start + _BLOCK] / unit).astype(np.int8)
        order = np.argsort(-np.abs(whole.astype(np.int16)), axis=1, kind="stable")[:, :most]
        kept = np.take_along_axis(whole, order, axis=1)
        counts[start : start + _BLOCK] = (kept != 0).sum(axis=1)
        near.append(order[kept != 0])
        strength.append(kept[kept != 0])
    starts = np.concatenate(([0], counts.cumsum()))
    none = np.zeros(0, dtype=np.int64)
    return Graph(starts, np.concatenate([none, *near]), np.concatenate([none, *strength]))
