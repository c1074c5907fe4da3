"""scikit-learn's decision trees, forests, gradient boosting and isolation forests. They round features to float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Detection, Scores, Targets
from modeldb.convert.graph import Array, Numbers, complement
from modeldb.convert.steps import trees
from modeldb.convert.steps.trees import AVERAGE, Tree, ensemble, mean_rows


def read(fitted: Any, values: Array | None = None, columns: Any = None) -> Tree:
    """A fitted ``tree_``. ``values`` overrides the leaf values; ``columns`` maps its features to the input's."""
    missing = getattr(fitted, "missing_go_to_left", None)
    feature = np.maximum(fitted.feature, 0).astype(np.int64)
    return Tree(
        fitted.children_left.astype(np.int64),
        fitted.children_right.astype(np.int64),
        feature if columns is None else np.asarray(columns, dtype=np.int64)[feature],
        trees.through_float32(fitted.threshold),
        np.zeros(fitted.node_count, dtype=bool) if missing is None else np.asarray(missing, dtype=bool),
        fitted.value[:, 0, 0].astype(np.float64) if values is None else values,
    )


def members(estimator: Any) -> list[Any]:
    """The trees of a forest; a single tree is a forest of one."""
    return [estimator] if hasattr(estimator, "tree_") else list(np.ravel(estimator.estimators_))


def forest_regressor(estimator: Any, x: Block) -> Numbers:
    fitted = [member.tree_ for member in members(estimator)]
    outputs = fitted[0].value.shape[1]
    if outputs == 1:
        return ensemble(x.matrix(), [read(tree) for tree in fitted], [0] * len(fitted), 1, AVERAGE)
    return mean_rows(x.matrix(), [read(tree) for tree in fitted], [tree.value[:, :, 0] for tree in fitted])


def forest_classifier(estimator: Any, x: Block) -> Scores | Targets:
    """Mean of the leaves' class shares; one number per leaf where there are two classes, a row of them otherwise."""
    fitted = [member.tree_ for member in members(estimator)]
    counts = np.atleast_1d(estimator.n_classes_)
    if len(counts) > 1:
        tables = [np.hstack([shares(t.value[:, o, :c]) for o, c in enumerate(counts)]) for t in fitted]
        rows = mean_rows(x.matrix(), [read(tree) for tree in fitted], tables)
        starts = np.cumsum([0, *counts])
        return Targets([Scores(rows.take(range(starts[o], starts[o + 1]))) for o in range(len(counts))])
    rows_ = [shares(tree.value[:, 0, :]) for tree in fitted]
    if counts[0] == 2:
        read_ = [read(tree, share[:, 1].copy()) for tree, share in zip(fitted, rows_, strict=True)]
        positive = ensemble(x.matrix(), read_, [0] * len(fitted), 1, AVERAGE)
        return Scores(complement(positive))
    return Scores(mean_rows(x.matrix(), [read(tree) for tree in fitted], rows_))


def shares(value: Array) -> Array:
    """Class counts per node as shares of 1."""
    sums = value.sum(axis=1, keepdims=True)
    return np.asarray(value / np.where(sums == 0, 1.0, sums), dtype=np.float64)


def leaves(estimator: Any, x: Block) -> Numbers:
    """RandomTreesEmbedding: one-hot of the leaf reached in each tree."""
    from modeldb.convert.steps.scaling import one_hot_codes

    fitted = [member.tree_ for member in members(estimator)]
    numbered = [read(tree, np.arange(tree.node_count, dtype=np.float64)) for tree in fitted]
    index = ensemble(x.matrix(), numbered, list(range(len(fitted))), len(fitted))
    return one_hot_codes(index, [list(c) for c in estimator.one_hot_encoder_.categories_])


def boosted(estimator: Any, x: Block) -> Numbers:
    """Raw predictions of GradientBoosting: its initial guess and its trees, scaled by the learning rate: (n, k)."""
    stages = np.asarray(estimator.estimators_)
    rate, width = float(estimator.learning_rate), stages.shape[1]
    read_, targets = [], []
    for stage in stages:
        for k, tree in enumerate(stage):
            read_.append(read(tree.tree_, tree.tree_.value[:, 0, 0] * rate))
            targets.append(k)
    start = _initial(estimator, x)
    if isinstance(start, Numbers):
        return ensemble(x.matrix(), read_, targets, width) + start
    return ensemble(x.matrix(), read_, targets, width, base=start)


def _initial(estimator: Any, x: Block) -> Any:
    """The first guess: a constant, or what a regressor of one's own makes of the features, rounded to float32."""
    init = estimator.init_
    if isinstance(init, str) and init == "zero":
        return None
    if dispatch.named(init) in ("DummyClassifier", "DummyRegressor"):
        return estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))
    if hasattr(estimator, "classes_"):
        raise Refused("an initial classifier of one's own (init=) is not supported")
    rounded = Block(x.graph, [x.matrix().cast("float32")])
    return dispatch.regress(init, rounded, "init").cast("float64")


def boosted_classifier(estimator: Any, x: Block) -> Scores:
    raw = boosted(estimator, x)
    if raw.width == 1:
        factor = 2.0 if estimator.loss == "exponential" else 1.0
        return Scores((raw @ [[-factor, factor]]).apply("Sigmoid"), raw)
    return Scores(raw.softmax(), raw)


def isolation(estimator: Any, x: Block) -> Detection:
    """IsolationForest: the mean depth of the leaves against what a random tree would have."""
    fitted = []
    for depths, lengths, member, columns in zip(
        estimator._decision_path_lengths,
        estimator._average_path_length_per_tree,
        estimator.estimators_,
        estimator.estimators_features_,
        strict=True,
    ):
        fitted.append(read(member.tree_, np.asarray(depths, dtype=np.float64) + np.asarray(lengths) - 1.0, columns))
    depth = ensemble(x.matrix(), fitted, [0] * len(fitted), 1)
    from sklearn.ensemble._iforest import _average_path_length

    scale = len(fitted) * float(_average_path_length([estimator._max_samples])[0])
    score = -((depth * (-np.log(2.0) / (scale or 1.0))).apply("Exp"))
    return Detection(score - float(estimator.offset_))
