"""Smoke rows: some of the sample, and what the estimator says of them, replayed in the server before a promotion."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert.reference import Reference, plain
from modeldb.convert.sample import Sample, absent

Array = np.ndarray[Any, Any]
ROWS = 20
MISSING = 5


def smoke(sample: Sample, expected: Reference, kept: list[int], tolerance: float) -> dict[str, Any]:
    """About twenty rows, spread over the predictions, some with missing values where there are any."""
    chosen = choose(sample, expected, kept)
    columns = [sample.columns[j] for j in kept]
    rows = [[json_value(column[i]) for column in columns] for i in chosen]
    answers: dict[str, Any] = {}
    if expected.labels is not None:
        answers["labels"] = [json_value(v) for v in expected.labels[chosen]]
    if expected.values is not None:
        answers["values"] = [json_value(v) for v in expected.values[chosen]]
    if expected.probabilities is not None:
        parts = expected.probabilities
        several = isinstance(parts, list)
        answers["probabilities"] = (
            [json_value(part[chosen]) for part in parts] if several else json_value(parts[chosen])
        )
    return {"rows": rows, "expected": answers, "tolerance": tolerance}


def choose(sample: Sample, expected: Reference, kept: list[int]) -> Array:
    """Row numbers: evenly spaced through the rows ordered by prediction, and some that have missing values."""
    answers = expected.labels if expected.labels is not None else expected.values
    assert answers is not None
    key = np.asarray(answers).reshape(len(sample), -1)[:, 0]
    order = np.argsort([str(v) for v in key] if key.dtype == object else key, kind="stable")
    spread = order[np.unique(np.linspace(0, len(order) - 1, ROWS).astype(np.int64))]
    gaps = np.zeros(len(sample), dtype=bool)
    for j in kept:
        gaps |= absent(sample.columns[j])
    extra = [int(i) for i in np.flatnonzero(gaps) if i not in set(spread.tolist())][:MISSING]
    clean = [int(i) for i in spread if not infinite(sample, int(i), kept)]
    extra = [i for i in extra if not infinite(sample, i, kept)]
    return np.array(sorted([*clean, *extra]), dtype=np.int64)


def infinite(sample: Sample, row: int, kept: list[int]) -> bool:
    return any(
        isinstance(sample.columns[j][row], float | np.floating) and np.isinf(sample.columns[j][row]) for j in kept
    )


def json_value(value: Any) -> Any:
    """A value as JSON holds it: NaN becomes null; lists for arrays."""
    if isinstance(value, np.ndarray):
        return [json_value(item) for item in value]
    value = plain(value) if value is not None else None
    return None if isinstance(value, float) and not np.isfinite(value) else value
