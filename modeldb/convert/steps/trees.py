"""Trees in double precision: ONNX's TreeEnsemble (ai.onnx.ml 5), whose thresholds, leaves and sums may be float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldb.convert.graph import ML, Array, Graph, Numbers

LEQ, MEMBER = 0, 6
SUM, AVERAGE = 1, 0


@dataclass(frozen=True)
class Tree:
    """One tree as arrays over its nodes; node 0 is the root. ``left`` is taken where x <= threshold.

    left, right: int (m,); -1 in a leaf. feature: int (m,). threshold: float64 (m,). missing_left: bool (m,).
    value: float64 (m,), the leaf's. members: for categorical nodes, the categories that go left; by node.
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    missing_left: Array
    value: Array
    members: dict[int, list[float]] | None = None


def through_float32(thresholds: Array) -> Array:
    """Thresholds t' with float32(x) <= t exactly when x <= t', for every double x.

    scikit-learn's trees round each feature to float32 first. x rounds to a float32 at most t when it lies below the
    midpoint between the largest such float32 and the next one, or on it when the tie goes to the lower, even one. The
    midpoint is a double, so the rounding costs no node and is exact.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    with np.errstate(over="ignore"):
        low = exact.astype(np.float32)
    low = np.where(low.astype(np.float64) > exact, np.nextafter(low, np.float32(-np.inf)), low)
    high = np.nextafter(low, np.float32(np.inf))
    middle = (low.astype(np.float64) + high.astype(np.float64)) / 2
    even = (low.view(np.int32) & 1) == 0
    bound = np.where(even, middle, np.nextafter(middle, -np.inf))
    return np.where(np.isfinite(high), bound, exact)


def below_float32(thresholds: Array) -> Array:
    """Thresholds t' with float32(x) < t exactly when x <= t', as xgboost compares; t are float32."""
    return through_float32(np.nextafter(np.asarray(thresholds, dtype=np.float32), np.float32(-np.inf)))


def ensemble(
    x: Numbers,
    trees: list[Tree],
    targets: list[int],
    width: int,
    aggregate: int = SUM,
    base: Any = None,
    dtype: str = "float64",
) -> Numbers:
    """Sum (or average) of the trees' leaf values, each tree added to its target: (n, width) of ``dtype``.

    base: one number per target to start from, as scikit-learn starts: it becomes a first tree of one leaf.
    dtype: float32 makes thresholds, leaves and sums single, for a library that computes so itself.
    """
    from onnx import numpy_helper

    starts = [] if base is None else [_leaf(value) for value in np.ravel(base)]
    columns = _flatten([*starts, *trees], [*range(len(starts)), *targets])
    floats = ["nodes_splits", "leaf_weights", *(["membership_values"] if len(columns["membership_values"]) else [])]
    tensors = {key: numpy_helper.from_array(columns[key].astype(dtype)) for key in floats}
    whole = (
        "nodes_featureids nodes_truenodeids nodes_trueleafs nodes_falsenodeids nodes_falseleafs "
        "nodes_missing_value_tracks_true leaf_targetids tree_roots"
    )
    graph = x.graph
    name = graph.op(
        "TreeEnsemble",
        x.cast(dtype).name,
        domain=ML,
        nodes_modes=numpy_helper.from_array(columns["nodes_modes"].astype(np.uint8)),
        n_targets=width,
        aggregate_function=aggregate,
        post_transform=0,
        **tensors,
        **{key: columns[key].tolist() for key in whole.split()},
    )
    return Numbers(graph, name, dtype, width)


def _flatten(trees: list[Tree], targets: list[int]) -> dict[str, Array]:
    """The attributes of TreeEnsemble: inner nodes and leaves numbered apart, over all trees."""
    parts: dict[str, list[Array]] = {}
    nodes = leaves = 0
    for tree, target in zip(trees, targets, strict=True):
        tree = _with_root(tree)
        leaf = tree.left < 0
        number = np.where(leaf, leaves + np.cumsum(leaf) - 1, nodes + np.cumsum(~leaf) - 1)
        inner = np.flatnonzero(~leaf)
        member = np.array([tree.members is not None and int(i) in tree.members for i in inner], dtype=bool)
        rows = {
            "nodes_splits": np.where(member, 0.0, tree.threshold[inner]).astype(np.float64),
            "nodes_featureids": tree.feature[inner].astype(np.int64),
            "nodes_modes": np.where(member, MEMBER, LEQ),
            "nodes_truenodeids": number[tree.left[inner]],
            "nodes_trueleafs": leaf[tree.left[inner]].astype(np.int64),
            "nodes_falsenodeids": number[tree.right[inner]],
            "nodes_falseleafs": leaf[tree.right[inner]].astype(np.int64),
            "nodes_missing_value_tracks_true": tree.missing_left[inner].astype(np.int64),
            "leaf_targetids": np.full(int(leaf.sum()), target, dtype=np.int64),
            "leaf_weights": tree.value[leaf].astype(np.float64),
            "tree_roots": np.array([nodes], dtype=np.int64),
            "membership_values": _members(tree, inner),
        }
        for key, value in rows.items():
            parts.setdefault(key, []).append(value)
        nodes, leaves = nodes + len(inner), leaves + int(leaf.sum())
    return {key: np.concatenate(values) for key, values in parts.items()}


def _members(tree: Tree, inner: Array) -> Array:
    """The sets of the categorical nodes one after another, each ended by NaN."""
    sets = [[*tree.members[int(i)], np.nan] for i in inner if tree.members and int(i) in tree.members]
    return np.array([value for values in sets for value in values], dtype=np.float64)


def _with_root(tree: Tree) -> Tree:
    """A tree that is a single leaf gets a root whose branches hold the same value: TreeEnsemble has no bare leaves."""
    return tree if tree.left[0] >= 0 else _leaf(float(tree.value[0]))


def _leaf(value: float) -> Tree:
    """A tree that gives the same for every row."""
    return Tree(
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.zeros(3, dtype=np.int64),
        np.zeros(3),
        np.zeros(3, dtype=bool),
        np.array([0.0, value, value]),
    )


def mean_rows(x: Numbers, trees: list[Tree], tables: list[Array]) -> Numbers:
    """The mean over the trees of a row per leaf, as forests of several classes want: (n, columns) float64.

    tables[i] is (nodes of tree i, columns). Each tree gives the number of its leaf under a target of its own, and the
    numbers pick rows of one table: a leaf of TreeEnsemble itself can hold only one number.
    """
    leaf_ids, stacked = [], []
    base = 0
    for tree, table in zip(trees, tables, strict=True):
        leaf = tree.left < 0
        ids = np.where(leaf, base + np.cumsum(leaf) - 1, 0).astype(np.float64)
        leaf_ids.append(Tree(tree.left, tree.right, tree.feature, tree.threshold, tree.missing_left, ids, tree.members))
        stacked.append(table[leaf])
        base += int(leaf.sum())
    index = ensemble(x, leaf_ids, list(range(len(trees))), len(trees)).cast("int64")
    return _table_mean(x.graph, index, np.vstack(stacked))


def _table_mean(graph: Graph, index: Numbers, table: Array) -> Numbers:
    """Mean over the trees of the table rows that ``index`` (n, trees) names: (n, columns) float64."""
    picked = graph.op("Gather", graph.const(table, "float64"), index.name, axis=0)
    summed = graph.op("ReduceSum", picked, graph.const([1], "int64"), keepdims=0)
    return Numbers(graph, summed, "float64", table.shape[1]) / float(index.width)
