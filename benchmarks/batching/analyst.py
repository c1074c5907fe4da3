"""What most people write without modeldb: pandas.read_sql, the estimator, DataFrame.to_sql."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from batching.subject import Subject
from modeldb.database import Database

WAY = "pandas"
CHUNK = 10_000


def score(db: Database, subject: Subject, estimator: Any, features: Sequence[str]) -> None:
    """Score a whole table into a new one."""
    rows = pd.read_sql(f"SELECT id, {', '.join(features)} FROM {subject.table}", db.engine)
    probabilities = estimator.predict_proba(rows[list(features)].to_numpy())
    scored = pd.DataFrame(
        {
            "id": rows["id"],
            "prediction": estimator.classes_[probabilities.argmax(axis=1)],
            "probability": probabilities[:, 1],
        }
    )
    scored.to_sql(subject.target(WAY), db.engine, index=False, if_exists="replace", chunksize=CHUNK)
