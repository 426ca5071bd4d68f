"""Trees for one outcome each, grown by LightGBM on whole features and rounded once to whole numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from lightwell.recommender.ranker import ARRAYS, OUTCOMES, RAW_ONE, Ranker

Rows = NDArray[np.int16]

_HIGHEST_STEP: Final = 255


class TreeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How trees are grown.

    trees, leaves: how many, and the most leaves of each. rate: of learning, in thousandths.
    least: rows in a leaf. smooth: added to the rows of a leaf, so that few prove little.
    positives: an outcome seen less often than this gets no trees.
    slopes: (feature, 1/1024 log-odds for each step of it): one more tree each, a staircase, for what is known
    to rise all the way, finer than leaves of many rows can tell.
    """

    trees: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 200
    leaves: Annotated[int, msgspec.Meta(ge=2, le=256)] = 31
    rate: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 50
    least: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200
    smooth: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 10
    positives: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 200
    slopes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Trees:
    """The trees of one outcome, as LightGBM tells of them, and how many features a row of theirs has."""

    features: int
    nested: list[dict[str, Any]]


def blank_ranker() -> Ranker:
    """One leaf that says nothing: with it, a snapshot finds candidates as it will with trees."""
    return _ranker({"relevance": [{"leaf_value": 0.0}]}, 1)


def fit_ranker(
    examples: Mapping[str, tuple[Rows, NDArray[np.bool_]]],
    settings: Mapping[str, TreeSettings],
    *,
    unread: Mapping[str, tuple[int, ...]],
) -> Ranker | None:
    """Grow the trees of every outcome that has enough examples.

    Args:
        examples: by outcome, features (n, F) and whether it came about (n,). The order of rows matters to
            rounding, so give them in a fixed one.
        settings: by outcome; those left out grow by the defaults.
        unread: by outcome, features that its trees must not ask for.

    Returns:
        None if no outcome has enough.
    """
    chosen = outcomes_with_enough(examples, settings)
    return ranker_of({outcome: grow_trees(outcome, examples, settings, unread=unread) for outcome in chosen})


def outcomes_with_enough(
    examples: Mapping[str, tuple[Rows, NDArray[np.bool_]]], settings: Mapping[str, TreeSettings]
) -> list[str]:
    """The outcomes that get trees, in the order of `OUTCOMES`; arguments as `fit_ranker`."""
    found = []
    for outcome in OUTCOMES:
        came = examples[outcome][1] if outcome in examples else np.zeros(0, dtype=np.bool_)
        positives = int(came.sum())
        if min(positives, came.size - positives) >= settings.get(outcome, TreeSettings()).positives:
            found.append(outcome)
    return found


def grow_trees(
    outcome: str,
    examples: Mapping[str, tuple[Rows, NDArray[np.bool_]]],
    settings: Mapping[str, TreeSettings],
    *,
    unread: Mapping[str, tuple[int, ...]],
) -> Trees:
    """Grow the trees of one outcome; arguments as `fit_ranker`."""
    rows, came = examples[outcome]
    grown = _grow(rows, came, settings.get(outcome, TreeSettings()), unread.get(outcome, ()))
    return Trees(rows.shape[1], grown)


def ranker_of(grown: Mapping[str, Trees]) -> Ranker | None:
    """Put the trees of outcomes, given in the order of `OUTCOMES`, together; None if there are none."""
    if not grown:
        return None
    nested = {outcome: trees.nested for outcome, trees in grown.items()}
    return _ranker(nested, max(trees.features for trees in grown.values()))


def _grow(
    rows: Rows, came: NDArray[np.bool_], settings: TreeSettings, unread: tuple[int, ...]
) -> list[dict[str, Any]]:
    read = [at for at in range(rows.shape[1]) if at not in unread]
    parameters = {
        "objective": "binary",
        "num_leaves": settings.leaves,
        "learning_rate": settings.rate / 1000,
        "min_data_in_leaf": settings.least,
        "lambda_l2": settings.smooth,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": 1,
        # One thread, one way of adding up: the same rows give the same trees.
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "use_missing": False,
        "verbose": -1,
    }
    data = lightgbm.Dataset(rows[:, read].astype(np.float32), came.astype(np.int8), free_raw_data=True)
    model = lightgbm.train(parameters, data, settings.trees).dump_model()
    stairs = [_staircase(feature, rise, 0, _HIGHEST_STEP) for feature, rise in settings.slopes]
    return [*(_renumber(tree["tree_structure"], read) for tree in model["tree_info"]), *stairs]


def _staircase(feature: int, rise: int, low: int, high: int) -> dict[str, Any]:
    """A tree with a leaf for each value low..high of a feature, each higher than the last by `rise`."""
    if low == high:
        return {"leaf_value": rise * low / RAW_ONE}
    middle = (low + high) // 2
    return {
        "split_feature": feature,
        "decision_type": "<=",
        "threshold": middle,
        "left_child": _staircase(feature, rise, low, middle),
        "right_child": _staircase(feature, rise, middle + 1, high),
    }


def _renumber(node: dict[str, Any], read: list[int]) -> dict[str, Any]:
    """Name features by their column in all rows, not in those read."""
    if "split_feature" not in node:
        return node
    children = {side: _renumber(node[side], read) for side in ("left_child", "right_child")}
    return {**node, **children, "split_feature": read[node["split_feature"]]}


def _ranker(grown: Mapping[str, list[dict[str, Any]]], features: int) -> Ranker:
    nodes: list[list[int]] = []
    roots: list[int] = []
    starts = [0]
    for trees in grown.values():
        for tree in trees:
            roots.append(len(nodes))
            _lay_down(tree, nodes)
        starts.append(len(roots))
    columns = np.array(nodes, dtype=np.int64).reshape(-1, 5).T
    names = ("feature", "threshold", "left", "right", "value")
    arrays = {
        "tree_starts": np.array(starts),
        "root": np.array(roots),
        **dict(zip(names, columns, strict=True)),
    }
    return Ranker.of(tuple(grown), {name: arrays[name] for name in ARRAYS}, features)


def _lay_down(tree: dict[str, Any], nodes: list[list[int]]) -> tuple[int, int, int]:
    """Add a tree's nodes, parents first; give where, how many rows fell there, the sum of their values."""
    at = len(nodes)
    nodes.append([])
    if "split_feature" not in tree:
        value = round(tree["leaf_value"] * RAW_ONE)
        rows = max(int(tree.get("leaf_count", 0)), 1)
        nodes[at] = [-1, 0, at, at, value]
        return at, rows, rows * value
    if tree["decision_type"] != "<=":
        raise ValueError(f"trees: a split by {tree['decision_type']!r} is not one of whole numbers")
    left, left_rows, left_sum = _lay_down(tree["left_child"], nodes)
    right, right_rows, right_sum = _lay_down(tree["right_child"], nodes)
    rows, total = left_rows + right_rows, left_sum + right_sum
    # Features are whole: x <= 12.5 is x <= 12.
    nodes[at] = [int(tree["split_feature"]), int(np.floor(tree["threshold"])), left, right, total // rows]
    return at, rows, total
