"""Ready ONNX models: without an estimator to compare with, they are inspected, bound to the sample, and run on it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modeldb import artifact as artifacts
from modeldb.convert import Converted
from modeldb.convert.fingerprint import fingerprint
from modeldb.convert.parity import DOUBLE_TOLERANCE, TOLERANCE
from modeldb.convert.provenance import provenance
from modeldb.convert.reference import Reference
from modeldb.convert.sample import read
from modeldb.convert.smoke import smoke
from modeldb.errors import InvalidArtifact, UnsupportedEstimator


def is_onnx(model: Any) -> bool:
    """Whether ``model`` is ONNX: bytes, a path, or a ModelProto."""
    return isinstance(model, bytes | bytearray | memoryview | str | os.PathLike) or (
        type(model).__name__ == "ModelProto" and hasattr(model, "SerializeToString")
    )


def load(model: Any, name: str) -> bytes:
    """The model's bytes. Raises UnsupportedEstimator (MD301) and InvalidArtifact (MD303)."""
    if isinstance(model, bytes | bytearray | memoryview):
        return bytes(model)
    if hasattr(model, "SerializeToString"):
        data: bytes = model.SerializeToString()
        return data
    path = Path(model)
    if path.suffix != ".onnx":
        raise UnsupportedEstimator(
            f"{name} is the path {str(path)!r}, which does not end in .onnx",
            hint="Pickles and the like run code when they are opened and are never read: pass the estimator itself.",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArtifact(f"{name}: {path} cannot be read: {error.strerror}") from None


def convert(
    model: Any,
    sample: Any,
    feature_names: Sequence[str] | None,
    task: str | None,
    classes: Sequence[Any] | None,
    name: str,
) -> Converted:
    """See modeldb.convert.convert."""
    from modeldb.runtime import Model

    data = load(model, name)
    proto = artifacts.inspect(data)
    origin = provenance(proto) | {"producer": f"{proto.producer_name} {proto.producer_version}".strip()}
    if sample is None:
        signature = artifacts.complete(proto, _named(proto, feature_names) | _told(task, classes))
        artifacts.check_fit(proto, signature)
        Model(data, signature)
        return Converted(data, signature, {}, {"candidate": "given as ONNX", "rows": 0}, {}, origin)
    rows = read(sample, None, feature_names)
    description: dict[str, Any] = {
        "features": [_feature(feature) for feature in rows.features],
    } | _told(task, classes)
    signature = artifacts.complete(proto, description)
    artifacts.check_fit(proto, signature)
    thin = rows.thinned()
    predicted = Model(data, signature).predict(thin.columns)
    labels = None if predicted.labels is None else np.asarray(predicted.labels, dtype=object)
    expected = Reference(labels, predicted.values, predicted.probabilities)
    tolerance = DOUBLE_TOLERANCE if signature.precision == "float64" else TOLERANCE
    kept = list(range(len(rows.names)))
    return Converted(
        artifact=data,
        signature=signature,
        smoke=smoke(thin, expected, kept, tolerance),
        parity={"candidate": "given as ONNX", "rows": len(thin), "compared_with": None},
        fingerprint=fingerprint(rows, kept),
        provenance=origin,
    )


def _feature(feature: Any) -> dict[str, Any]:
    entry = {"name": feature.name, "type": feature.type, "nullable": feature.nullable}
    return entry | ({"missing": ""} if feature.type == "text" and feature.nullable else {})


def _told(task: str | None, classes: Sequence[Any] | None) -> dict[str, Any]:
    return {"task": task, "classes": None if classes is None else list(classes)}


def _named(proto: Any, feature_names: Sequence[str] | None) -> dict[str, Any]:
    """The features of a graph without a sample: one per value that it takes, of its input's type."""
    found: list[dict[str, Any]] = []
    for input_name, dtype, shape in artifacts.graph_inputs(proto):
        width = math.prod(dimension or 1 for dimension in shape)
        kind = _TYPES.get(dtype, "float8")
        names = [input_name] if width == 1 else [f"{input_name}_{i}" for i in range(width)]
        found += [{"name": name, "type": kind} for name in names]
    if feature_names is not None:
        kinds = [feature["type"] for feature in found]
        if len(kinds) != len(feature_names) and len(set(kinds)) == 1:  # a free dimension takes as many as are named
            kinds = kinds[:1] * len(feature_names)
        found = [{"name": str(name), "type": kind} for name, kind in zip(feature_names, kinds, strict=False)]
    return {"features": found}


_TYPES = {"string": "text", "int64": "int8", "int32": "int8", "bool": "bool"}
