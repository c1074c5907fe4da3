"""What SQL says of a table's rows, against what the estimator says of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from psycopg import sql

import modeldb
from modeldb.signature import class_text
from parity.cases import Case

Array = np.ndarray[Any, Any]
SINGLE = 1e-5
DOUBLE = 1e-9


def fitted(case: Case) -> tuple[Any, Any]:
    """The trained estimator and its sample. What it warns of while it trains is not the point here."""
    X, y = case.rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return case.estimator().fit(X, y), X


def as_frame(X: Any, names: list[str]) -> pd.DataFrame:
    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=names)


def check(case: Case, version: Any, estimator: Any, X: Any, connection: psycopg.Connection, table: str) -> None:
    """Raise AssertionError unless labels are equal and numbers within the tolerance."""
    signature = version.signature
    assert signature.precision == ("float64" if case.double else "float32")
    tolerance = DOUBLE if case.double else SINGLE
    ask = Asker(connection, version.name, table)
    if signature.targets > 1 or signature.task == "transformation":
        check_documents(estimator, X, signature, ask, tolerance)
        return
    predicted = estimator.predict(X)
    if signature.task == "regression":
        assert_close(np.array(ask("predict"), dtype=np.float64), predicted.ravel(), tolerance)
        return
    assert ask("predict_label") == [class_text(plain(label)) for label in predicted]
    if signature.numeric:
        assert ask("predict") == [float(label) for label in predicted]
    if signature.task == "classification" and hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(np.array(ask("predict_proba")), estimator.predict_proba(X), rtol=0, atol=tolerance)


def check_documents(estimator: Any, X: Any, signature: Any, ask: Asker, tolerance: float) -> None:
    """Several targets: all of it comes from predict_json()."""
    documents = ask("predict_json")
    if signature.task == "classification":
        labels = [[plain(label) for label in row] for row in estimator.predict(X)]
        assert [document["label"] for document in documents] == labels
        check_target_probabilities(estimator, X, documents, tolerance)
        return
    expected = estimator.predict(X) if signature.task == "regression" else estimator.transform(X)
    assert_close(np.array([document["value"] for document in documents]), expected, tolerance)


def check_target_probabilities(estimator: Any, X: Any, documents: list[Any], tolerance: float) -> None:
    given = estimator.predict_proba(X)
    if not isinstance(given, list):  # a chain gives shares of class 1, and a model in SQL its labels only
        return
    for target, expected in enumerate(given):
        classes = [class_text(plain(label)) for label in estimator.classes_[target]]
        found = [[document["probabilities"][target][label] for label in classes] for document in documents]
        np.testing.assert_allclose(np.array(found), expected, rtol=0, atol=tolerance)


def assert_close(found: Array, expected: Array, tolerance: float) -> None:
    """Within a relative tolerance; a number near zero is measured against a thousandth of the mean magnitude."""
    scale = np.maximum(np.abs(expected), 1e-3 * np.abs(expected).mean(axis=0))
    assert float((np.abs(found - expected) / scale).max()) <= tolerance


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class Asker:
    """Calls a function of the model on every row of a table, in order."""

    def __init__(self, connection: psycopg.Connection, model: str, table: str) -> None:
        self.connection = connection
        self.model = model
        self.table = sql.Identifier(table)

    def __call__(self, function: str) -> list[Any]:
        query = sql.SQL("SELECT {}({}, t) FROM {} t ORDER BY row_id").format(
            sql.Identifier(function), sql.Literal(self.model), self.table
        )
        return [row[0] for row in self.connection.execute(query).fetchall()]


def registered(db: modeldb.Database, case: Case) -> tuple[Any, Any, Any]:
    """The version, the estimator and the sample of a case."""
    estimator, X = fitted(case)
    return db.register(case.id, estimator, sample=X), estimator, X
