"""From a graph's outputs to arrays, one per column of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldb.errors import NoProbabilities, NotANumber, SignatureMismatch, UnknownClass
from modeldb.runtime import Array
from modeldb.server.scorer import Scorer
from modeldb.signature import Signature, class_text


@dataclass
class Answers:
    """What a model says of n rows; None for what its task does not have.

    numbers: (n,) float64. labels: (n,) texts, quoted as elements of an array literal. probabilities: (n,) float64, of
    the label or of the class asked for.
    """

    numbers: Array | None
    labels: Array | None
    probabilities: Array | None


def shape(signature: Signature) -> list[str]:
    """Which of prediction, label and probability a model's predictions have. Raises NotANumber (MD207)."""
    if signature.targets != 1:
        raise NotANumber(
            f"the model predicts {signature.targets} values per row", hint="Select predict_json(model, row)."
        )
    label, classified = signature.outputs, signature.task == "classification"
    there = {"prediction": signature.numeric, "label": classified, "probability": bool(label.probabilities)}
    return [name for name, has in there.items() if has]


def class_position(scorer: Scorer, name: str | None) -> int | None:
    """The position of the class whose probability is wanted. Raises NoProbabilities (MD208), UnknownClass (MD209)."""
    if name is None:
        return None
    if scorer.signature.outputs.probabilities is None:
        raise NoProbabilities(f"the model is a {scorer.signature.task} and gives no probabilities")
    if name not in scorer.class_positions:
        known = ", ".join(list(scorer.class_positions)[:50])
        raise UnknownClass(f"there is no class {name!r}", hint=f"The classes are: {known}.")
    return scorer.class_positions[name]


def interpret(signature: Signature, raw: dict[str, Any], rows: int, wanted: int | None) -> Answers:
    """The graph's outputs for n rows. wanted: the position of the class whose probability is asked for.

    Raises SignatureMismatch (MD305).
    """
    try:
        return _interpret(signature, raw, rows, wanted)
    except (IndexError, ValueError, TypeError) as error:
        raise SignatureMismatch(f"the model's outputs do not fit its signature: {error}") from None
    except KeyError as error:
        raise SignatureMismatch(f"the model gives {error}, which is none of its classes") from None


def _interpret(signature: Signature, raw: dict[str, Any], rows: int, wanted: int | None) -> Answers:
    names = signature.outputs
    if names.value is not None:
        return Answers(np.asarray(raw[names.value], dtype=np.float64).reshape(rows), None, None)
    if signature.task != "classification":
        return Answers(np.asarray(raw[names.label or ""], dtype=np.float64).reshape(rows), None, None)
    matrix = None
    if names.probabilities is not None:
        matrix = np.asarray(raw[names.probabilities], dtype=np.float64).reshape(rows, -1)
    positions = _positions(signature, raw, matrix, rows)
    texts = np.array([_quoted(class_text(label)) for label in signature.classes or ()], dtype=object)
    numbers = np.array(signature.classes, dtype=np.float64)[positions] if signature.numeric else None
    probabilities = None
    if matrix is not None:
        probabilities = matrix[np.arange(rows), positions] if wanted is None else matrix[:, wanted]
    return Answers(numbers, texts[positions], probabilities)


def _positions(signature: Signature, raw: dict[str, Any], matrix: Array | None, rows: int) -> Array:
    """(n,) int64: where the labels stand in the signature's classes."""
    names = signature.outputs
    if names.label is None:
        assert matrix is not None
        found: Array = matrix.argmax(axis=1)
        return found
    labels = np.asarray(raw[names.label]).reshape(rows)
    if names.label_index:
        return labels.astype(np.int64)
    known = {label: position for position, label in enumerate(signature.classes or ())}
    return np.array([known[label] for label in labels.tolist()], dtype=np.int64)


def labels_literal(quoted: Array, answered: Array | None) -> str:
    """A text[] literal of texts that are quoted already."""
    if answered is not None:
        spread = np.full(len(answered), "NULL", dtype=object)
        spread[answered] = quoted
        quoted = spread
    return "{" + ",".join(quoted.tolist()) + "}"


def texts_literal(found: Sequence[str | None]) -> str:
    """A text[] literal."""
    return "{" + ",".join(map(_quoted, found)) + "}"


def _quoted(text: str | None) -> str:
    """An element of an array literal."""
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
