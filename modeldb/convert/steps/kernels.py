"""Support vector machines and other methods of kernels, in double."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import foreign
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Detection, Scores
from modeldb.convert.graph import Array, Numbers
from modeldb.convert.steps.multiple import pair_votes


def kernel(name: Any, x: Numbers, points: Array, gamma: float, degree: float = 3, coef0: float = 0.0) -> Numbers:
    """The kernel between the rows and constant points (m, k): (n, m)."""
    at = np.asarray(points, dtype=np.float64)
    if name == "linear":
        return x @ at.T
    if name == "rbf":
        return (squared_distances(x, at) * -gamma).apply("Exp")
    if name in ("poly", "polynomial"):
        return ((x @ at.T) * gamma + coef0) ** float(degree)
    if name == "sigmoid":
        return ((x @ at.T) * gamma + coef0).apply("Tanh")
    if name == "cosine":
        units = at / np.linalg.norm(at, axis=1, keepdims=True)
        return (x @ units.T) / x.norm2().apply("Sqrt")
    raise Refused(f"kernel={name!r} is not supported" if isinstance(name, str) else "a callable kernel is Python code")


def squared_distances(x: Numbers, points: Array) -> Numbers:
    """Squared Euclidean distances to constant points (m, k), centred first so that little is lost: (n, m)."""
    centre = points.mean(axis=0)
    moved, at = x - centre, points - centre
    crossed = moved.affine(at.T * -2.0, (at**2).sum(axis=1))
    return (crossed + moved.norm2()).clip(0.0, None)


def _gram(estimator: Any, x: Block) -> Numbers:
    vectors = estimator.support_vectors_
    if hasattr(vectors, "toarray"):
        vectors = vectors.toarray()
    return kernel(
        estimator.kernel, x.matrix(), vectors, float(estimator._gamma), float(estimator.degree), float(estimator.coef0)
    )


def _dense(values: Any) -> Array:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def support_regressor(estimator: Any, x: Block) -> Numbers:
    """SVR and NuSVR."""
    return _gram(estimator, x).affine(_dense(estimator.dual_coef_).T, np.asarray(estimator.intercept_))


def one_class(estimator: Any, x: Block) -> Detection:
    decision = _gram(estimator, x).affine(_dense(estimator.dual_coef_).T, np.asarray(estimator.intercept_))
    return Detection(decision, decision > 0.0)


def support_classifier(estimator: Any, x: Block) -> Scores:
    """SVC and NuSVC. With probability=True libsvm couples the pairs by iterating: ONNX's own operator does the same."""
    decision, label = _decision(estimator, x)
    if not hasattr(estimator, "predict_proba"):
        return Scores(None, decision, label)
    return Scores(foreign.emit(estimator, x, "classify").probabilities, decision, label)


def _decision(estimator: Any, x: Block) -> tuple[Numbers, Numbers]:
    gram = _gram(estimator, x)
    count = len(estimator.classes_)
    if count == 2:
        decision = gram.affine(_dense(estimator.dual_coef_).T, np.asarray(estimator.intercept_))
        return decision, (decision > 0.0).cast("int64")
    pairs = gram.affine(_pair_weights(estimator, count), np.asarray(estimator.intercept_))
    later = (pairs < 0.0).cast(gram.dtype)
    votes = pair_votes(later, -pairs, count)
    if estimator.break_ties:
        label = votes.argmax()
    else:  # libsvm counts votes alone, a pair at exactly zero going to the later class
        lost = (pairs <= 0.0).cast(gram.dtype)
        label = pair_votes(lost, lost * 0.0, count).argmax()
    return (votes if estimator.decision_function_shape == "ovr" else pairs), label


def _pair_weights(estimator: Any, count: int) -> Array:
    """The dual coefficients of each pair of classes over all support vectors: (vectors, pairs)."""
    dual = _dense(estimator.dual_coef_)
    ends = np.cumsum([0, *estimator.n_support_])
    columns = []
    for i in range(count):
        for j in range(i + 1, count):
            column = np.zeros(dual.shape[1])
            column[ends[i] : ends[i + 1]] = dual[j - 1, ends[i] : ends[i + 1]]
            column[ends[j] : ends[j + 1]] = dual[i, ends[j] : ends[j + 1]]
            columns.append(column)
    return np.array(columns).T


def _gamma(estimator: Any, width: int) -> float:
    return 1.0 / width if estimator.gamma is None else float(estimator.gamma)


def kernel_ridge(estimator: Any, x: Block) -> Numbers:
    fit = np.asarray(estimator.X_fit_, dtype=np.float64)
    degree, coef0 = float(estimator.degree), float(estimator.coef0)
    gram = kernel(estimator.kernel, x.matrix(), fit, _gamma(estimator, fit.shape[1]), degree, coef0)
    coef = np.asarray(estimator.dual_coef_, dtype=np.float64)
    return gram @ coef.reshape(len(coef), -1)


def nystroem(estimator: Any, x: Block) -> Numbers:
    points = np.asarray(estimator.components_, dtype=np.float64)
    degree = 3.0 if estimator.degree is None else float(estimator.degree)
    coef0 = 1.0 if estimator.coef0 is None else float(estimator.coef0)
    gram = kernel(estimator.kernel, x.matrix(), points, _gamma(estimator, points.shape[1]), degree, coef0)
    return gram @ np.asarray(estimator.normalization_).T


def random_fourier(estimator: Any, x: Block) -> Numbers:
    """RBFSampler."""
    waves = x.matrix().affine(estimator.random_weights_, estimator.random_offset_).apply("Cos")
    return waves * float(np.sqrt(2.0 / estimator.n_components))


def label_propagation(estimator: Any, x: Block) -> Scores:
    """LabelPropagation and LabelSpreading with the rbf kernel: labels weighted by nearness."""
    if estimator.kernel != "rbf":
        raise Refused(f"kernel={estimator.kernel!r} is not supported")
    near = kernel("rbf", x.matrix(), estimator.X_, float(estimator.gamma))
    weights = near @ estimator.label_distributions_
    return Scores(weights / weights.reduce("ReduceSum"))


def linear_one_class(estimator: Any, x: Block) -> Detection:
    """SGDOneClassSVM."""
    decision = x.matrix().affine(np.asarray(estimator.coef_).reshape(-1, 1), -np.asarray(estimator.offset_))
    return Detection(decision)


def elliptic(estimator: Any, x: Block) -> Detection:
    """EllipticEnvelope: the negative squared Mahalanobis distance against its offset."""
    values, vectors = np.linalg.eigh(np.asarray(estimator.get_precision()))
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    distance = ((x.matrix() - estimator.location_) @ root).norm2()
    return Detection(-distance - float(estimator.offset_))
