"""What Python holds as metrics, params and tags, in the form that jsonb can store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(document: Any) -> str:
    """A document as JSON: numpy's values as Python's, dates in ISO form, keys and whatever else as text.

    NaN, which JSON lacks, is null, as pandas.NA and NaT are; the infinities are "Infinity" and "-Infinity".
    """
    return json.dumps(_plain(document), allow_nan=False)


def _plain(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return _number(float(value))
    if value is None or isinstance(value, str | int):
        return value
    for method in () if isinstance(value, type) else ("tolist", "isoformat"):
        if hasattr(value, method):
            return _plain(getattr(value, method)())
    return str(value)


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
