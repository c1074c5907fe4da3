"""The model, and the tables of 30 float8 features that it scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import psycopg
from batching import binary
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modeldb.database import Database

FEATURES = tuple(f"f{i}" for i in range(30))
MODEL, POSITIVE = "lr", "1"
TRAINING_ROWS, SAMPLE_ROWS, BLOCK = 20_000, 5000, 20_000
ROW = binary.layout(id=">i8", **dict.fromkeys(FEATURES, ">f8"))


def register(db: Database) -> bytes:
    """Fit and register a scaled logistic regression; its graph."""
    X, y = make_classification(TRAINING_ROWS, len(FEATURES), n_informative=15, random_state=0)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    db.register(MODEL, estimator, sample=X[:SAMPLE_ROWS], feature_names=FEATURES)
    return db.load(MODEL)


def rows(count: int, seed: int = 1) -> np.ndarray:
    """Features of so many rows, (count, 30) float64."""
    return np.random.default_rng(seed).normal(0, 2, (count, len(FEATURES)))


def make(connection: psycopg.Connection, *names: str) -> None:
    """Empty tables with a key, the features and a score; what was there by these names is dropped."""
    columns = ", ".join(f"{name} float8" for name in FEATURES)
    for name in names:
        connection.execute(f"DROP TABLE IF EXISTS {name}".encode())
        connection.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, {columns}, score float8)".encode())


def blocks(X: np.ndarray) -> Iterator[bytes]:
    """Rows as COPY BINARY takes them, in pieces; their keys are their positions."""
    yield binary.HEADER
    for start in range(0, len(X), BLOCK):
        part = X[start : start + BLOCK]
        keys = np.arange(start, start + len(part))
        yield binary.encode(ROW, id=keys, **dict(zip(FEATURES, part.T, strict=True)))
    yield binary.TRAILER


def copy(connection: psycopg.Connection, table: str, data: Sequence[bytes] | Iterator[bytes]) -> None:
    """COPY what blocks() gives into a table."""
    statement = f"COPY {table} (id, {', '.join(FEATURES)}) FROM STDIN (FORMAT binary)"
    with connection.cursor().copy(statement.encode()) as sink:
        for block in data:
            sink.write(block)


def insert(table: str) -> bytes:
    """The statement that inserts one row, with its values in binary."""
    columns = ("id", *FEATURES)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%b'] * len(columns))})".encode()


def require_scores(connection: psycopg.Connection, left: str, right: str, *, tolerance: float = 1e-9) -> None:
    """Raises ValueError unless two tables have the same rows, each with the same score."""
    query = f"""
        SELECT count(a.score), count(b.score), count(*), coalesce(max(abs(a.score - b.score)), 'NaN')
        FROM {left} a FULL JOIN {right} b USING (id)"""
    in_left, in_right, both, apart = connection.execute(query.encode()).fetchone()
    if not (in_left == in_right == both > 0 and apart <= tolerance):
        raise ValueError(f"{left} and {right}: {in_left} and {in_right} of {both} rows are scored, up to {apart} apart")
