"""XGBoost: trees that compare in float32 with "less than"; gblinear; its links."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Array, Numbers, concat, two_sided
from modeldb.convert.steps.encoding import lookup_columns
from modeldb.convert.steps.trees import Tree, below_float32, ensemble

LOG = ("count:poisson", "reg:gamma", "reg:tweedie")
LOGISTIC = ("binary:logistic", "reg:logistic")
IDENTITY = [
    "reg:squarederror",
    "reg:linear",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "reg:squaredlogerror",
    "binary:logitraw",
    "binary:hinge",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
]


def raw(booster: Any, x: Block) -> tuple[Numbers, str]:
    """The margins (n, groups) with their base score, and the objective's name.

    xgboost adds up in float32. The first candidate adds in double, the next in float32 and in its order.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective = str(learner["objective"]["name"])
    start = _base(learner, objective)
    model = learner["gradient_booster"]
    single = x.graph.foreign_dtype == "float32"
    x.graph.single.append("xgboost")
    dtype = "float32" if single else "float64"
    y = _matrix(model, x).cast(dtype)
    if model["name"] == "gblinear":
        return _linear(model["model"], y, len(start)) + start[0], objective  # xgboost starts all groups alike
    trees = model["gbtree"]["model"] if "gbtree" in model else model["model"]
    weights = model.get("weight_drop") or [1.0] * len(trees["trees"])
    fitted = [_tree(tree, float(weight), single) for tree, weight in zip(trees["trees"], weights, strict=True)]
    targets = [int(target) for target in trees["tree_info"]]
    return ensemble(y, fitted, targets, len(start), base=start, dtype=dtype), objective


def _matrix(model: dict[str, Any], x: Block) -> Numbers:
    """Columns of pandas' type category enter as their codes, which the model keeps."""
    trees = model["gbtree"]["model"] if "gbtree" in model else model["model"]
    kept = trees.get("cats", {}).get("enc", [])
    parts: list[Numbers] = []
    for piece in x.pieces:
        if isinstance(piece, Numbers):
            parts.append(piece)
            continue
        for j in range(piece.width):
            place = sum(part.width for part in parts)
            codes = _codes(kept[place]) if place < len(kept) else {}
            if not codes:
                raise Refused("it is given a text column that is not of pandas' type category")
            parts.append(lookup_columns(piece.take([j]), [codes], [float("nan")]))
    return concat(parts)


def _codes(kept: dict[str, Any]) -> dict[Any, float]:
    """Texts and their codes, from offsets into UTF-8 bytes."""
    offsets, content = kept.get("offsets") or [], bytes(byte % 256 for byte in kept.get("values", ()))
    words = [content[start:end].decode() for start, end in itertools.pairwise(offsets)]
    return {word: float(code) for code, word in enumerate(words)}


def _base(learner: dict[str, Any], objective: str) -> Array:
    """The base score as a margin, one per group. It is stored in the prediction's own scale."""
    parameters = learner["learner_model_param"]
    scores = np.atleast_1d(np.array(json.loads(parameters["base_score"]), dtype=np.float64))
    groups = max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)
    if objective in LOG:
        scores = np.log(scores)
    elif objective in LOGISTIC:
        scores = -np.log(1.0 / scores - 1.0)
    return np.asarray(np.broadcast_to(scores, (groups,)), dtype=np.float64)


def _linear(model: dict[str, Any], x: Numbers, groups: int) -> Numbers:
    weights = np.array(model["weights"], dtype=np.float64).reshape(-1, groups)
    return x.affine(weights[:-1], weights[-1])


def _tree(tree: dict[str, Any], weight: float, single: bool) -> Tree:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise Refused("multi_strategy='multi_output_tree' is not supported")
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    missing_left = np.array(tree["default_left"], dtype=bool)
    members = _members(tree)
    for node in members:  # the categories of a node go right, the rest left: name those, and swap the branches
        left[node], right[node] = right[node], left[node]
        missing_left[node] = not missing_left[node]
    return Tree(
        left,
        right,
        np.array(tree["split_indices"]),
        np.nextafter(conditions, np.float32(-np.inf)) if single else below_float32(conditions),
        missing_left,
        conditions.astype(np.float64) * weight,
        members or None,
    )


def _members(tree: dict[str, Any]) -> dict[int, list[float]]:
    sets = {}
    for node, start, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        sets[int(node)] = [float(c) for c in tree["categories"][start : start + size]]
    return sets


def fitted_booster(estimator: Any) -> Any:
    """The booster up to its best iteration, which is what predict() uses."""
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    missing = getattr(estimator, "missing", None)
    if missing is not None and not np.isnan(float(missing)):
        raise Refused(f"missing={missing!r} is not supported; mark missing values with NaN")
    try:
        best = int(booster.best_iteration)
    except (AttributeError, TypeError):
        return booster
    return booster[: best + 1]


def regressor(estimator: Any, x: Block) -> Numbers:
    """XGBRegressor, XGBRFRegressor, XGBRanker."""
    margins, objective = raw(fitted_booster(estimator), x)
    if objective in LOG:
        return margins.apply("Exp").cast(x.graph.dtype)
    if objective in LOGISTIC:
        return margins.apply("Sigmoid").cast(x.graph.dtype)
    if objective in IDENTITY:
        return margins.cast(x.graph.dtype)
    raise Refused(f"the objective {objective!r} is not supported")


def classifier(estimator: Any, x: Block) -> Scores:
    margins, objective = raw(fitted_booster(estimator), x)
    if objective in ("multi:softprob", "multi:softmax"):
        return Scores(margins.softmax().cast(x.graph.dtype))
    if objective in LOGISTIC and margins.width == 1:
        return Scores(two_sided(margins).apply("Sigmoid").cast(x.graph.dtype))
    raise Refused(f"the objective {objective!r} is not supported")
