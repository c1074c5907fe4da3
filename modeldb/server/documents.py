"""Rows as JSON, an object by name or an array by position; and predictions as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from modeldb.errors import MalformedInput, MissingFeature, WrongType
from modeldb.runtime import Prediction
from modeldb.server import values
from modeldb.server.records import count_features
from modeldb.signature import Feature, Signature, class_text


class JsonReader:
    """Takes the features' values out of a JSON document."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = features
        self.converters = [values.converter(feature) for feature in features]

    def read(self, text: bytes) -> Sequence[Any] | None:
        """The features' values in order, None for null; None for the document null.

        Raises MalformedInput (MD210), MissingFeature (MD202), WrongFeatureCount (MD201), WrongType (MD203).
        """
        try:
            document = orjson.loads(text if text.isascii() else values.text(text))
        except orjson.JSONDecodeError as error:
            raise MalformedInput(
                f"the features are not valid JSON: {error}",
                hint="A text is read as JSON: an object by feature name, or an array by position.",
            ) from None
        if document is None:
            return None
        return self.convert(self.in_order(document))

    def in_order(self, document: Any) -> Sequence[Any]:
        if isinstance(document, list):
            count_features(self.features, len(document))
            return document
        if not isinstance(document, dict):
            raise MalformedInput(f"the features are the JSON value {document!r:.60}, not an object or an array")
        try:
            return [document[feature.name] for feature in self.features]
        except KeyError:
            return self._by_other_names(document)

    def _by_other_names(self, document: dict[str, Any]) -> Sequence[Any]:
        """Folded names match, as in a table's row."""
        folded: dict[str, list[str]] = {}
        for name in document:
            folded.setdefault(name.lower(), []).append(name)
        found = []
        for feature in self.features:
            alike = [feature.name] if feature.name in document else folded.get(feature.name.lower(), [])
            if len(alike) != 1:
                raise MissingFeature(
                    f"feature {feature.name!r} is not in the JSON object",
                    detail=f"The object has: {', '.join(list(document)[:50])}.",
                    hint=f'Add it; a missing value is written "{feature.name}": null.',
                )
            found.append(document[alike[0]])
        return found

    def convert(self, row: Sequence[Any]) -> Sequence[Any]:
        try:
            return [
                None if value is None else convert(value) for convert, value in zip(self.converters, row, strict=True)
            ]
        except OverflowError as error:
            raise WrongType(f"a number is too large: {error}") from None


def describe(signature: Signature, found: Prediction, model: str, version: str) -> str:
    """The document of predict_json(): what the model says of one row."""
    label = None if found.labels is None else _plain(found.labels[0])
    value = label if found.values is None else _plain(found.values[0])
    document = {
        "model": model,
        "version": int(version),
        "label": label,
        "value": value if signature.numeric or found.values is not None else None,
        "probabilities": _by_class(signature, found.probabilities),
        "outputs": {name: _first(output) for name, output in found.raw.items()},
    }
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()


def _by_class(signature: Signature, probabilities: Any) -> Any:
    if probabilities is None:
        return None
    targets = probabilities if isinstance(probabilities, list) else [probabilities]
    classes = (signature.classes or ()) if signature.targets > 1 else [signature.classes or ()]
    named = [
        {class_text(label): float(p) for label, p in zip(labels, part[0], strict=False)}
        for labels, part in zip(classes, targets, strict=False)
    ]
    return named if signature.targets > 1 else named[0]


def _plain(value: Any) -> Any:
    """A numpy scalar or array as JSON has it."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _first(output: Any) -> Any:
    """The part of an output that belongs to the only row."""
    if isinstance(output, list):
        return [_first(part) if isinstance(part, np.ndarray) else part for part in output]
    return _plain(output[0]) if isinstance(output, np.ndarray) and output.ndim and len(output) == 1 else _plain(output)
