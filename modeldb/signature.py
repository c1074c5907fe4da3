"""The signature of a model: which features it takes, how they enter its graph, and what the graph gives back.

A signature is JSON in the database (``modeldb.model_version.signature``) and this class in Python. It is everything
that a server needs, besides the ONNX graph, to turn a row into a prediction:

features
    In the order of positional input. ``type`` is PostgreSQL's name of the feature's type: float8, float4, int8, bool or
    text; a column of any type that converts to it may be bound to it. ``nullable`` says that a missing
    value (NULL, NaN) is something the model can take. ``categories``, when given, are the only values that the encoder
    accepts. ``missing`` is the text that stands for a missing value inside the graph.
inputs
    The graph's inputs. ``features`` are positions in the list above: several for a matrix, one for a column.
    ``shape`` is that of one row; ``(k,)`` for a matrix of k columns.
task
    classification, regression, clustering, outlier or transformation.
classes
    Labels in the order of the probabilities (classification only); one list per target for multi-output classifiers.
outputs
    The names of the graph's outputs: ``label`` (a class, a cluster or +1/-1), ``probabilities`` and ``value``.
    ``label_index`` says that the label output holds positions in ``classes`` instead of the classes themselves.
targets
    The number of predictions per row: 1, or more for multi-output models and transformations.
finite
    Whether the model refuses infinities, as most of scikit-learn does.
precision
    float64 when the whole graph computes in double precision, else float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from modeldb.errors import SignatureMismatch

FEATURE_TYPES = ("float8", "float4", "int8", "bool", "text")
TENSOR_TYPES = ("float64", "float32", "int64", "int32", "bool", "string")
TASKS = ("classification", "regression", "clustering", "outlier", "transformation")

Label = str | int | float | bool


@dataclass(frozen=True)
class Feature:
    name: str
    type: str = "float8"
    nullable: bool = False
    categories: tuple[str, ...] | tuple[float, ...] | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Input:
    name: str
    dtype: str
    features: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Outputs:
    label: str | None = None
    probabilities: str | None = None
    value: str | None = None
    label_index: bool = False


@dataclass(frozen=True)
class Signature:
    features: tuple[Feature, ...]
    inputs: tuple[Input, ...]
    task: str
    outputs: Outputs
    classes: tuple[Any, ...] | None = None
    targets: int = 1
    finite: bool = True
    precision: str = "float32"

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; ``from_json`` is its inverse. What is not set is left out."""
        data: dict[str, Any] = _strip(asdict(self))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Signature:
        """Read a complete signature. Raises SignatureMismatch (MD305) when it is malformed."""
        try:
            return cls(
                features=features_from_json(data["features"]),
                inputs=tuple(
                    Input(i["name"], i["dtype"], tuple(i["features"]), tuple(i["shape"])) for i in data["inputs"]
                ),
                task=data["task"],
                outputs=Outputs(**data["outputs"]),
                classes=_freeze(data.get("classes")),
                targets=data.get("targets", 1),
                finite=data.get("finite", True),
                precision=data.get("precision", "float32"),
            )
        except (KeyError, TypeError) as error:
            raise SignatureMismatch(f"the signature is malformed: {type(error).__name__} {error}") from None

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]

    @property
    def numeric(self) -> bool:
        """Whether predict() gives a number: every task but a classification with text labels, one target."""
        if self.targets != 1:
            return False
        return self.task != "classification" or not any(isinstance(c, str) for c in self.classes or ("",))


def features_from_json(data: list[Any]) -> tuple[Feature, ...]:
    """Features from JSON: objects with at least a name, or bare names (then float8 and never missing)."""
    items = [{"name": item} if isinstance(item, str) else dict(item) for item in data]
    return tuple(Feature(**{**item, "categories": _freeze(item.get("categories"))}) for item in items)


