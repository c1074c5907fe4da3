"""Imputers and missing indicators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.graph import Graph, Numbers, Piece, Texts, concat


def simple(estimator: Any, x: Block) -> Block:
    """Fill missing numbers by Where; a text's fill is remembered for the encoder that reads the column."""
    statistics = list(estimator.statistics_)
    kept = [j for j, value in enumerate(statistics) if value is None or not _is_nan(value) or _keeps_empty(estimator)]
    pieces: list[Piece] = []
    offset = 0
    for piece in x.pieces:
        columns = [j for j in range(piece.width) if offset + j in kept]
        fills = [statistics[offset + j] for j in columns]
        if columns:
            pieces.append(_fill(piece.take(columns), fills, estimator.missing_values))
        offset += piece.width
    if estimator.add_indicator:
        pieces.append(indicator(estimator.indicator_, x))
    return Block(x.graph, pieces)


def _fill(piece: Piece, fills: list[Any], missing_values: Any) -> Piece:
    if isinstance(piece, Texts):
        if isinstance(missing_values, str):
            raise Refused(f"missing_values={missing_values!r} stands for missing texts; use None or NaN")
        pairs = zip(piece.absent, fills, strict=True)
        return replace(piece, absent=tuple(new if _same_absence(old, missing_values) else old for old, new in pairs))
    values = np.array([0.0 if _is_nan(value) else float(value) for value in fills])
    return _missing(piece, missing_values).where(values[None, :], piece)


def _same_absence(absent: Any, missing_values: Any) -> bool:
    """Whether an imputer of ``missing_values`` sees this absence: scikit-learn tells None and NaN apart."""
    if isinstance(absent, str):
        return False
    return (absent is None) == (missing_values is None)


def _keeps_empty(estimator: Any) -> bool:
    return bool(getattr(estimator, "keep_empty_features", False))


def _missing(x: Numbers, missing_values: Any) -> Numbers:
    return x.is_nan() if missing_values is None or _is_nan(missing_values) else x.equals(float(missing_values))


def _is_nan(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ == "NAType"


def indicator(estimator: Any, x: Block) -> Numbers:
    """MissingIndicator: 1 where a value is missing, for the features that it kept."""
    chosen = x.select([int(j) for j in estimator.features_])
    return concat([_absent(x.graph, piece, estimator.missing_values) for piece in chosen.pieces])


def _absent(graph: Graph, piece: Piece, missing_values: Any) -> Numbers:
    if isinstance(piece, Numbers):
        return _missing(piece, missing_values).cast(graph.dtype)
    name = graph.op("Equal", piece.name, graph.const([graph.missing], "string"))
    seen = [float(_same_absence(absent, missing_values)) for absent in piece.absent]
    return Numbers(graph, name, "bool", piece.width).cast(graph.dtype) * np.array([seen])


def nearest(estimator: Any, x: Block) -> Numbers:
    """KNNImputer: for each missing value the mean over the nearest rows that have it, by nan_euclidean distance."""
    y = x.matrix()
    fit, mask = np.asarray(estimator._fit_X, dtype=np.float64), np.asarray(estimator._mask_fit_X)
    if not (estimator.missing_values is None or _is_nan(estimator.missing_values)):
        raise Refused("missing_values must be NaN")
    if callable(estimator.weights) or callable(estimator.metric):
        raise Refused("a callable for weights or metric is Python code, which is never stored")
    nan = y.is_nan()
    distances = _nan_euclidean(y, nan, fit, mask)
    valid = np.flatnonzero(np.asarray(estimator._valid_mask) | _keeps_empty(estimator))
    columns = [
        _neighbours(estimator, y.take([j]), nan.take([j]), distances, fit[:, j], mask[:, j]) for j in valid.tolist()
    ]
    result = concat(columns)
    return concat([result, indicator(estimator.indicator_, x)]) if estimator.add_indicator else result


def _nan_euclidean(y: Numbers, nan: Numbers, fit: Any, mask: Any) -> Numbers:
    """Distances (n, rows of the fit) over the coordinates that both rows have, scaled up to all; inf where none."""
    present, zeroed = (~nan).cast(y.dtype), nan.where(0.0, y)
    kept = (~mask).astype(np.float64)
    filled = np.where(mask, 0.0, fit)
    squares = (zeroed * zeroed) @ kept.T - (zeroed @ filled.T) * 2.0 + present @ (filled * filled).T
    shared = present @ kept.T
    squares = squares.clip(0.0, None) / shared.equals(0.0).where(1.0, shared) * float(fit.shape[1])
    return shared.equals(0.0).where(np.inf, squares.apply("Sqrt"))


def _neighbours(estimator: Any, column: Numbers, nan: Numbers, distances: Numbers, values: Any, mask: Any) -> Numbers:
    donors = np.flatnonzero(~mask)
    graph, count = column.graph, min(estimator.n_neighbors, len(donors))
    if not count:
        return nan.where(0.0, column)
    near, index = graph.op(
        "TopK", distances.take(donors.tolist()).name, graph.const([count], "int64"), outputs=2, axis=1, largest=0
    )
    picked = Numbers(graph, graph.op("Gather", graph.const(values[donors], column.dtype), index), column.dtype, count)
    reached = Numbers(graph, near, column.dtype, count)
    weights = (reached < np.inf).cast(column.dtype)
    if estimator.weights == "distance":
        zero = reached.equals(0.0)
        any_zero = zero.cast("float32").reduce("ReduceMax").cast("bool")
        weights = any_zero.where(zero.cast(column.dtype), 1.0 / reached)
    weight = weights.reduce("ReduceSum")
    mean = (picked * weights).reduce("ReduceSum") / weight
    fallback = float(values[donors].mean())
    return nan.where(weight.equals(0.0).where(fallback, mean), column)
