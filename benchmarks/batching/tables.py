"""The tables of float8 features, and the models that score them."""

from __future__ import annotations

import numpy as np
import psycopg
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from batching import binary
from modeldb.database import Database

FEATURES = tuple(f"f{i}" for i in range(30))
TABLE, LARGE, CHANGING = "measured", "measured_4x", "measured_changing"
MODELS = {
    "lr": make_pipeline(StandardScaler(), LogisticRegression()),
    "hgb": HistGradientBoostingClassifier(max_iter=100, random_state=0),
}
TRAINING_ROWS, SAMPLE_ROWS, BLOCK = 20_000, 5000, 20_000


def make(db: Database, url: str, rows: int) -> None:
    """Fit and register the models, and load the table."""
    X, y = make_classification(rows, len(FEATURES), n_informative=15, random_state=0)
    for name, estimator in MODELS.items():
        estimator.fit(X[:TRAINING_ROWS], y[:TRAINING_ROWS])
        db.register(name, estimator, sample=X[:SAMPLE_ROWS], feature_names=FEATURES)
    with psycopg.connect(url) as connection:
        columns = ", ".join(f"{name} float8" for name in FEATURES)
        connection.execute(f"CREATE TABLE {TABLE} (id bigint, {columns})".encode())
        row = binary.layout(id=">i8", **dict.fromkeys(FEATURES, ">f8"))
        with connection.cursor().copy(f"COPY {TABLE} FROM STDIN (FORMAT binary)".encode()) as copy:
            copy.write(binary.HEADER)
            for start in range(0, rows, BLOCK):
                part = X[start : start + BLOCK]
                keys = np.arange(start, start + len(part))
                copy.write(binary.encode(row, id=keys, **dict(zip(FEATURES, part.T, strict=True))))
            copy.write(binary.TRAILER)
        connection.execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id)".encode())


def make_large(url: str, rows: int) -> None:
    """A table of four times the rows."""
    with psycopg.connect(url) as connection:
        select = f"SELECT id + copy * {rows} AS id, {', '.join(FEATURES)} FROM {TABLE}, generate_series(0, 3) AS copy"
        connection.execute(f"CREATE TABLE {LARGE} AS {select}".encode())
        connection.execute(f"ALTER TABLE {LARGE} ADD PRIMARY KEY (id)".encode())


def make_changing(url: str) -> None:
    """The same rows with the time of their last change, a second apart and all in the past, and an index on it."""
    with psycopg.connect(url) as connection:
        updated_at = "timestamptz '2024-01-01' + id * interval '1 second' AS updated_at"
        connection.execute(f"CREATE TABLE {CHANGING} AS SELECT *, {updated_at} FROM {TABLE}".encode())
        connection.execute(f"ALTER TABLE {CHANGING} ADD PRIMARY KEY (id)".encode())
        connection.execute(f"CREATE INDEX ON {CHANGING} (updated_at)".encode())


def change(url: str, table: str, random: np.random.Generator, *, also: str = "") -> None:
    """Change all features of 1 % of the rows, drawn at random. also: further assignments."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0]
        keys = random.choice(rows, max(1, rows // 100), replace=False)
        values = ", ".join(f"{name} = -{name}" for name in FEATURES)
        connection.execute(f"UPDATE {table} SET {values}{also} WHERE id = ANY(%s)".encode(), [keys.tolist()])
