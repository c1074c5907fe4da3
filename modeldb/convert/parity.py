"""The proof: a candidate's answers against the estimator's, row by row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modeldb.convert.reference import Reference
from modeldb.convert.sample import Sample
from modeldb.errors import ParityFailure
from modeldb.runtime import Prediction

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-5
DOUBLE_TOLERANCE = 1e-9
TIE = 1e-12
FLOOR = 1e-3  # of the outputs' typical magnitude: below it an error counts as absolute


@dataclass(frozen=True)
class Comparison:
    """How far a candidate is from its estimator.

    worst_relative: the larger of the worst relative error of the numbers and the worst absolute one of the
    probabilities. mismatches: labels that differ. ties: labels that differ though the estimator itself gives both the
    same score to twelve digits, which is not counted. row, expected, got: the worst row.
    """

    rows: int
    mismatches: int
    ties: int
    worst_relative: float
    worst_absolute: float
    worst_probability: float
    row: int
    expected: Any
    got: Any

    @property
    def accepted(self) -> bool:
        return self.mismatches == 0 and self.worst_relative <= TOLERANCE

    @property
    def double(self) -> bool:
        return self.mismatches == 0 and self.worst_relative < DOUBLE_TOLERANCE

    @property
    def rank(self) -> tuple[int, float]:
        return (self.mismatches, self.worst_relative)

    def report(self) -> dict[str, Any]:
        numbers = asdict(self)
        keep = ("rows", "mismatches", "ties", "worst_relative", "worst_absolute", "worst_probability")
        return {key: _json_number(numbers[key]) for key in keep}


def _json_number(value: Any) -> Any:
    return value if isinstance(value, int) or np.isfinite(value) else str(value)


def compare(expected: Reference, got: Prediction) -> Comparison:
    """Compare all that the estimator said with what the graph says."""
    errors: list[tuple[Array, Array, Any, Any]] = []  # relative and absolute error per row, expected, got
    probability = 0.0
    if expected.values is not None:
        errors.append((*_relative(expected.values, got.values), expected.values, got.values))
    for theirs, ours in _probability_pairs(expected, got):
        error = _absolute(theirs, ours)
        probability = max(probability, float(error.max()))
        errors.append((error, error, theirs, ours))
    decision = got.raw.get("decision")
    if expected.decision is not None and decision is not None and np.size(decision) == expected.decision.size:
        ours = np.asarray(decision, dtype=np.float64).reshape(expected.decision.shape)
        errors.append((*_relative(expected.decision, ours, floor=1.0), expected.decision, ours))
    mismatch, ties = _labels(expected, got)
    row, pair = _worst(mismatch, errors, expected, got)
    return Comparison(
        rows=len(mismatch),
        mismatches=int(mismatch.sum()),
        ties=ties,
        worst_relative=max((float(relative.max()) for relative, *_ in errors), default=0.0),
        worst_absolute=max((float(absolute.max()) for _, absolute, *_ in errors), default=0.0),
        worst_probability=probability,
        row=row,
        expected=pair[0],
        got=pair[1],
    )


def _relative(theirs: Array, ours: Any, floor: float = FLOOR) -> tuple[Array, Array]:
    """Relative and absolute error per row. Below ``floor`` times the column's mean it is measured against that."""
    a = theirs.reshape(len(theirs), -1)
    b = np.asarray(ours, dtype=np.float64).reshape(a.shape)
    with np.errstate(invalid="ignore"):
        absolute = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    absolute = np.where(np.isnan(absolute), np.inf, absolute)
    finite = np.where(np.isfinite(a), np.abs(a), 0.0)
    least = np.maximum(finite.mean(axis=0, keepdims=True) * floor, 1e-12)
    return (absolute / np.maximum(finite, least)).max(axis=1), absolute.max(axis=1)


def _absolute(theirs: Array, ours: Array) -> Array:
    if theirs.shape != ours.shape:
        return np.full(len(theirs), np.inf)
    error = np.abs(theirs - ours)
    both = np.isnan(theirs) & np.isnan(ours)
    worst: Array = np.where(both, 0.0, np.where(np.isnan(error), np.inf, error)).max(axis=1)
    return worst


def _probability_pairs(expected: Reference, got: Prediction) -> list[tuple[Array, Array]]:
    theirs = expected.probabilities
    if theirs is None:
        return []
    ours = got.probabilities
    pairs = theirs if isinstance(theirs, list) else [theirs]
    if ours is None:
        return [(part, np.full_like(part, np.nan)) for part in pairs]
    return list(zip(pairs, ours if isinstance(ours, list) else [ours], strict=True))


def _labels(expected: Reference, got: Prediction) -> tuple[Array, int]:
    """Rows whose labels differ, and the number of those that are forgiven as ties."""
    if expected.labels is None:
        return np.zeros(len(expected.values if expected.values is not None else ()), dtype=bool), 0
    theirs = expected.labels.reshape(len(expected.labels), -1)
    ours = np.asarray(got.labels, dtype=object).reshape(theirs.shape)
    differs: Array = np.array([[a != b for a, b in zip(x, y, strict=True)] for x, y in zip(theirs, ours, strict=True)])
    mismatch: Array = np.asarray(differs.any(axis=1), dtype=bool)
    if not mismatch.any() or not isinstance(expected.probabilities, np.ndarray):
        return mismatch, 0
    ranked = np.sort(expected.probabilities, axis=1)
    tie = mismatch & (ranked[:, -1] - ranked[:, -2] < TIE) if ranked.shape[1] > 1 else np.zeros_like(mismatch)
    return mismatch & ~tie, int(tie.sum())


def _worst(mismatch: Array, errors: list[Any], expected: Reference, got: Prediction) -> tuple[int, tuple[Any, Any]]:
    if mismatch.any():
        row = int(mismatch.argmax())
        return row, (_plain(np.asarray(expected.labels, dtype=object)[row]), _plain(np.asarray(got.labels)[row]))
    if not errors:
        return 0, (None, None)
    relative, _, theirs, ours = max(errors, key=lambda entry: float(entry[0].max()))
    row = int(relative.argmax())
    return row, (_plain(theirs[row]), _plain(np.asarray(ours)[row]))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def failure(name: str, plan: str, worst: Comparison, sample: Sample, kept: list[str]) -> ParityFailure:
    """The error for a model that no candidate reproduces, with the worst row and both values."""
    row = worst.row
    features = ", ".join(
        f"{feature}={_plain(column[row])!r}"
        for feature, column in zip(sample.names, sample.columns, strict=True)
        if feature in kept
    )
    if worst.mismatches:
        what = f"{worst.mismatches} of {worst.rows} labels differ"
    else:
        what = f"the worst error is {worst.worst_relative:.3g}, above {TOLERANCE:g}"
    return ParityFailure(
        f"{name}: the converted model does not reproduce the estimator on the sample: {what}",
        detail=f"Row {row} of the sample ({features}): the estimator gives {worst.expected!r}, "
        f"the best graph ({plan}) {worst.got!r}.",
    )
