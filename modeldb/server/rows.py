"""Many rows at once: what db.predict() sends, as JSON by position, answered in the rows' order."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from modeldb.errors import MalformedInput, ModeldbError, WrongType
from modeldb.runtime import Array, Prediction
from modeldb.server import boundary, predict, values
from modeldb.server.records import count_features
from modeldb.server.scorer import Scorer
from modeldb.signature import Feature, Signature


def predict_rows(model: str, rows: bytes, epoch: int) -> bytes:
    """JSON [[value, ...], ...] to JSON {"labels", "values", "probabilities"}; null where the model has none.

    "answered" tells by a boolean per row which rows the answers are of.
    """
    scorer, _ = predict.find(model, epoch)
    try:
        columns = to_columns(scorer.signature, orjson.loads(rows))
        answered = _answerable(scorer, columns)
        found = predict_many(scorer, [column[answered] for column in columns]) if answered.any() else None
    except orjson.JSONDecodeError as error:
        boundary.fail(MalformedInput(f"the rows are not valid JSON: {error}"), model)
    except ModeldbError as error:
        boundary.fail(error, model)
    parts = {name: _listed(getattr(found, name, None)) for name in ("labels", "values", "probabilities")}
    return orjson.dumps(parts | {"answered": answered.tolist()})


def _answerable(scorer: Scorer, columns: list[Array]) -> Array:
    """Which rows have an answer: those with NULL for a feature that was never missing have none, where that is set."""
    answered = np.ones(len(columns[0]), dtype=bool)
    if scorer.null_gives_null:
        for feature, column in zip(scorer.signature.features, columns, strict=True):
            if not feature.nullable:
                answered &= np.array([value is not None and value == value for value in column.tolist()], dtype=bool)
    return answered


def _listed(value: Any) -> Any:
    if isinstance(value, list):
        return [part.tolist() for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def predict_many(scorer: Scorer, columns: list[Array]) -> Prediction:
    """Run columns through a scorer's session, watched like a single row."""
    scorer.loaded.hits += len(columns[0])
    found: list[Prediction] = []
    scorer.watched(lambda: found.append(scorer.model.predict(columns, scorer.options)))
    return found[0]


def to_columns(signature: Signature, rows: Any) -> list[Array]:
    """One array per feature. Raises WrongFeatureCount (MD201), WrongType (MD203), MalformedInput (MD210)."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise MalformedInput("the rows are not a JSON array of arrays")
    for row in rows:
        if len(row) != len(signature.features):
            count_features(signature.features, len(row))
    return [_column(f, list(column)) for f, column in zip(signature.features, zip(*rows, strict=True), strict=True)]


def _column(feature: Feature, column: list[Any]) -> Array:
    """One feature's values: as they are where all are of its own type, else converted one by one as in a single row."""
    kinds = set(map(type, column))
    if not kinds <= _PLAIN[feature.type]:
        convert = values.converter(feature)
        column = [None if value is None else convert(value) for value in column]
    if feature.type == "text":
        texts: Array = np.empty(len(column), dtype=object)
        texts[:] = column
        return texts
    try:
        if feature.type in ("int8", "bool") and type(None) not in kinds:
            return np.array(column, dtype=np.int64 if feature.type == "int8" else np.bool_)
        return np.array(column, dtype=np.float64)
    except OverflowError as error:
        raise WrongType(f"feature {feature.name!r} is {feature.type}: {error}") from None


_PLAIN: dict[str, set[type]] = {
    "float8": {float, int, type(None)},
    "float4": {float, int, type(None)},
    "int8": {int},
    "bool": {bool},
    "text": {str, type(None)},
}
