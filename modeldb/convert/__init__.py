"""From a fitted estimator to an artifact and its signature, proven on the caller's sample.

Several graphs are tried (candidates.py), each is run by the very code that the server runs (runtime.Model) and compared
with the estimator row by row (parity.py); the most faithful is kept, and none is where none reproduces the estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Converted", "convert"]


@dataclass(frozen=True)
class Converted:
    """A model ready to be registered.

    artifact: ONNX. smoke: {"rows", "expected", "tolerance"}, a few rows by position and the estimator's answers.
    parity: how the candidates compare with the estimator. fingerprint: the distribution of the sample's features.
    provenance: library versions and the estimator in words.
    """

    artifact: bytes
    signature: Any
    smoke: dict[str, Any]
    parity: dict[str, Any]
    fingerprint: dict[str, Any]
    provenance: dict[str, Any]


def convert(
    model: Any,
    sample: Any,
    *,
    feature_names: Sequence[str] | None = None,
    task: str | None = None,
    classes: Sequence[Any] | None = None,
    name: str = "the model",
) -> Converted:
    """Convert a fitted estimator, or check a ready ONNX model, on a sample of training rows.

    model: an estimator or Pipeline of scikit-learn, xgboost or lightgbm; or ONNX as bytes, a path ending in .onnx or a
    ModelProto, for which ``task`` and ``classes`` may be told.
    sample: DataFrame (n, k), array (n, k), list of rows, or n texts; its column names, ``feature_names``, the names the
    model was fitted with, or x0, x1... name the features. NaN, None and NA are missing values. ONNX does without a
    sample: then the features are named by ``feature_names`` or after the graph's inputs, are never missing, and there
    are no smoke rows.
    Raises UnsupportedEstimator (MD301), ParityFailure (MD302), InvalidSample (MD308); for ONNX also InvalidArtifact
    (MD303), UnsafeArtifact (MD304), SignatureMismatch (MD305) and LoadFailed (MD402).
    """
    from modeldb.convert import estimators, ready
    from modeldb.errors import InvalidSample

    if ready.is_onnx(model):
        return ready.convert(model, sample, feature_names, task, classes, name)
    if sample is None:
        raise InvalidSample(f"{name}: no sample was given, which the conversion is to be proven on")
    return estimators.convert(model, sample, feature_names, name)
