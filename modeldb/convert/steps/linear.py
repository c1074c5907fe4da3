"""Linear models, discriminants and generalised linear models: one Gemm and a link."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Array, Numbers, complement, concat, constant_rows, two_sided


def regressor(estimator: Any, x: Block) -> Numbers:
    """Any regressor with ``coef_`` (k,) or (targets, k) and ``intercept_``."""
    coef = np.asarray(estimator.coef_, dtype=np.float64)
    return x.matrix().affine(np.atleast_2d(coef).T, np.asarray(estimator.intercept_, dtype=np.float64))


def exponential(estimator: Any, x: Block) -> Numbers:
    """Poisson and gamma regression: the link is the logarithm."""
    return regressor(estimator, x).apply("Exp")


def tweedie(estimator: Any, x: Block) -> Numbers:
    link = type(estimator._base_loss.link).__name__
    if link not in ("LogLink", "IdentityLink"):
        raise Refused(f"the link {link} has no graph")
    return exponential(estimator, x) if link == "LogLink" else regressor(estimator, x)


def partial_least_squares(estimator: Any, x: Block) -> Numbers:
    centred = x.matrix() - estimator._x_mean
    coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    return centred.affine(coef.T, np.asarray(estimator.intercept_, dtype=np.float64))


def margins(estimator: Any, x: Block) -> Numbers:
    """decision_function: (n, 1) for two classes, else (n, classes)."""
    coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    return x.matrix().affine(coef.T, np.asarray(estimator.intercept_, dtype=np.float64))


def binary_margins(estimator: Any) -> tuple[Array, Array]:
    """Weights and bias of both classes' margins (-d, d): their sigmoid is the pair of probabilities."""
    coef = np.asarray(estimator.coef_, dtype=np.float64).reshape(1, -1)
    bias = np.asarray(estimator.intercept_, dtype=np.float64).reshape(-1)
    return np.vstack([-coef, coef]).T, np.concatenate([-bias, bias])


def by_sign(decision: Numbers) -> Numbers:
    """The label's position for a binary margin: 1 where it is positive."""
    return (decision > 0.0).cast("int64")


def position(decision: Numbers) -> Numbers:
    return by_sign(decision) if decision.width == 1 else decision.argmax()


def plain(estimator: Any, x: Block) -> Scores:
    """Classifiers without probabilities: LinearSVC, Perceptron, RidgeClassifier..."""
    if np.asarray(estimator.classes_ if hasattr(estimator, "classes_") else ()).ndim != 1:
        raise Refused("multi-label targets are not supported")
    decision = margins(estimator, x)
    return Scores(None, decision, position(decision))


def ridge(estimator: Any, x: Block) -> Scores:
    if getattr(getattr(estimator, "_label_binarizer", None), "y_type_", "").startswith("multilabel"):
        raise Refused("multi-label targets are not supported")
    return plain(estimator, x)


def logistic(estimator: Any, x: Block) -> Scores:
    """LogisticRegression: sigmoid for two classes, softmax for more, or one sigmoid per class, normalised (ovr)."""
    decision = margins(estimator, x)
    if decision.width == 1 and getattr(estimator, "multi_class", "auto") == "multinomial":  # scikit-learn before 1.8
        return Scores(two_sided(decision).softmax(), decision)
    if decision.width == 1:
        return Scores(x.matrix().affine(*binary_margins(estimator)).apply("Sigmoid"), decision)
    if _one_against_rest(estimator):
        each = decision.apply("Sigmoid")
        return Scores(each / each.reduce("ReduceSum"), decision, decision.argmax())
    return Scores(decision.softmax(), decision)


def _one_against_rest(estimator: Any) -> bool:
    chosen = getattr(estimator, "multi_class", "auto")
    return chosen == "ovr" or getattr(estimator, "solver", "") == "liblinear"


def stochastic(estimator: Any, x: Block) -> Scores:
    """SGDClassifier by its loss: log_loss and modified_huber give probabilities, the others only labels."""
    decision = margins(estimator, x)
    if estimator.loss == "log_loss":
        if decision.width == 1:
            return Scores(x.matrix().affine(*binary_margins(estimator)).apply("Sigmoid"), decision)
        each = decision.apply("Sigmoid")
        return Scores(each / each.reduce("ReduceSum"), decision, decision.argmax())
    if estimator.loss == "modified_huber":
        return Scores(_modified_huber(decision), decision, position(decision))
    return Scores(None, decision, position(decision))


def _modified_huber(decision: Numbers) -> Numbers:
    each = (decision.clip(-1.0, 1.0) + 1.0) / 2.0
    if decision.width == 1:
        return complement(each)
    sums = each.reduce("ReduceSum")
    zero = sums.equals(0.0)
    return zero.where(1.0, each) / zero.where(float(decision.width), sums)


def discriminant(estimator: Any, x: Block) -> Scores:
    """LinearDiscriminantAnalysis: as logistic regression on its coefficients."""
    decision = margins(estimator, x)
    if decision.width == 1:
        return Scores(x.matrix().affine(*binary_margins(estimator)).apply("Sigmoid"), decision)
    return Scores(decision.softmax(), decision)


def discriminant_transform(estimator: Any, x: Block) -> Numbers:
    if estimator.solver == "lsqr":
        raise Refused("transform() is not defined for solver='lsqr'")
    centred = x.matrix() - estimator.xbar_ if estimator.solver == "svd" else x.matrix()
    return (centred @ estimator.scalings_).take(range(estimator._max_components))


def quadratic(estimator: Any, x: Block) -> Scores:
    """QuadraticDiscriminantAnalysis: a rotated, scaled distance per class."""
    y = x.matrix()
    parts = []
    for mean, rotation, scale, prior in zip(
        estimator.means_, estimator.rotations_, estimator.scalings_, estimator.priors_, strict=True
    ):
        turned = (y - mean) @ (np.asarray(rotation) * np.asarray(scale) ** -0.5)
        parts.append(turned.norm2() * -0.5 + (np.log(prior) - 0.5 * float(np.sum(np.log(scale)))))
    decision = concat(parts)
    if decision.width == 2:
        return Scores(decision.softmax(), decision.take([1]) - decision.take([0]))
    return Scores(decision.softmax(), decision)


def constant_regressor(estimator: Any, x: Block) -> Numbers:
    """DummyRegressor."""
    return constant_rows(x.matrix(), np.ravel(estimator.constant_))


def constant_classifier(estimator: Any, x: Block) -> Scores:
    """DummyClassifier of the strategies that do not draw at random."""
    if estimator.strategy not in ("prior", "most_frequent", "constant") or estimator.n_outputs_ != 1:
        raise Refused(f"strategy={estimator.strategy!r} draws at random")
    prior = np.asarray(estimator.class_prior_, dtype=np.float64)
    label = list(estimator.classes_).index(estimator.constant) if estimator.strategy == "constant" else prior.argmax()
    row = prior if estimator.strategy == "prior" else np.eye(len(prior))[int(label)]
    return Scores(constant_rows(x.matrix(), row))
