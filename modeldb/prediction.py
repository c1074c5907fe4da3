"""Predictions from Python: rows go to the database, answers come back in their order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, LargeBinary, bindparam, text

from modeldb.errors import InvalidSample, MissingFeature, NoProbabilities, WrongFeatureCount

CHUNK_ROWS = 5000
Array = np.ndarray[Any, Any]


class Predictions:
    """predict and predict_proba of ``modeldb.connect(...)``."""

    def transaction(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        raise NotImplementedError

    def predict(self, model: str, X: Any) -> Array:
        """Predict in the database what the estimator's ``predict`` gives.

        X: DataFrame (bound by column name, extra columns ignored), (n, k) array or nested list (by position); NaN or
        None is a missing value. Returns (n,), or (n, targets) for several targets: labels in the type of the classes
        (int64, float64, bool or object), float64 for regressions. Raises the input errors MD201 to MD206.
        """
        card, answers = self._answers(model, X)
        if answers and answers[0]["labels"] is None:
            return np.concatenate([np.array(part["values"], dtype=np.float64) for part in answers])
        labels = [label for part in answers for label in part["labels"]]
        classes = card["signature"].get("classes")
        if classes is None:
            return np.array(labels, dtype=np.int64)
        flat = [c for group in classes for c in group] if isinstance(classes[0], list) else classes
        return np.array(labels, dtype=object if any(isinstance(c, str) for c in flat) else np.array(flat).dtype)

    def predict_proba(self, model: str, X: Any) -> Array | list[Array]:
        """Probabilities in the order of the classes: float64 (n, classes); a list of them for several targets.

        Raises NoProbabilities (MD208) and the input errors of ``predict``.
        """
        card, answers = self._answers(model, X)
        if not card["signature"]["outputs"].get("probabilities"):
            raise NoProbabilities(f"model {model!r}: the model is a {card['task']} and gives no probabilities")
        parts = [part["probabilities"] for part in answers]
        if card["signature"].get("targets", 1) == 1:
            return np.concatenate([np.array(part, dtype=np.float64) for part in parts])
        targets = range(len(card["classes"]))
        return [np.concatenate([np.array(part[target], dtype=np.float64) for part in parts]) for target in targets]

    def _answers(self, model: str, X: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The card of the version, and its answers to the rows of X in chunks, all by that one version."""
        with self.transaction() as connection:
            card = connection.execute(text("SELECT modeldb.describe(:model)"), {"model": model}).scalar_one()
            version = f"{card['model']}/{card['version']}"
            answers = [
                orjson.loads(connection.execute(_PREDICT, {"model": version, "rows": chunk}).scalar_one())
                for chunk in _chunks(X, [feature["name"] for feature in card["features"]], model)
            ]
        return card, answers


_PREDICT = text("SELECT modeldb._predict_rows(:model, :rows, modeldb._epoch())").bindparams(
    bindparam("rows", type_=LargeBinary)
)


def _chunks(X: Any, names: list[str], model: str) -> Iterator[bytes]:
    """The rows as JSON arrays by position, CHUNK_ROWS at a time."""
    if hasattr(X, "columns"):
        if lacking := [name for name in names if name not in X.columns]:
            raise MissingFeature(f"model {model!r}: the DataFrame has no column {', '.join(map(repr, lacking))}")
        X = X[names]
        table = [[_plain(value) for value in X[name].tolist()] for name in names]
        rows: Any = list(map(list, zip(*table, strict=True)))
    else:
        array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
        if array.ndim < 2:
            raise InvalidSample(f"model {model!r}: X has {array.ndim} dimension(s), (n, k) rows are wanted")
        array = array.reshape(len(array), -1)
        if array.shape[1] != len(names):
            raise WrongFeatureCount(f"model {model!r}: X has {array.shape[1]} columns, the model {len(names)} features")
        ready = array.dtype.kind in "iufb" and np.isfinite(array).all()
        rows = (
            array.astype(np.float64 if array.dtype.kind == "f" else array.dtype, order="C") if ready else _listed(array)
        )
    if len(rows) == 0:
        raise InvalidSample(f"model {model!r}: X has no rows")
    for start in range(0, len(rows), CHUNK_ROWS):
        yield orjson.dumps(rows[start : start + CHUNK_ROWS], option=orjson.OPT_SERIALIZE_NUMPY)


def _listed(array: Array) -> list[list[Any]]:
    return [[_plain(value) for value in row] for row in array.tolist()]


def _plain(value: Any) -> Any:
    """A cell as JSON has it: null for every kind of missing value, names for the infinities."""
    if value is None or value != value or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value.item() if isinstance(value, np.generic) else value
