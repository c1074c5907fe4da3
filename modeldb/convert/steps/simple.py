"""Naive Bayes, neural networks, nearest centroids, clusters, mixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Array, Numbers, complement, concat, total
from modeldb.convert.steps.kernels import squared_distances

ACTIVATIONS: dict[str, Callable[[Numbers], Numbers]] = {
    "identity": lambda x: x,
    "logistic": lambda x: x.apply("Sigmoid"),
    "tanh": lambda x: x.apply("Tanh"),
    "relu": lambda x: x.apply("Relu"),
    "softmax": lambda x: x.softmax(),
    "exp": lambda x: x.apply("Exp"),
}


def gaussian_bayes(estimator: Any, x: Block) -> Scores:
    """GaussianNB: squared deviations of every class at once, as a (n, classes, features) tensor."""
    y = x.matrix()
    variance = np.asarray(estimator.var_, dtype=np.float64)
    prior = np.log(np.asarray(estimator.class_prior_)) - 0.5 * np.log(2.0 * np.pi * variance).sum(axis=1)
    spread = weighted_squares(y, np.asarray(estimator.theta_), 1.0 / variance)
    return Scores((spread * -0.5 + prior).softmax())


def weighted_squares(x: Numbers, points: Array, weights: Array) -> Numbers:
    """sum_j weights[c, j] * (x[j] - points[c, j])**2 for each point c: (n, points)."""
    graph, (count, width) = x.graph, points.shape
    cube = graph.op("Reshape", x.name, graph.const([-1, 1, width], "int64"))
    moved = graph.op("Sub", cube, graph.const(points[None], x.dtype))
    squares = graph.op("Mul", moved, moved)
    weighted = graph.op("Mul", squares, graph.const(np.broadcast_to(weights, points.shape)[None], x.dtype))
    summed = graph.op("ReduceSum", weighted, graph.const([2], "int64"), keepdims=0)
    return Numbers(graph, summed, x.dtype, count)


def multinomial_bayes(estimator: Any, x: Block) -> Scores:
    joint = x.matrix().affine(np.asarray(estimator.feature_log_prob_).T, np.asarray(estimator.class_log_prior_))
    return Scores(joint.softmax())


def complement_bayes(estimator: Any, x: Block) -> Scores:
    prior = np.asarray(estimator.class_log_prior_) if len(estimator.classes_) == 1 else 0.0
    return Scores(x.matrix().affine(np.asarray(estimator.feature_log_prob_).T, prior).softmax())


def bernoulli_bayes(estimator: Any, x: Block) -> Scores:
    y = x.matrix()
    if estimator.binarize is not None:
        y = (y > float(estimator.binarize)).cast(y.dtype)
    present = np.asarray(estimator.feature_log_prob_)
    missing = np.log(1.0 - np.exp(present))
    prior = np.asarray(estimator.class_log_prior_) + missing.sum(axis=1)
    return Scores(y.affine((present - missing).T, prior).softmax())


def categorical_bayes(estimator: Any, x: Block) -> Scores:
    codes = x.matrix().cast("int64")
    parts = [codes.take([j]).rows_of(np.asarray(table).T) for j, table in enumerate(estimator.feature_log_prob_)]
    return Scores((total(parts) + np.asarray(estimator.class_log_prior_)).softmax())


def network(estimator: Any, x: Block) -> Numbers:
    """The forward pass of a multi-layer perceptron."""
    y, last = x.matrix(), len(estimator.coefs_) - 1
    for layer, (weights, bias) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        name = estimator.out_activation_ if layer == last else estimator.activation
        y = ACTIVATIONS[name](y.affine(weights, bias))
    return y


def network_classifier(estimator: Any, x: Block) -> Scores:
    if getattr(estimator._label_binarizer, "y_type_", "").startswith("multilabel"):
        raise Refused("multi-label targets are not supported")
    y = network(estimator, x)
    return Scores(complement(y)) if y.width == 1 else Scores(y)


def nearest_centroid(estimator: Any, x: Block) -> Scores:
    """NearestCentroid: the nearest one, or, with unequal priors, the likeliest."""
    centroids = np.asarray(estimator.centroids_, dtype=np.float64)
    prior = np.asarray(getattr(estimator, "class_prior_", np.full(len(centroids), 1.0 / len(centroids))))
    uniform = bool(np.isclose(prior, 1.0 / len(prior)).all())
    y = x.matrix()
    if estimator.metric == "manhattan" and uniform:
        return Scores(None, None, absolute_distances(y, centroids).argmin())
    if estimator.metric != "euclidean":
        raise Refused(f"metric={estimator.metric!r} is not supported")
    nearest = squared_distances(y, centroids).argmin()
    if not hasattr(estimator, "predict_proba"):
        return Scores(None, None, nearest)
    deviation = np.where(estimator.within_class_std_dev_ == 0, 1.0, estimator.within_class_std_dev_)
    scores = squared_distances(y / deviation, centroids / deviation) * -1.0 + 2.0 * np.log(prior)
    decision = scores.take([1]) - scores.take([0]) if scores.width == 2 else scores
    return Scores(scores.softmax(), decision, nearest if uniform else scores.argmax())


def absolute_distances(x: Numbers, points: Array) -> Numbers:
    graph, (count, width) = x.graph, points.shape
    cube = graph.op("Reshape", x.name, graph.const([-1, 1, width], "int64"))
    moved = graph.op("Abs", graph.op("Sub", cube, graph.const(points[None], x.dtype)))
    return Numbers(graph, graph.op("ReduceSum", moved, graph.const([2], "int64"), keepdims=0), x.dtype, count)


def nearest_centre(estimator: Any, x: Block) -> Numbers:
    """KMeans, MiniBatchKMeans, MeanShift, AffinityPropagation."""
    return _argmin_distance(x.matrix(), np.asarray(estimator.cluster_centers_, dtype=np.float64))


def _argmin_distance(x: Numbers, centres: Array) -> Numbers:
    middle = centres.mean(axis=0)
    at = centres - middle
    return (x - middle).affine(at.T * -2.0, (at**2).sum(axis=1)).argmin()


def centre_distances(estimator: Any, x: Block) -> Numbers:
    """KMeans.transform."""
    return squared_distances(x.matrix(), np.asarray(estimator.cluster_centers_, dtype=np.float64)).apply("Sqrt")


def birch(estimator: Any, x: Block) -> Numbers:
    nearest = _argmin_distance(x.matrix(), np.asarray(estimator.subcluster_centers_, dtype=np.float64))
    return nearest.rows_of(np.asarray(estimator.subcluster_labels_, dtype=np.float64)[:, None]).cast("int64")


def bisecting(estimator: Any, x: Block) -> Numbers:
    """BisectingKMeans: down its tree, at each fork to the nearer of two centres."""
    y = x.matrix()
    shift = np.asarray(getattr(estimator, "_X_mean", 0.0))

    def descend(node: Any) -> Any:
        if node.left is None:
            return float(node.label)
        nearest = _argmin_distance(y, np.vstack([node.left.center, node.right.center]) + shift)
        left, right = descend(node.left), descend(node.right)
        if not isinstance(left, Numbers) and not isinstance(right, Numbers):
            return nearest.cast(y.dtype) * (right - left) + left
        return nearest.cast("bool").where(right, left)

    label = descend(estimator._bisecting_tree)
    return (label if isinstance(label, Numbers) else y.take([0]) * 0.0 + label).cast("int64")


def mixture(estimator: Any, x: Block) -> Numbers:
    """GaussianMixture and BayesianGaussianMixture: the likeliest component."""
    y = x.matrix()
    means = np.asarray(estimator.means_)
    roots = _precision_roots(estimator, y.width)
    parts = [((y - mean) @ root).norm2() * -0.5 for mean, root in zip(means, roots, strict=True)]
    constants = estimator._estimate_log_weights() + _log_determinants(estimator, y.width)
    return (concat(parts) + np.asarray(constants)).argmax()


def _log_determinants(estimator: Any, width: int) -> Array:
    roots = np.array(_precision_roots(estimator, width))
    found = np.log(np.abs(np.diagonal(roots, axis1=1, axis2=2))).sum(axis=1)
    if hasattr(estimator, "degrees_of_freedom_"):
        from scipy.special import digamma

        freedom = np.asarray(estimator.degrees_of_freedom_)
        halves: Any = 0.5 * (freedom - np.arange(0, width)[:, None])
        ladder = np.asarray(digamma(halves)).sum(axis=0)
        log_lambda = width * np.log(2.0) + ladder
        found = found - 0.5 * width * np.log(freedom) + 0.5 * (log_lambda - width / estimator.mean_precision_)
    return np.asarray(found)


def _precision_roots(estimator: Any, width: int) -> list[Array]:
    roots = np.asarray(estimator.precisions_cholesky_)
    count = len(estimator.means_)
    kinds: dict[str, Callable[[], list[Array]]] = {
        "full": lambda: list(roots),
        "tied": lambda: [roots] * count,
        "diag": lambda: [np.diag(root) for root in roots],
        "spherical": lambda: [np.eye(width) * root for root in roots],
    }
    return kinds[estimator.covariance_type]()
