"""Whether a model takes infinities: the estimator is asked, and the graph must agree with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modeldb.convert.candidates import Candidate
from modeldb.convert.parity import compare
from modeldb.convert.reference import consult
from modeldb.convert.sample import Sample
from modeldb.errors import ModeldbError

MOST = 200  # features probed


def takes_infinities(model: Any, candidate: Candidate, sample: Sample, task: str) -> bool:
    """True when estimator and graph take +-inf in every numeric feature, and agree."""
    from modeldb.runtime import Model

    kept = [sample.names.index(name) for name in candidate.signature.names]
    probed = [j for j in kept if sample.types[j] in ("float8", "float4")][:MOST]
    if not probed or not (isinstance(sample.rows, np.ndarray) or hasattr(sample.rows, "iloc")):
        return False
    changed = with_infinities(sample, probed)
    runner = Model(candidate.artifact, replace(candidate.signature, finite=False))
    try:
        expected = consult(model, changed.rows, task, "")
        got = runner.predict([changed.columns[j] for j in kept])
        return compare(expected, got).accepted
    except (ModeldbError, ValueError):
        return False


def with_infinities(sample: Sample, probed: list[int]) -> Sample:
    """Two copies of the first row per feature: with inf and with -inf in its place."""
    changed = sample.at(np.zeros(2 * len(probed), dtype=np.int64))
    rows = changed.rows.copy()
    columns = list(changed.columns)
    for place, j in enumerate(probed):
        span = slice(2 * place, 2 * place + 2)
        columns[j] = columns[j].copy()
        columns[j][span] = [np.inf, -np.inf]
        if hasattr(rows, "iloc"):
            rows.iloc[span, _position(rows, sample.names[j])] = [np.inf, -np.inf]
        else:
            rows[span, j] = [np.inf, -np.inf]
    return replace(changed, rows=rows, columns=columns)


def _position(frame: Any, name: str) -> int:
    """Where a feature's column is in the caller's DataFrame, whose columns may be more or in another order."""
    return [c if isinstance(c, str) else f"x{c}" for c in frame.columns].index(name)
