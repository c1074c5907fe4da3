"""Which rows of a chunk have no prediction, and why: the whole chunk is looked at at once, then the odd rows singly.

A row that is odd goes the way of a single prediction, so that it gets the same answer or the same error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modeldb.errors import ModeldbError
from modeldb.runtime import Array
from modeldb.server import values
from modeldb.server.batch import binding
from modeldb.server.scorer import Scorer
from modeldb.signature import Feature

_FLOAT32_MAX = 3.4028235677973366e38
_INT8_END = 2.0**63
Verdicts = dict[int, ModeldbError | None]
"""By row: the error, or None where the prediction is NULL. Rows that are not in it have a prediction."""


def judge(scorer: Scorer, readers: Sequence[Any], parts: Sequence[binding.Part]) -> Verdicts:
    """The rows of a chunk that have no prediction."""
    odd = np.zeros(len(parts[0].values), dtype=bool)
    for part, reader in zip(parts, readers, strict=True):
        odd |= _odd(scorer, reader.features, part)
    verdicts: Verdicts = {}
    for at in np.flatnonzero(odd).tolist():
        try:
            given = binding.row(parts, readers, at, len(scorer.signature.features))
            if not scorer.examine(_converted(scorer.signature.features, given)):
                verdicts[at] = None
        except ModeldbError as error:
            verdicts[at] = error
    return verdicts


def _converted(features: Sequence[Feature], row: list[Any]) -> list[Any]:
    """The values as their features have them. Raises WrongType (MD203)."""
    return [
        None if value is None else values.converter(feature)(value)
        for feature, value in zip(features, row, strict=True)
    ]


def _odd(scorer: Scorer, features: Sequence[Feature], part: binding.Part) -> Array:
    """(n,) boolean: rows with a value that some feature may not be able to take."""
    odd = np.zeros(len(part.values), dtype=bool)
    if part.missing is not None:
        required = np.array([not feature.nullable for feature in features])
        odd |= (part.missing & required).any(axis=1)
    if part.values.dtype == np.float64:
        odd |= _odd_numbers(scorer, features, part)
    for at, feature in enumerate(features):
        column = part.values[:, at]
        if feature.categories is not None:
            odd |= _unseen(feature, column)
        if feature.type in ("int8", "bool"):
            odd |= _not_whole(feature, column, None if part.missing is None else part.missing[:, at])
    return odd


def _odd_numbers(scorer: Scorer, features: Sequence[Feature], part: binding.Part) -> Array:
    if np.isfinite(part.values).all():  # the commonest case, in one pass
        odd: Array = np.zeros(len(part.values), dtype=bool)
    else:
        required = np.array([not feature.nullable for feature in features])
        odd = (np.isnan(part.values) & required).any(axis=1)
        if scorer.signature.finite:
            odd |= np.isinf(part.values).any(axis=1)
    if scorer.signature.finite and scorer.signature.precision == "float32":
        odd |= (np.abs(part.values) > _FLOAT32_MAX).any(axis=1)
    return odd


def _unseen(feature: Feature, column: Array) -> Array:
    known = feature.categories or ()
    if feature.type == "text":
        strange = set(column.tolist()) - set(known) - {None}
        return np.array([value in strange for value in column], dtype=bool) if strange else np.zeros(len(column), bool)
    numbers = column.astype(np.float64)
    rounded = numbers.astype(np.float32).astype(np.float64) if feature.type == "float4" else numbers
    return ~np.isin(rounded, np.array(known, dtype=np.float64)) & ~np.isnan(numbers)


def _not_whole(feature: Feature, column: Array, missing: Array | None) -> Array:
    if column.dtype == object:  # JSON, whose values are of different types
        return np.ones(len(column), dtype=bool)
    if feature.type == "bool":
        broken: Array = (column != 0) & (column != 1)
    else:
        broken = (column != np.floor(column)) | (np.abs(column) >= _INT8_END)
    return broken if missing is None else broken & ~missing
