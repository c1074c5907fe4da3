"""Predictions from Python: rows go to the database, answers come back in their order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, LargeBinary, bindparam, text

from modeldb.errors import InvalidSample, MissingFeature, NoProbabilities, WrongFeatureCount, WrongType

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
        None is a missing value, a Decimal a float. Returns (n,), or (n, targets) for several targets: labels in the
        type of the classes (int64, float64, bool or object), float64 for regressions. Rows that get NULL, because the
        model was configured so, are NaN, or None among labels. Raises the input errors MD201 to MD206.
        """
        card, answers, answered = self._answers(model, X)
        targets = card["signature"]["targets"]
        if card["signature"]["outputs"].get("value"):
            values = [value for part in answers for value in part["values"]]
            return _spread(np.array(values, dtype=np.float64).reshape(-1, *_width(targets)), answered)
        labels = [label for part in answers for label in part["labels"]]
        dtype = _label_dtype(card["signature"].get("classes"))
        return _spread(np.array(labels, dtype=dtype).reshape(-1, *_width(targets)), answered)

    def predict_proba(self, model: str, X: Any) -> Array | list[Array]:
        """Probabilities in the order of the classes: float64 (n, classes); a list of them for several targets.

        Rows that get NULL, because the model was configured so, are NaN.
        Raises NoProbabilities (MD208) and the input errors of ``predict``.
        """
        card, answers, answered = self._answers(model, X)
        signature = card["signature"]
        if not signature["outputs"].get("probabilities"):
            raise NoProbabilities(f"model {model!r}: the model is a {card['task']} and gives no probabilities")
        if signature["targets"] == 1:
            return _probabilities([part["probabilities"] for part in answers], signature["classes"], answered)
        return [
            _probabilities([part["probabilities"][target] for part in answers], classes, answered)
            for target, classes in enumerate(signature["classes"])
        ]

    def _answers(self, model: str, X: Any) -> tuple[dict[str, Any], list[dict[str, Any]], Array]:
        """The card of the version, its answers to the rows of X in chunks, and which rows they are of, as booleans."""
        with self.transaction() as connection:
            card = connection.execute(text("SELECT modeldb.describe(:model)"), {"model": model}).scalar_one()
            version = f"{card['model']}/{card['version']}"
            answers = [
                orjson.loads(connection.execute(_PREDICT, {"model": version, "rows": chunk}).scalar_one())
                for chunk in _chunks(X, [feature["name"] for feature in card["features"]], model)
            ]
        answered = np.concatenate([np.array(part["answered"], dtype=bool) for part in answers])
        return card, [part for part in answers if any(part["answered"])], answered


_PREDICT = text("SELECT modeldb._predict_rows(:model, :rows, modeldb._epoch())").bindparams(
    bindparam("rows", type_=LargeBinary)
)


def _width(targets: int) -> tuple[int, ...]:
    return () if targets == 1 else (targets,)


def _label_dtype(classes: Any) -> Any:
    """The type of labels: of the classes; int64 of clusters and of +1 and -1."""
    if classes is None:
        return np.int64
    flat = [c for group in classes for c in group] if isinstance(classes[0], list) else classes
    return object if any(isinstance(c, str) for c in flat) else np.array(flat).dtype


def _probabilities(parts: list[Any], classes: list[Any], answered: Array) -> Array:
    rows = [row for part in parts for row in part]
    return _spread(np.array(rows, dtype=np.float64).reshape(-1, len(classes)), answered)


def _spread(found: Array, answered: Array) -> Array:
    """The answers in the places of the rows that have one; NaN in the others, or None among labels."""
    if answered.all():
        return found
    floats = found.dtype.kind == "f"
    spread = np.full((len(answered), *found.shape[1:]), np.nan if floats else None, dtype=None if floats else object)
    spread[answered] = found
    return spread


def _chunks(X: Any, names: list[str], model: str) -> Iterator[bytes]:
    """The rows as JSON arrays by position, CHUNK_ROWS at a time."""
    if hasattr(X, "columns"):
        if lacking := [name for name in names if name not in X.columns]:
            raise MissingFeature(f"model {model!r}: the DataFrame has no column {', '.join(map(repr, lacking))}")
        rows: Any = _rows([X[name].tolist() for name in names], names, model)
    else:
        array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
        if array.ndim < 2:
            raise InvalidSample(f"model {model!r}: X has {array.ndim} dimension(s), (n, k) rows are wanted")
        array = array.reshape(len(array), math.prod(array.shape[1:]))
        if array.shape[1] != len(names):
            raise WrongFeatureCount(f"model {model!r}: X has {array.shape[1]} columns, the model {len(names)} features")
        ready = array.dtype.kind in "iufb" and np.isfinite(array).all()
        rows = (
            array.astype(np.float64 if array.dtype.kind == "f" else array.dtype, order="C")
            if ready
            else _rows(_columns(array), names, model)
        )
    if len(rows) == 0:
        raise InvalidSample(f"model {model!r}: X has no rows")
    for start in range(0, len(rows), CHUNK_ROWS):
        yield orjson.dumps(rows[start : start + CHUNK_ROWS], option=orjson.OPT_SERIALIZE_NUMPY)


def _columns(array: Array) -> list[list[Any]]:
    """The columns of (n, k); dates stay dates: tolist() makes numbers of some."""
    return [list(column) if array.dtype.kind in "mM" else column.tolist() for column in array.T]


def _rows(columns: list[list[Any]], names: list[str], model: str) -> list[list[Any]]:
    """Columns of any Python values as rows of what JSON has. Raises WrongType (MD203), which names the feature."""
    table = []
    for name, column in zip(names, columns, strict=True):
        try:
            table.append([_plain(value) for value in column])
        except TypeError as error:
            raise WrongType(f"model {model!r}: feature {name!r}: {error}") from None
    return list(map(list, zip(*table, strict=True)))


def _plain(value: Any) -> Any:
    """A cell as JSON has it: null for every kind of missing value, names for the infinities; TypeError for a date."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.generic) and value.dtype.kind not in "mM":  # a date's item() may be a number
        value = value.item()
    if isinstance(value, Decimal) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        value = float(Decimal(value))
    if isinstance(value, float):
        return None if value != value else value if math.isfinite(value) else _INFINITIES[value > 0]
    if isinstance(value, str | int):
        return value
    raise TypeError(f"{value!r:.60} is a {type(value).__name__}, neither a number nor a text")


_INFINITIES = ("-Infinity", "Infinity")
