"""An artifact and arrays in, arrays out. No SQL here: the same code answers in the server and in the client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort

from modeldb.errors import LoadFailed, NonFiniteFeature, NullFeature, RunFailed, UnseenCategory, WrongType
from modeldb.signature import Feature, Input, Signature

Array = np.ndarray[Any, Any]
ort.set_default_logger_severity(4)  # errors arrive as exceptions; the log would go to the server's stderr
NOWHERE = "/nonexistent/modeldb-models-have-no-external-data"
DTYPES = {name: np.dtype(name) for name in ("float64", "float32", "int64", "int32", "bool")} | {
    "string": np.dtype(object)
}


@dataclass
class Prediction:
    """What a model says of n rows.

    labels: (n,) or (n, targets) classes, clusters or +1/-1, as Python objects or numbers; None for regressions.
    values: (n,) or (n, targets) float64; None where there are labels.
    probabilities: (n, classes) float64, in the order of the signature's classes; a list of such arrays, one per
    target, for multi-output classifiers; None where the model has none.
    raw: every output of the graph by name.
    """

    labels: Array | None
    values: Array | None
    probabilities: Array | list[Array] | None
    raw: dict[str, Any] = field(default_factory=dict)


def load_options() -> ort.SessionOptions:
    """Options of a single-threaded session that reads no files.

    Threads would take signals that are meant for PostgreSQL's main thread, and external tensors could read the server's
    files: the first are never started, the second point at a folder that does not exist. Without the arena, memory that
    a large model needed once goes back.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what artifact.inspect() has looked at
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NOWHERE)
    return options


