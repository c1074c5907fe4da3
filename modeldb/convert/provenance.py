"""Where a model comes from: versions of the libraries and the estimator in a few words."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

LIBRARIES = {
    "modeldb": "modeldb",
    "numpy": "numpy",
    "scikit-learn": "sklearn",
    "onnx": "onnx",
    "skl2onnx": "skl2onnx",
    "onnxruntime": "onnxruntime",
    "pandas": "pandas",
}
BOOSTERS = {"xgboost": ("xgboost", "xgboost-cpu"), "lightgbm": ("lightgbm",)}
LONGEST = 600


def provenance(model: Any, foreign: tuple[str, ...] = ()) -> dict[str, Any]:
    """Versions, the estimator's class and a short representation; ``foreign`` are the steps that skl2onnx converted."""
    versions = {"python": platform.python_version()}
    for distribution in LIBRARIES:
        if found := version(distribution):
            versions[distribution] = found
    text = short(model)
    for library, distributions in BOOSTERS.items():
        if uses(model, library):
            found = next((v for v in map(version, distributions) if v), None)
            versions |= {library: found} if found else {}
    kind = type(model)
    facts: dict[str, Any] = {"versions": versions, "estimator": f"{kind.__module__}.{kind.__qualname__}", "repr": text}
    return facts | ({"converted_by_skl2onnx": sorted(set(foreign))} if foreign else {})


def version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def short(model: Any) -> str:
    text = " ".join(repr(model).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def uses(value: Any, library: str, depth: int = 4) -> bool:
    """Whether a model is of a library, or holds an estimator that is."""
    if type(value).__module__.split(".")[0] == library:
        return True
    if depth == 0:
        return False
    if isinstance(value, list | tuple):
        return any(uses(item, library, depth - 1) for item in value[:50])
    held = getattr(value, "__dict__", {}) if hasattr(value, "fit") else {}
    return any(uses(item, library, depth - 1) for item in held.values())
