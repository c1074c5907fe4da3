"""Scalers and other transformers of numbers, computed as scikit-learn computes them, in its order of operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert.block import Block
from modeldb.convert.graph import Numbers, concat, constant_rows


def standard(estimator: Any, x: Block) -> Numbers:
    y = x.matrix()
    if estimator.with_mean:
        y = y - estimator.mean_
    return y / estimator.scale_ if estimator.with_std else y


def min_max(estimator: Any, x: Block) -> Numbers:
    y = x.matrix() * estimator.scale_ + estimator.min_
    return y.clip(*estimator.feature_range) if estimator.clip else y


def max_abs(estimator: Any, x: Block) -> Numbers:
    y = x.matrix() / estimator.scale_
    return y.clip(-1.0, 1.0) if getattr(estimator, "clip", False) else y


def robust(estimator: Any, x: Block) -> Numbers:
    y = x.matrix()
    y = y - estimator.center_ if estimator.with_centering else y
    return y / estimator.scale_ if estimator.with_scaling else y


def normalizer(estimator: Any, x: Block) -> Numbers:
    y = x.matrix()
    norms = {
        "l1": lambda: y.apply("Abs").reduce("ReduceSum"),
        "l2": lambda: y.norm2().apply("Sqrt"),
        "max": lambda: y.apply("Abs").reduce("ReduceMax"),
    }[estimator.norm]()
    return y / norms.equals(0.0).where(1.0, norms)


def binarizer(estimator: Any, x: Block) -> Numbers:
    y = x.matrix()
    return (y > estimator.threshold).cast(y.dtype)


def power(estimator: Any, x: Block) -> Numbers:
    y = x.matrix()
    columns = [_power(y.take([j]), float(lam), estimator.method) for j, lam in enumerate(estimator.lambdas_)]
    result = concat(columns)
    return standard(estimator._scaler, Block(x.graph, [result])) if estimator.standardize else result


def _power(x: Numbers, lam: float, method: str) -> Numbers:
    if method == "box-cox":
        return x.apply("Log") if lam == 0 else (x**lam - 1.0) / lam
    eps = float(np.spacing(1.0))
    high, low = x.clip(0.0, None) + 1.0, 1.0 - x.clip(None, 0.0)
    up = high.apply("Log") if abs(lam) < eps else (high**lam - 1.0) / lam
    down = -low.apply("Log") if abs(lam - 2) <= eps else -((low ** (2 - lam) - 1.0) / (2 - lam))
    return (x >= 0.0).where(up, down)


def power_inverse(estimator: Any, y: Numbers) -> Numbers:
    if estimator.standardize:
        y = y * estimator._scaler.scale_ + estimator._scaler.mean_
    return concat([_unpower(y.take([j]), float(lam), estimator.method) for j, lam in enumerate(estimator.lambdas_)])


def _unpower(y: Numbers, lam: float, method: str) -> Numbers:
    if method == "box-cox":
        return y.apply("Exp") if lam == 0 else (y * lam + 1.0) ** (1 / lam)
    eps = float(np.spacing(1.0))
    high, low = y.clip(0.0, None), y.clip(None, 0.0)
    up = high.apply("Exp") - 1.0 if abs(lam) < eps else (high * lam + 1.0) ** (1 / lam) - 1.0
    down = 1.0 - (-low).apply("Exp") if abs(lam - 2) <= eps else 1.0 - (low * (lam - 2) + 1.0) ** (1 / (2 - lam))
    return (y >= 0.0).where(up, down)


def discretizer(estimator: Any, x: Block) -> Numbers:
    """KBinsDiscretizer: the number of inner edges at or below the value, then one-hot where it says so."""
    y = x.matrix()
    codes = []
    for j, edges in enumerate(estimator.bin_edges_):
        inner = np.asarray(edges[1:-1])
        column = y.take([j])
        code = (column >= inner[None, :]).cast(y.dtype).reduce("ReduceSum") if len(inner) else column * 0.0
        codes.append(code)
    if estimator.encode == "ordinal":
        return concat(codes)
    return concat(
        [c.equals(np.arange(n)[None, :]).cast(y.dtype) for c, n in zip(codes, estimator.n_bins_, strict=True)]
    )


def polynomial(estimator: Any, x: Block) -> Numbers:
    """Products of as many gathered columns as the degree; a column of ones fills the lower terms."""
    y = x.matrix()
    columns = [[j for j, p in enumerate(row) for _ in range(int(p))] for row in estimator.powers_]
    wide, one = concat([y, constant_rows(y, [1.0])]), y.width
    degree = max(len(c) for c in columns)
    factors = [wide.take([c[d] if d < len(c) else one for c in columns]) for d in range(degree)]
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def one_hot_codes(codes: Numbers, categories: list[Any]) -> Numbers:
    """One column per category of each column of codes."""
    owner = [j for j, known in enumerate(categories) for _ in known]
    flat = np.array([[float(c) for known in categories for c in known]])
    return codes.take(owner).equals(flat).cast(codes.graph.dtype)
