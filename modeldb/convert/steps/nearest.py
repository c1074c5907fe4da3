"""Nearest neighbours by Euclidean distance: candidates by matrix product, then their distances computed exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import foreign
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Array, Numbers
from modeldb.convert.steps.kernels import squared_distances

SPARE = 8  # candidates beyond those wanted, in case rounding has put them in the wrong order


def euclidean(estimator: Any) -> bool:
    metric, p = estimator.effective_metric_, estimator.effective_metric_params_.get("p", 2)
    return metric == "euclidean" or (metric == "minkowski" and p == 2)


def neighbours(estimator: Any, x: Block) -> tuple[str, Numbers]:
    """Positions (the name of an int64 (n, k) tensor) of the nearest training rows, and their squared distances."""
    y, points = x.matrix(), np.asarray(estimator._fit_X, dtype=np.float64)
    graph, wanted = y.graph, int(estimator.n_neighbors)
    some = min(wanted + SPARE, len(points))
    near = squared_distances(y, points)
    _, index = graph.op("TopK", near.name, graph.const([some], "int64"), outputs=2, axis=1, largest=0)
    found = graph.op("Gather", graph.const(points, y.dtype), index, axis=0)
    cube = graph.op("Reshape", y.name, graph.const([-1, 1, points.shape[1]], "int64"))
    moved = graph.op("Sub", cube, found)
    exact = graph.op("ReduceSumSquare", moved, graph.const([2], "int64"), keepdims=0)
    squares, order = graph.op("TopK", exact, graph.const([wanted], "int64"), outputs=2, axis=1, largest=0)
    chosen = graph.op("GatherElements", index, order, axis=1)
    return chosen, Numbers(graph, squares, y.dtype, wanted)


def weights(estimator: Any, squares: Numbers) -> Numbers | None:
    """Weights of the neighbours: None for equal ones; by distance, those at distance zero alone count, if any are."""
    if estimator.weights in (None, "uniform"):
        return None
    if estimator.weights != "distance":
        raise Refused("a callable for weights is Python code, which is never stored")
    zero = squares.equals(0.0)
    some = zero.cast("float32").reduce("ReduceMax").cast("bool")
    return some.where(zero.cast(squares.dtype), 1.0 / squares.apply("Sqrt"))


def regressor(estimator: Any, x: Block) -> Any:
    if not euclidean(estimator):
        return foreign.emit(estimator, x, "regress")
    answers = np.asarray(estimator._y, dtype=np.float64)
    return _mean(estimator, x, answers.reshape(len(answers), -1))


def classifier(estimator: Any, x: Block) -> Any:
    if not euclidean(estimator) or isinstance(estimator.classes_, list):
        return foreign.emit(estimator, x, "classify")
    votes = np.eye(len(estimator.classes_))[np.ravel(estimator._y)]
    return Scores(_mean(estimator, x, votes))


def _mean(estimator: Any, x: Block, answers: Array) -> Numbers:
    """The (weighted) mean of the neighbours' answers (m, columns)."""
    chosen, squares = neighbours(estimator, x)
    graph, width = x.graph, answers.shape[1]
    factor = weights(estimator, squares)
    picked = graph.op("Gather", graph.const(answers, squares.dtype), chosen, axis=0)
    if factor is not None:
        shape = graph.const([-1, squares.width, 1], "int64")
        picked = graph.op("Mul", picked, graph.op("Reshape", factor.name, shape))
    summed = Numbers(graph, graph.op("ReduceSum", picked, graph.const([1], "int64"), keepdims=0), squares.dtype, width)
    return summed / (float(squares.width) if factor is None else factor.reduce("ReduceSum"))


def within_radius(estimator: Any, x: Block) -> Scores:
    """RadiusNeighborsClassifier with equal weights. A row without neighbours gets no class share at all."""
    if not euclidean(estimator) or isinstance(estimator.classes_, list) or estimator.weights not in (None, "uniform"):
        raise Refused("only the Euclidean metric, equal weights and one target are supported")
    if estimator.outlier_label is not None:
        raise Refused("outlier_label is not supported")
    points = np.asarray(estimator._fit_X, dtype=np.float64)
    inside = (squared_distances(x.matrix(), points) <= float(estimator.radius) ** 2).cast(x.graph.dtype)
    votes = inside @ np.eye(len(estimator.classes_))[np.ravel(estimator._y)]
    return Scores(votes / votes.reduce("ReduceSum"))
