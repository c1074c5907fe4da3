"""LightGBM: its own dump, in doubles, with its ways of seeing missing values and categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Numbers, Texts, complement, concat
from modeldb.convert.steps.encoding import lookup_columns
from modeldb.convert.steps.trees import AVERAGE, SUM, Tree, ensemble

ZERO = 1e-35
IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom")


def raw(booster: Any, x: Block) -> tuple[Numbers, dict[str, Any]]:
    """Sum of the trees (n, trees per iteration), and the model's dump."""
    dump = booster.dump_model()
    width = int(dump["num_tree_per_iteration"])
    fitted = [_tree(entry["tree_structure"]) for entry in dump["tree_info"]]
    targets = [int(entry["tree_index"]) % width for entry in dump["tree_info"]]
    y = _matrix(booster, x)
    if not dump.get("average_output"):
        return ensemble(y, fitted, targets, width, SUM), dump
    if width == 1:
        return ensemble(y, fitted, targets, width, AVERAGE), dump
    return ensemble(y, fitted, targets, width, SUM) / (len(fitted) / width), dump


def _matrix(booster: Any, x: Block) -> Numbers:
    """Columns of pandas' type category enter as their codes."""
    known = booster.pandas_categorical or []
    texts = sum(piece.width for piece in x.pieces if isinstance(piece, Texts))
    if len(known) != texts:
        raise Refused("only text columns may be of pandas' type category; turn the others into numbers")
    parts: list[Numbers] = []
    for piece in x.pieces:
        if isinstance(piece, Numbers):
            parts.append(piece)
            continue
        for j in range(piece.width):
            categories, known = known[0], known[1:]
            codes: dict[Any, float] = {str(c): float(code) for code, c in enumerate(categories)}
            parts.append(lookup_columns(piece.take([j]), [codes], [float("nan")]))
    return concat(parts)


def _tree(root: dict[str, Any]) -> Tree:
    """The nested dump as arrays."""
    nodes: list[dict[str, Any]] = []
    children: list[tuple[int, int]] = []

    def walk(node: dict[str, Any]) -> int:
        place = len(nodes)
        nodes.append(node)
        children.append((-1, -1))
        if "split_feature" in node:
            left = walk(node["left_child"])
            children[place] = (left, walk(node["right_child"]))
        return place

    walk(root)
    members = {i: _categories(n) for i, n in enumerate(nodes) if n.get("decision_type") == "=="}
    return Tree(
        np.array([left for left, _ in children]),
        np.array([right for _, right in children]),
        np.array([node.get("split_feature", 0) for node in nodes]),
        np.array([0.0 if i in members else _threshold(node) for i, node in enumerate(nodes)]),
        np.array([_missing_left(node) for node in nodes]),
        np.array([float(node.get("leaf_value", 0.0)) for node in nodes]),
        members or None,
    )


def _categories(node: dict[str, Any]) -> list[float]:
    return [float(c) for c in str(node["threshold"]).split("||")]


def _threshold(node: dict[str, Any]) -> float:
    if "leaf_const" in node or node.get("leaf_features"):
        raise Refused("linear_tree=True is not supported")
    if node.get("missing_type") == "Zero":
        raise Refused("zero_as_missing=True is not supported")
    return float(node.get("threshold", 0.0))


def _missing_left(node: dict[str, Any]) -> bool:
    """Where a missing value goes; one that was never missing in training is taken as 0."""
    if node.get("decision_type") != "<=":
        return False
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else float(node["threshold"]) >= 0.0


def link(margins: Numbers, objective: str) -> Numbers:
    """The objective's own way from the sum of the trees to a prediction."""
    name, *settings = objective.split(" ")
    options = dict(s.split(":", 1) for s in settings if ":" in s)
    if name in ("poisson", "gamma", "tweedie"):
        return margins.apply("Exp")
    if name in ("binary", "multiclassova"):
        return (margins * float(options.get("sigmoid", 1.0))).apply("Sigmoid")
    if name in ("cross_entropy", "xentropy"):
        return margins.apply("Sigmoid")
    if name == "multiclass":
        return margins.softmax()
    if name == "regression" and "sqrt" in settings:
        return margins.apply("Sign") * margins * margins
    if name in IDENTITY:
        return margins
    raise Refused(f"the objective {name!r} is not supported")


def regressor(estimator: Any, x: Block) -> Numbers:
    margins, dump = raw(estimator.booster_, x)
    return link(margins, str(dump.get("objective", "regression")))


def classifier(estimator: Any, x: Block) -> Scores:
    margins, dump = raw(estimator.booster_, x)
    answers = link(margins, str(dump["objective"]))
    if answers.width == 1:
        return Scores(complement(answers))
    return Scores(answers)
