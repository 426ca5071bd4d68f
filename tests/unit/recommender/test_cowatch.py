"""Co-watching counted row by row gives what counting all pairs at once gives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lightwell.recommender.fit.cowatch import Watches, merged, shared_in_head, shares_outside
from lightwell.recommender.graph import Graph
from lightwell.recommender.integers import Ints

VIDEOS = 60


def watched(seed: int) -> NDArray[np.int64]:
    """Evidence 0, 3 or 5 of each viewer and video; early videos are watched most."""
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.5, 0.02, VIDEOS)
    found: NDArray[np.int64] = np.where(
        rng.random((90, VIDEOS)) < chance, rng.choice([3, 5], (90, VIDEOS)), 0
    )
    return found


def tables(evidence: NDArray[np.int64], head: Ints) -> Watches:
    viewer, video = np.nonzero(evidence)
    return Watches.of(viewer, video, evidence[viewer, video], head, VIDEOS)


def dense(graph: Graph) -> NDArray[np.int64]:
    table = np.zeros((VIDEOS, VIDEOS), dtype=np.int64)
    table[np.arange(VIDEOS).repeat(np.diff(graph.starts)), graph.near] = graph.weight
    return table


@pytest.mark.parametrize("head", [np.arange(0), np.arange(0, 40, 3), np.arange(VIDEOS)])
def test_sums_and_shares_are_those_of_the_whole_matrix(head: Ints) -> None:
    evidence = watched(1)
    shared = evidence.T @ evidence
    found = tables(evidence, head)
    assert (shared_in_head(found, head) == shared[np.ix_(head, head)]).all()
    norm = np.diag(shared)
    roots = np.sqrt(np.outer(norm, norm)).astype(np.int64)
    wanted = np.minimum(127 * shared // (roots + 9), 127)
    np.fill_diagonal(wanted, 0)
    wanted[np.ix_(head, head)] = 0
    assert (dense(shares_outside(found, most=VIDEOS, shrink=9)) == wanted).all()


def test_the_strongest_are_kept_and_ties_break_by_position() -> None:
    found = tables(watched(2), np.arange(5))
    whole, cut = (shares_outside(found, most=most, shrink=30) for most in (VIDEOS, 7))
    ties = 0
    for row in range(VIDEOS):
        near = whole.near[whole.starts[row] : whole.starts[row + 1]].tolist()
        weight = whole.weight[whole.starts[row] : whole.starts[row + 1]].tolist()
        assert list(zip(weight, near, strict=True)) == sorted(
            zip(weight, near, strict=True), key=lambda one: (-one[0], one[1])
        )
        assert cut.near[cut.starts[row] : cut.starts[row + 1]].tolist() == near[:7]
        ties += len(weight) > 7 and weight[6] == weight[7]
    assert ties


def test_merged_rows_hold_the_strongest_of_both_whatever_their_sign() -> None:
    head = np.array([1, 3])
    one = Graph(np.array([0, 1, 2]), np.array([1, 0]), np.array([-90, 20]))
    other = Graph(np.array([0, 1, 3, 3, 3, *[3] * (VIDEOS - 4)]), np.array([5, 0, 2]), np.array([7, 100, 90]))
    found = merged(one, head, other, most=2)
    assert found.starts[:5].tolist() == [0, 1, 3, 3, 4]
    assert found.near.tolist() == [5, 0, 2, 1]
    assert found.weight.tolist() == [7, 100, 90, 20]
