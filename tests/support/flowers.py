"""More small models, and a database with flowers in it that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import psycopg
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import modeldb
from support.models import Trained
from support.server import plain
from support.tables import write_table


@pytest.fixture(scope="module")
def reader(module_db: modeldb.Database, module_url: str) -> Iterator[psycopg.Connection]:
    """A warm connection to the module's database."""
    with psycopg.connect(plain(module_url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def scratch(reader: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The module's connection in a transaction that is undone after the test."""
    with reader.transaction(force_rollback=True):
        yield reader


@pytest.fixture(scope="session")
def width(iris: Trained) -> Trained:
    """A regression on three double precision features: what the fourth column of the irises is."""
    X = iris.X[["sepal_length", "sepal_width", "petal_length"]]
    return Trained(LinearRegression().fit(X, load_iris().data[:, 3]), X)


@pytest.fixture(scope="session")
def kinds() -> Trained:
    """A regression on one feature of each type: float8, float4, int8, bool and text."""
    random = np.random.default_rng(3)
    n = 200
    X = pd.DataFrame(
        {
            "x": random.normal(size=n),
            "y": random.normal(size=n).astype(np.float32),
            "n": random.integers(0, 9, n),
            "b": random.random(n) < 0.5,
            "city": random.choice(["a", "b", "Köln"], n),
        }
    )
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough")
    y = X["x"] - 2 * X["y"] + 3 * X["n"] + 5 * X["b"] + 7 * (X["city"] == "a") + 11 * (X["city"] == "Köln")
    return Trained(make_pipeline(encode, LinearRegression()).fit(X, y), X)


@pytest.fixture(scope="session")
def gaps() -> Trained:
    """A classifier whose feature a may be missing and whose feature b may not; classes False and True."""
    random = np.random.default_rng(5)
    X = pd.DataFrame({"a": random.normal(size=300), "b": random.normal(size=300)})
    y = (X["a"] + X["b"] > 0).to_numpy()
    X.loc[::7, "a"] = np.nan
    return Trained(make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, y), X)


@dataclass(frozen=True)
class Garden:
    """The irises in the table flowers, and the models width (a regression) and species (a classifier) on them."""

    width: Trained
    species: Trained

    @property
    def X(self) -> pd.DataFrame:
        return self.species.X


@pytest.fixture(scope="module")
def garden(module_db: modeldb.Database, width: Trained, iris: Trained) -> Garden:
    module_db.register("width", width.estimator, sample=width.X)
    module_db.register("species", iris.estimator, sample=iris.X)
    write_table(module_db, "flowers", iris.X)
    return Garden(width, iris)
