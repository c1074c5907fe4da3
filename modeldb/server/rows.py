"""Many rows at once: what db.predict() sends, as JSON by position, answered in the rows' order."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from modeldb.errors import MalformedInput, ModeldbError, WrongType
from modeldb.runtime import Array, Prediction
from modeldb.server import boundary, predict
from modeldb.server.records import count_features
from modeldb.server.scorer import Scorer
from modeldb.signature import Feature, Signature


def predict_rows(model: str, rows: bytes, epoch: int) -> bytes:
    """JSON [[value, ...], ...] to JSON {"labels", "values", "probabilities"}; null where there is none."""
    (scorer, _), _ = predict.find(model, epoch)
    try:
        found = predict_many(scorer, to_columns(scorer.signature, orjson.loads(rows)))
    except orjson.JSONDecodeError as error:
        boundary.fail(MalformedInput(f"the rows are not valid JSON: {error}"), model)
    except ModeldbError as error:
        boundary.fail(error, model)
    document = {"labels": found.labels, "values": found.values, "probabilities": found.probabilities}
    return orjson.dumps({k: _listed(v) for k, v in document.items()}, option=orjson.OPT_SERIALIZE_NUMPY)


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
    try:
        if feature.type == "text":
            if wrong := [value for value in column if value is not None and not isinstance(value, str)]:
                raise WrongType(f"feature {feature.name!r} is text, {wrong[0]!r} is not")
            array = np.empty(len(column), dtype=object)
            array[:] = column
            return array
        if feature.type in ("int8", "bool") and None not in column:
            return np.array(column, dtype=np.int64 if feature.type == "int8" else np.bool_)
        return np.array(column, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise WrongType(f"feature {feature.name!r} is {feature.type}: {error}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, list):
        return [part.tolist() for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value
