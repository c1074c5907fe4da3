"""HistGradientBoosting: doubles all through, missing values with a direction, categories as sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Array, Numbers, two_sided
from modeldb.convert.steps.trees import Tree, ensemble


def raw(estimator: Any, x: Block) -> Numbers:
    """Baseline plus the sum of the trees: (n, trees per iteration)."""
    preprocessor = getattr(estimator, "_preprocessor", None)
    y = (x if preprocessor is None else dispatch.transform(preprocessor, x, "preprocessor")).matrix()
    known = _known(estimator)
    fitted, targets = [], []
    for iteration in estimator._predictors:
        for k, predictor in enumerate(iteration):
            fitted.append(read(predictor, known))
            targets.append(k)
    width = len(estimator._predictors[0])
    return ensemble(y, fitted, targets, width, base=estimator._baseline_prediction)


def _known(estimator: Any) -> dict[int, set[int]]:
    """Per categorical feature the categories of the training data; others are treated as missing."""
    bitsets, positions = estimator._bin_mapper.make_known_categories_bitsets()
    return {int(f): set(_members(bitsets[int(p)])) for f, p in enumerate(positions) if _categorical(estimator, f)}


def _categorical(estimator: Any, feature: int) -> bool:
    flags = estimator._bin_mapper.is_categorical_
    return flags is not None and bool(flags[feature])


def _members(bitset: Array) -> list[int]:
    return [value for value in range(256) if int(bitset[value // 32]) >> (value % 32) & 1]


def read(predictor: Any, known: dict[int, set[int]]) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    right = np.where(leaf, -1, nodes["right"].astype(np.int64))
    missing_left = nodes["missing_go_to_left"].astype(bool)
    members: dict[int, list[float]] = {}
    for i in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf):
        chosen = set(_members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][i]]))
        if missing_left[i]:  # all but the known ones of the right side go left: name those, and swap the branches
            chosen = known[int(nodes["feature_idx"][i])] - chosen
            left[i], right[i] = right[i], left[i]
        missing_left[i] = False
        members[int(i)] = [float(c) for c in sorted(chosen)]
    return Tree(
        left,
        right,
        nodes["feature_idx"].astype(np.int64),
        nodes["num_threshold"].astype(np.float64),
        missing_left,
        nodes["value"].astype(np.float64),
        members or None,
    )


def regressor(estimator: Any, x: Block) -> Numbers:
    link = type(estimator._loss.link).__name__
    if link not in ("IdentityLink", "LogLink"):
        raise Refused(f"the link {link} has no graph")
    return raw(estimator, x).apply("Exp") if link == "LogLink" else raw(estimator, x)


def classifier(estimator: Any, x: Block) -> Scores:
    margins = raw(estimator, x)
    if margins.width == 1:
        return Scores(two_sided(margins).apply("Sigmoid"), margins)
    return Scores(margins.softmax(), margins)
