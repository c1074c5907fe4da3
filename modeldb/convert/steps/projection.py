"""Projections and other transformers that are a matrix product: PCA and its kin; splines; agglomerated features."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.graph import Numbers, concat
from modeldb.convert.steps import imputing


def principal(estimator: Any, x: Block) -> Numbers:
    """PCA and IncrementalPCA."""
    components = np.asarray(estimator.components_, dtype=np.float64)
    y = (x.matrix() - estimator.mean_) @ components.T
    if not estimator.whiten:
        return y
    scale = np.sqrt(np.asarray(estimator.explained_variance_))
    return y / np.where(scale < np.finfo(np.float64).eps, np.finfo(np.float64).eps, scale)


def linear(estimator: Any, x: Block) -> Numbers:
    """TruncatedSVD, random projections, NeighborhoodComponentsAnalysis: the product with ``components_``."""
    components = estimator.components_
    dense = components.toarray() if hasattr(components, "toarray") else components
    return x.matrix() @ np.asarray(dense, dtype=np.float64).T


def independent(estimator: Any, x: Block) -> Numbers:
    """FastICA."""
    y = x.matrix()
    y = y - estimator.mean_ if estimator.whiten else y
    return y @ np.asarray(estimator.components_).T


def factors(estimator: Any, x: Block) -> Numbers:
    """FactorAnalysis: the posterior mean of the factors."""
    loadings = np.asarray(estimator.components_)
    scaled = loadings / np.asarray(estimator.noise_variance_)
    covariance = np.linalg.inv(np.eye(len(loadings)) + scaled @ loadings.T)
    return (x.matrix() - estimator.mean_) @ (scaled.T @ covariance)


def boltzmann(estimator: Any, x: Block) -> Numbers:
    """BernoulliRBM."""
    return x.matrix().affine(np.asarray(estimator.components_).T, estimator.intercept_hidden_).apply("Sigmoid")


def least_squares(estimator: Any, x: Block) -> Numbers:
    """PLSRegression, PLSCanonical, CCA and PLSSVD: the rotated, scaled features."""
    rotations = getattr(estimator, "x_rotations_", None)
    rotations = estimator.x_weights_ if rotations is None else rotations
    return ((x.matrix() - estimator._x_mean) / estimator._x_std) @ np.asarray(rotations)


def agglomerated(estimator: Any, x: Block) -> Numbers:
    """FeatureAgglomeration by means: the mean over the features of each cluster."""
    if estimator.pooling_func is not np.mean:
        raise Refused("only pooling_func=numpy.mean is supported")
    labels = np.asarray(estimator.labels_)
    weights = np.array([(labels == k) / np.sum(labels == k) for k in np.unique(labels)])
    return x.matrix() @ weights.T


def splines(estimator: Any, x: Block) -> Numbers:
    """SplineTransformer: each basis function is a polynomial between two knots, told by its coefficients there."""
    if estimator.extrapolation not in ("constant", "error", "continue"):
        raise Refused(f"extrapolation={estimator.extrapolation!r} is not supported")
    y = x.matrix()
    parts = [_spline(estimator, y.take([j]), spline) for j, spline in enumerate(estimator.bsplines_)]
    wide = concat(parts)
    if estimator.include_bias:
        return wide
    per = parts[0].width
    return wide.take([i for i in range(wide.width) if (i + 1) % per])


def _spline(estimator: Any, x: Numbers, spline: Any) -> Numbers:
    degree, knots = spline.k, np.asarray(spline.t)
    width = spline.c.shape[1]
    low, high = knots[degree], knots[-degree - 1]
    inner = np.unique(knots[degree : len(knots) - degree])
    pieces = [_taylor(spline, left, right, degree, width) for left, right in itertools.pairwise(inner)]
    at = x.clip(float(low), float(high)) if estimator.extrapolation != "continue" else x
    interval = (at >= inner[None, 1:-1]).cast(x.dtype).reduce("ReduceSum").cast("int64")
    if len(inner) == 2:
        interval = (x * 0.0).cast("int64")
    starts = interval.rows_of(inner[:-1, None])
    table = np.array([piece.ravel() for piece in pieces])
    coefficients = interval.rows_of(table)
    step = at - starts
    result = coefficients.take(range(degree * width, (degree + 1) * width))
    for power in range(degree - 1, -1, -1):
        result = result * step + coefficients.take(range(power * width, (power + 1) * width))
    return result


def _taylor(spline: Any, left: float, right: float, degree: int, width: int) -> Any:
    """Coefficients (degree + 1, width) of the basis functions' polynomials in (x - left), fitted inside."""
    nodes = np.linspace(0.0, 1.0, degree + 3)[1:-1][: degree + 1]
    values = spline(left + nodes * (right - left))[:, :width]
    scaled = np.linalg.solve(np.vander(nodes, increasing=True), values)
    return scaled / (right - left) ** np.arange(degree + 1)[:, None]


def iterative_imputer(estimator: Any, x: Block) -> Numbers:
    """IterativeImputer: the fitted rounds of regressions, each filling one feature from the others."""
    if estimator.sample_posterior:
        raise Refused("sample_posterior=True draws at random")
    gaps = x.matrix().is_nan()
    filled = imputing.simple(estimator.initial_imputer_, x).matrix()
    if filled.width != gaps.width:
        raise Refused("features that were empty in training are not supported")
    columns = [filled.take([j]) for j in range(filled.width)]
    for triplet in estimator.imputation_sequence_:
        j = int(triplet.feat_idx)
        others = Block(x.graph, [concat([columns[int(k)] for k in triplet.neighbor_feat_idx])])
        guess = dispatch.regress(triplet.estimator, others, "estimator")
        low, high = float(estimator._min_value[j]), float(estimator._max_value[j])
        if np.isfinite(low) or np.isfinite(high):
            guess = guess.clip(low, high)
        columns[j] = gaps.take([j]).where(guess, columns[j])
    result = concat(columns)
    return concat([result, imputing.indicator(estimator.indicator_, x)]) if estimator.add_indicator else result
