"""The fingerprint of a sample: enough of each feature's distribution to tell later whether the data has drifted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from modeldb.convert.sample import Sample, absent

Array = np.ndarray[Any, Any]
QUANTILES = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
BINS = 20
TOP = 1000


def fingerprint(sample: Sample, kept: list[int]) -> dict[str, Any]:
    """Row count, and per feature its type, counts, moments, quantiles and histogram, or its categories. JSON-safe."""
    features = {sample.names[j]: describe(sample.types[j], sample.columns[j]) for j in kept}
    return {"rows": len(sample), "features": features}


def describe(kind: str, column: Array) -> dict[str, Any]:
    missing = absent(column)
    count = int((~missing).sum())
    facts: dict[str, Any] = {
        "type": kind,
        "count": count,
        "missing": int(missing.sum()),
        "missing_share": float(missing.mean()),
    }
    present = column[~missing]
    return facts | (categories(kind, present) if kind in ("text", "bool") else numbers(present))


def categories(kind: str, present: Array) -> dict[str, Any]:
    """Counts of the values, the most frequent ones by name."""
    texts = [str(v) if kind == "text" else ("true" if v else "false") for v in present.tolist()]
    counts = Counter(texts)
    top = dict(counts.most_common(TOP))
    return {"categories": top, "other": len(texts) - sum(top.values()), "distinct": len(counts)}


def numbers(present: Array) -> dict[str, Any]:
    """Moments, quantiles and an equal-width histogram of the finite values; infinities are only counted."""
    values = present.astype(np.float64)
    finite = values[np.isfinite(values)]
    facts: dict[str, Any] = {"infinite": len(values) - len(finite)}
    if not len(finite):
        return facts | {"mean": None, "std": None, "min": None, "max": None, "quantiles": {}, "histogram": None}
    low, high = float(finite.min()), float(finite.max())
    with np.errstate(over="ignore", invalid="ignore"):
        moments = {"mean": _safe(finite.mean()), "std": _safe(finite.std()), "min": low, "max": high}
        quantiles = {repr(q): _safe(v) for q, v in zip(QUANTILES, np.quantile(finite, QUANTILES), strict=True)}
    return facts | moments | {"quantiles": quantiles, "histogram": histogram(finite, low, high)}


def histogram(finite: Array, low: float, high: float) -> dict[str, Any] | None:
    if not np.isfinite(high - low):
        return None
    if low == high:
        return {"edges": [low, high], "counts": [len(finite)]}
    try:
        counts, edges = np.histogram(finite, bins=BINS)
    except ValueError:  # a range too narrow for so many bins
        counts, edges = np.histogram(finite, bins=1)
    return {"edges": [float(e) for e in edges], "counts": [int(c) for c in counts]}


def _safe(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
