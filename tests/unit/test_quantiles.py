"""QuantileTransformer on columns with ties, whose learnt quantiles repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from modeldb.convert import convert

random = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "integers": random.integers(0, 50, 800),
    "a few integers": random.integers(0, 4, 800),
    "mostly zeros": random.poisson(0.2, 800) * 3.0,
    "two values": random.integers(0, 2, 800),
    "one value": np.full(800, 5),
    "all different": random.normal(size=800),
}


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_repeated_quantiles(column: Any, distribution: str) -> None:
    X = column[:, None].astype(np.float64)
    scale = QuantileTransformer(n_quantiles=50, output_distribution=distribution)
    estimator = make_pipeline(scale, Ridge()).fit(X, X[:, 0] * 2 + 1)
    known = np.unique(estimator[0].quantiles_)
    between = np.concatenate([known, known + 0.25, (known[1:] + known[:-1]) / 2, [known[0] - 3]])
    made = convert(estimator, np.concatenate([X, between[:, None]]), name="m")  # which compares all of these rows
    assert made.parity["worst_relative"] < 1e-9


def test_a_sample_of_integers() -> None:
    X = COLUMNS["integers"][:, None]
    estimator = make_pipeline(QuantileTransformer(n_quantiles=50), Ridge()).fit(X, X[:, 0])
    assert convert(estimator, X, name="m").parity["worst_relative"] < 1e-9
