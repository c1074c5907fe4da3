"""What the estimator itself says: its task, its classes, and its predictions, as the truth to be reproduced."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldb.errors import InvalidSample, UnsupportedEstimator

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reference:
    """The estimator's own answers for n rows.

    labels: (n,) or (n, targets); values: (n,) or (n, targets) float64; probabilities: (n, classes), or a list of them;
    decision: (n,) or (n, classes) where there are no probabilities.
    """

    labels: Array | None = None
    values: Array | None = None
    probabilities: Any = None
    decision: Array | None = None


def task_of(model: Any, name: str) -> str:
    """The signature's task of a fitted estimator. Raises UnsupportedEstimator (MD301)."""
    from sklearn import base
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(model, type) or not (hasattr(model, "fit") or hasattr(model, "predict")):
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise UnsupportedEstimator(
            f"{name} is {kind}, which is neither a fitted scikit-learn estimator nor an ONNX model",
            hint="Pass a fitted estimator or Pipeline, ONNX bytes, or the path of an .onnx file.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_is_fitted(model)
    except NotFittedError:
        raise UnsupportedEstimator(
            f"{name} is a {type(model).__name__} that is not fitted", hint="Call fit() before registering it."
        ) from None
    except TypeError:
        raise UnsupportedEstimator(
            f"{name} is a {type(model).__name__}, which is not a scikit-learn estimator",
            hint="Pass a fitted estimator or Pipeline; of xgboost and lightgbm the classes such as XGBClassifier.",
        ) from None
    if base.is_classifier(model):
        return "classification"
    if base.is_regressor(model):
        return "regression"
    if base.is_outlier_detector(model):
        return _predicting(model, "outlier", name)
    if hasattr(model, "predict"):
        return "clustering"
    if hasattr(model, "transform"):
        return "transformation"
    return _predicting(model, "clustering", name)


def _predicting(model: Any, task: str, name: str) -> str:
    if hasattr(model, "predict"):
        return task
    raise UnsupportedEstimator(
        f"{name} is a {type(model).__name__} that can predict nothing for new rows",
        hint="Use novelty=True for LocalOutlierFactor, or an estimator that has predict().",
    )


def classes_of(model: Any, task: str) -> tuple[Any, ...] | None:
    """Classes as JSON-ready labels; a tuple of tuples for multi-output classifiers."""
    if task != "classification":
        return None
    classes = model.classes_
    if isinstance(classes, list) or np.ndim(classes[0]):
        return tuple(tuple(plain(c) for c in each) for each in classes)
    return tuple(plain(c) for c in classes)


def plain(value: Any) -> Any:
    """A label as one of Python's own types."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, bool | int | float | str) else str(value)


def consult(model: Any, rows: Any, task: str, name: str) -> Reference:
    """Ask the estimator. Raises InvalidSample (MD308) when it does not take the sample."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return _consult(model, rows, task)
        except Exception as error:
            text = (str(error).splitlines() or [""])[0]
            raise InvalidSample(f"{name} does not take the sample: {type(error).__name__}: {text}") from error


def _consult(model: Any, rows: Any, task: str) -> Reference:
    if task == "transformation":
        result = model.transform(rows)
        dense = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
        return Reference(values=dense.reshape(len(dense), -1))
    predicted = np.asarray(model.predict(rows))
    if task == "regression":
        values = predicted.astype(np.float64)
        return Reference(values=values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values)
    labels = _labels(model, predicted)
    if task == "clustering":
        return Reference(labels)
    if task == "outlier":
        return Reference(labels, decision=np.asarray(model.decision_function(rows), dtype=np.float64))
    if hasattr(model, "predict_proba"):
        given = model.predict_proba(rows)
        chained = labels.ndim == 2 and not isinstance(given, list)  # a ClassifierChain gives shares of class 1 only
        return Reference(labels, probabilities=None if chained else _doubles(given))
    if hasattr(model, "decision_function"):
        return Reference(labels, decision=np.asarray(model.decision_function(rows), dtype=np.float64))
    return Reference(labels)


def _labels(model: Any, predicted: Array) -> Array:
    """Labels as Python's own; of a classifier in the form in which its classes are listed."""
    wide = predicted.reshape(len(predicted), -1)
    labels: Any = np.empty(wide.shape, dtype=object)
    classes = getattr(model, "classes_", ())
    for target in range(wide.shape[1]):
        known = classes[target] if isinstance(classes, list) else classes
        named = {plain(c): plain(c) for c in np.ravel(known)}
        labels[:, target] = [named.get(plain(value), plain(value)) for value in wide[:, target]]
    return np.asarray(labels.reshape(predicted.shape))


def _doubles(given: Any) -> Any:
    if isinstance(given, list):
        return [np.asarray(part, dtype=np.float64) for part in given]
    return np.asarray(given, dtype=np.float64)
