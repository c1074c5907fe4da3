"""Small real models that many tests use, trained once; a database with two versions of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modeldb
from support.tables import write_table


@dataclass(frozen=True)
class Trained:
    """An estimator with the rows that it was trained on."""

    estimator: Any
    X: pd.DataFrame


def _snake(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns=lambda name: name.split(" (")[0].replace(" ", "_"))


@pytest.fixture(scope="session")
def cancer() -> Trained:
    """Binary, classes 0 and 1, 30 double precision features."""
    data = load_breast_cancer(as_frame=True)
    X = _snake(data.data)
    return Trained(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, data.target), X)


@pytest.fixture(scope="session")
def cancer2() -> Trained:
    """A second version for the same features, whose predictions differ."""
    data = load_breast_cancer(as_frame=True)
    X = _snake(data.data)
    return Trained(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, 1 - data.target), X)


@pytest.fixture
def two(db: modeldb.Database, cancer: Trained, cancer2: Trained) -> modeldb.Database:
    """Model m with two versions that never agree: of the first of the table patients version 1 says 0, version 2 1."""
    db.register("m", cancer.estimator, sample=cancer.X)
    db.register("m", cancer2.estimator, sample=cancer2.X)
    write_table(db, "patients", cancer.X)
    return db


@pytest.fixture(scope="session")
def iris() -> Trained:
    """Three classes with text labels, four features."""
    data = load_iris(as_frame=True)
    X = _snake(data.data)
    return Trained(LogisticRegression(max_iter=1000).fit(X, data.target_names[data.target]), X)


@pytest.fixture(scope="session")
def diabetes() -> Trained:
    """A regression on ten features."""
    data = load_diabetes(as_frame=True, scaled=False)
    return Trained(LinearRegression().fit(data.data, data.target), data.data)


@pytest.fixture(scope="session")
def mixed() -> Trained:
    """Text and numbers with missing values; an encoder that refuses unseen categories."""
    random = np.random.default_rng(7)
    n = 600
    X = pd.DataFrame(
        {
            "city": random.choice(["Aachen", "Bonn", "Köln"], n),
            "color": random.choice(["red", "green", None], n),
            "amount": np.where(random.random(n) < 0.1, np.nan, random.normal(100, 30, n)),
            "age": random.integers(18, 90, n),
        }
    )
    y = (X["amount"].fillna(100) + 20 * (X["city"] == "Bonn") + X["age"] > 155).astype(int)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="error"), ["city"]),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore")
            ),
            ["color"],
        ),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["amount", "age"]),
    )
    return Trained(make_pipeline(encode, LogisticRegression()).fit(X, y), X)