def check(signature: Signature) -> None:
    """Raise SignatureMismatch (MD305) unless the parts of a signature agree with each other."""
    for what, value, wanted in _typed(signature):
        if not wanted(value):
            raise SignatureMismatch(f"the signature is malformed: {what} is {value!r:.60}")
    names = signature.names
    problems = [
        (not names, "it has no features"),
        (len(set(names)) != len(names), f"feature names repeat: {', '.join(_repeated(names))}"),
        (signature.task not in TASKS, f"task {signature.task!r} is none of {', '.join(TASKS)}"),
        (not signature.inputs, "it has no inputs"),
        (signature.task == "classification" and not signature.classes, "a classification needs its classes"),
        (signature.targets < 1, "targets must be at least 1"),
        (signature.precision not in ("float64", "float32"), "precision is float64 or float32"),
    ]
    for feature in signature.features:
        known = feature.type in FEATURE_TYPES
        problems.append((not known, f"feature {feature.name!r}: type {feature.type!r} is none of {FEATURE_TYPES}"))
        blind = feature.type == "text" and feature.nullable and feature.missing is None
        problems.append((blind, f"feature {feature.name!r}: a nullable text feature needs its 'missing' text"))
    for entry in signature.inputs:
        outside = any(not 0 <= position < len(names) for position in entry.features)
        problems.append((outside, f"input {entry.name!r}: a feature position is out of range"))
        if entry.dtype in ("int64", "int32", "bool") and not outside:
            lost = [
                signature.features[position].name
                for position in entry.features
                if signature.features[position].nullable
            ]
            problems.append((bool(lost), f"input {entry.name!r} is {entry.dtype}, so {lost} cannot be nullable"))
        problems.append((entry.dtype not in TENSOR_TYPES, f"input {entry.name!r}: dtype {entry.dtype!r} is unknown"))
    used = {position for entry in signature.inputs for position in entry.features}
    problems.append((len(used) != len(names), "some features enter no input of the graph"))
    for wrong, why in problems:
        if wrong:
            raise SignatureMismatch(f"the signature is malformed: {why}")


def _typed(signature: Signature) -> Iterator[tuple[str, Any, Callable[[Any], bool]]]:
    """Each part with what it must be, because a signature may be written by hand: (what it is, its value, a test)."""
    for feature in signature.features:
        yield "the name of a feature", feature.name, _text
        of = f"of feature {feature.name!r}"
        yield f"nullable {of}", feature.nullable, _boolean
        yield f"missing {of}", feature.missing, lambda value: value is None or isinstance(value, str)
        yield f"categories {of}", feature.categories, lambda value: value is None or _all(value, _category)
    for entry in signature.inputs:
        yield "the name of an input", entry.name, _text
        yield f"features of input {entry.name!r}", entry.features, lambda value: _all(value, _whole)
        yield f"shape of input {entry.name!r}", entry.shape, lambda value: _all(value, _whole)
    for name, value in vars(signature.outputs).items():
        yield f"output {name}", value, _boolean if name == "label_index" else lambda v: v is None or _text(v)
    yield "targets", signature.targets, _whole
    yield "finite", signature.finite, _boolean
    label = _labels if _whole(signature.targets) and signature.targets > 1 else _label
    yield "classes", signature.classes, lambda value: value is None or _all(value, label)


def _all(value: Any, test: Callable[[Any], bool]) -> bool:
    return isinstance(value, tuple) and all(test(item) for item in value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _category(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _label(value: Any) -> bool:
    return isinstance(value, Label)


def _labels(value: Any) -> bool:
    return _all(value, _label)


def class_text(label: Label) -> str:
    """A class as SQL shows it: booleans as true and false, floats that are whole without their point."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _freeze(value: Any) -> Any:
    return tuple(_freeze(item) for item in value) if isinstance(value, list | tuple) else value


def _strip(value: Any) -> Any:
    """Drop unset keys and turn tuples into lists, as JSON has it."""
    if isinstance(value, dict):
        return {key: _strip(item) for key, item in value.items() if item is not None}
    return [_strip(item) for item in value] if isinstance(value, list | tuple) else value