def open_session(artifact: bytes, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """An onnxruntime session. Raises LoadFailed (MD402)."""
    try:
        session = ort.InferenceSession(artifact, options or load_options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  (onnxruntime's errors have no common base)
        raise LoadFailed(f"onnxruntime {ort.__version__} cannot load the model: {first_line(error)}") from None
    session._model_bytes = None  # it would be kept for other providers, and double the memory
    return session


def first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


class Model:
    """A session and its signature: ``predict`` takes one array per feature."""

    def __init__(self, artifact: bytes | ort.InferenceSession, signature: Signature) -> None:
        self.session = open_session(artifact) if isinstance(artifact, bytes) else artifact
        self.signature = signature
        self.output_names = [output.name for output in self.session.get_outputs()]

    def predict(self, columns: list[Array], options: ort.RunOptions | None = None) -> Prediction:
        """Predict n rows.

        columns: per feature an array of n values: float64, float32, int64 or bool with NaN for missing numbers;
        object arrays of str with None for missing texts. They are checked first.
        Raises NullFeature (MD204), NonFiniteFeature (MD205), UnseenCategory (MD206), RunFailed (MD401).
        """
        check(self.signature, columns)
        return self.interpret(self.run(self.feeds(columns), options), len(columns[0]))

    def feeds(self, columns: list[Array]) -> dict[str, Array]:
        """The graph's inputs from one array per feature."""
        rounded = [_tensor_ready(f, c) for f, c in zip(self.signature.features, columns, strict=True)]
        return {entry.name: _assemble(entry, rounded) for entry in self.signature.inputs}

    def run(self, feeds: dict[str, Array], options: ort.RunOptions | None = None) -> dict[str, Any]:
        try:
            results = self.session.run(None, feeds, options)
        except Exception as error:  # noqa: BLE001
            raise RunFailed(f"onnxruntime could not run the model: {first_line(error)}") from None
        return dict(zip(self.output_names, results, strict=True))

    def interpret(self, raw: dict[str, Any], rows: int) -> Prediction:
        """Labels, values and probabilities from the graph's raw outputs."""
        names, signature = self.signature.outputs, self.signature
        probabilities = None if names.probabilities is None else _probabilities(raw[names.probabilities], signature)
        if names.value is not None:
            values = np.asarray(raw[names.value], dtype=np.float64).reshape(rows, -1)
            return Prediction(None, values[:, 0] if signature.targets == 1 else values, probabilities, raw)
        if names.label is None:
            assert isinstance(probabilities, np.ndarray)
            indexes = probabilities.argmax(axis=1)
            return Prediction(_classes(signature)[indexes], None, probabilities, raw)
        labels = np.asarray(raw[names.label]).reshape(rows, -1)
        if names.label_index:
            labels = _by_index(signature, labels.astype(np.int64))
        return Prediction(labels[:, 0] if signature.targets == 1 else labels, None, probabilities, raw)


def check(signature: Signature, columns: list[Array]) -> None:
    """Raise unless every value is one that the model can take; the message names the feature and the row."""
    for feature, column in zip(signature.features, columns, strict=True):
        if feature.type == "text":
            _check_text(feature, column)
        elif column.dtype.kind == "f":
            _check_number(signature, feature, column)
        elif column.dtype.kind not in "iub":
            raise WrongType(f"feature {feature.name!r} is {feature.type}, its column holds {column.dtype}")
        if feature.categories is not None and feature.type != "text":
            _check_categories(feature, column)


def _check_text(feature: Feature, column: Array) -> None:
    missing = np.array([value is None for value in column], dtype=bool)
    if missing.any() and not feature.nullable:
        raise NullFeature(f"feature {feature.name!r} is NULL in row {int(missing.argmax()) + 1}")
    if feature.categories is not None:
        known = set(feature.categories)
        for row, value in enumerate(column):
            if value is not None and value not in known:
                raise UnseenCategory(f"feature {feature.name!r} is {value!r} in row {row + 1}, an unseen category")


def _check_number(signature: Signature, feature: Feature, column: Array) -> None:
    missing = np.isnan(column)
    if missing.any() and not feature.nullable:
        raise NullFeature(f"feature {feature.name!r} is NULL or NaN in row {int(missing.argmax()) + 1}")
    if signature.finite and np.isinf(column).any():
        raise NonFiniteFeature(f"feature {feature.name!r} is infinite in row {int(np.isinf(column).argmax()) + 1}")


def _check_categories(feature: Feature, column: Array) -> None:
    """Numbers as categories: NaN, the missing one, is judged by ``nullable``."""
    rounded = column.astype(np.float32) if feature.type == "float4" else column
    unseen = ~np.isin(rounded, np.array(feature.categories, dtype=np.float64))
    if column.dtype.kind == "f":
        unseen &= ~np.isnan(column)
    if unseen.any():
        row = int(unseen.argmax())
        raise UnseenCategory(f"feature {feature.name!r} is {column[row]} in row {row + 1}, an unseen category")


def _tensor_ready(feature: Feature, column: Array) -> Array:
    """Round float4 features to float4 whatever the tensor; give a missing text the graph's own word for it."""
    if feature.type == "float4":
        return column.astype(np.float32)
    if feature.type == "text" and feature.nullable:
        return np.array([feature.missing if value is None else value for value in column], dtype=object)
    return column


def _assemble(entry: Input, columns: list[Array]) -> Array:
    dtype = DTYPES[entry.dtype]
    if len(entry.features) == 1:
        flat = columns[entry.features[0]].astype(dtype).reshape(-1, 1)
    else:
        flat = np.empty((len(columns[0]), len(entry.features)), dtype=dtype)
        for j, position in enumerate(entry.features):
            flat[:, j] = columns[position]
    return flat.reshape(len(flat), *entry.shape)


def _classes(signature: Signature) -> Array:
    classes = np.empty(len(signature.classes or ()), dtype=object)
    classes[:] = list(signature.classes or ())
    return classes


def _by_index(signature: Signature, indexes: Array) -> Array:
    if signature.targets == 1:
        return _classes(signature)[indexes]
    labels = np.empty(indexes.shape, dtype=object)
    for target, classes in enumerate(signature.classes or ()):
        labels[:, target] = [classes[i] for i in indexes[:, target]]
    return labels


def _probabilities(raw: Any, signature: Signature) -> Array | list[Array]:
    """(n, classes) float64; a list of them, one per target, where there are several.

    Our own graphs give the targets' probabilities side by side in one matrix; others a sequence, or targets first.
    """
    if isinstance(raw, list):
        return [np.asarray(part, dtype=np.float64) for part in raw]
    array = np.asarray(raw, dtype=np.float64)
    if array.ndim == 3:
        return list(array)
    array = array.reshape(len(array), -1)
    if signature.targets == 1:
        return array
    ends = np.cumsum([len(classes) for classes in signature.classes or ()])
    return np.split(array, ends[:-1], axis=1)
