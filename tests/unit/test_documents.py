"""Metrics, params and tags as Python holds them, in JSON that PostgreSQL takes."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from modeldb.documents import to_json

VALUES: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (3, 3),
    (0.1, 0.1),
    ("NaN", "NaN"),
    (float("nan"), None),
    (float("inf"), "Infinity"),
    (-float("inf"), "-Infinity"),
    (np.float32("nan"), None),
    (np.float64("inf"), "Infinity"),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.array([1.0, np.nan]), [1.0, None]),
    ((1, float("nan")), [1, None]),
    ([{"a": float("inf")}], [{"a": "Infinity"}]),
    (pd.NA, None),
    (pd.NaT, None),
    (pd.Series([1, 2]), [1, 2]),
    (datetime.date(2024, 1, 2), "2024-01-02"),
    (pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
    (Decimal("1.10"), "1.10"),
    (np.float64, "<class 'numpy.float64'>"),
    (Ridge(), "Ridge()"),
    ({np.int64(1): 1, (1, 2): 2, None: 3, 0.5: 4}, {"1": 1, "(1, 2)": 2, "None": 3, "0.5": 4}),
    (MappingProxyType({"a": {1: (float("nan"),)}}), {"a": {"1": [None]}}),
]


@pytest.mark.parametrize(("value", "stored"), VALUES, ids=[repr(value)[:40] for value, _ in VALUES])
def test_every_value_is_stored(value: Any, stored: Any) -> None:
    assert json.loads(to_json(value)) == stored
