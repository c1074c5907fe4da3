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

ROWS = 3
MOST = 40  # features probed one by one


def takes_infinities(model: Any, candidate: Candidate, sample: Sample, task: str) -> bool:
    """True when estimator and graph take +-inf in every numeric feature, and agree."""
    from modeldb.runtime import Model

    floats = [j for j, kind in enumerate(sample.types) if kind in ("float8", "float4")]
    kept = [sample.names.index(name) for name in candidate.signature.names]
    probed = [j for j in floats if j in kept][:MOST]
    if not probed or (not isinstance(sample.rows, np.ndarray) and not hasattr(sample.rows, "iloc")):
        return False
    runner = Model(candidate.artifact, replace(candidate.signature, finite=False))
    base = sample.at(np.arange(min(ROWS, len(sample))))
    try:
        for j in probed:
            for value in (np.inf, -np.inf):
                changed = _with(base, j, value)
                expected = consult(model, changed.rows, task, "")
                got = runner.predict([changed.columns[i] for i in kept])
                if not compare(expected, got).accepted:
                    return False
    except (ModeldbError, ValueError):
        return False
    return True


def _with(sample: Sample, feature: int, value: float) -> Sample:
    rows = sample.rows.copy()
    if hasattr(rows, "iloc"):
        rows[rows.columns[[str(c) for c in rows.columns].index(sample.names[feature])]] = value
    else:
        rows[:, feature] = value
    columns = list(sample.columns)
    columns[feature] = np.full_like(columns[feature], value)
    return replace(sample, rows=rows, columns=columns)
