"""ONNX bytes as an artifact: its digest, its chunks, and what must be true of it before anybody stores or runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from modeldb.errors import InvalidArtifact, SignatureMismatch, UnsafeArtifact
from modeldb.signature import Feature, Input, Outputs, Signature, features_from_json

CHUNK_BYTES = 1 << 20
_ZIPMAP = "Convert it without ZipMap: options={'zipmap': False} for skl2onnx."
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_DTYPES = {1: "float32", 11: "float64", 7: "int64", 6: "int32", 9: "bool", 8: "string"}


def digest(artifact: bytes) -> str:
    """SHA-256 of the bytes, in hexadecimal; an artifact is stored and cached under it."""
    return hashlib.sha256(artifact).hexdigest()


def chunks(artifact: bytes) -> Iterator[bytes]:
    """The bytes in pieces of at most CHUNK_BYTES, in order."""
    view = memoryview(artifact)
    for start in range(0, len(artifact), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])


def inspect(artifact: bytes) -> Any:
    """Parse the bytes and check that they are safe to store and to run. Returns the onnx ``ModelProto``.

    onnxruntime would follow a tensor's external location to any file that the server can read, wherever in the model
    the tensor stands (an initializer, an attribute, a subgraph, a function, a sparse tensor), so every message is
    visited. Operators outside DOMAINS would need a library that is not part of the model.
    Raises InvalidArtifact (MD303) and UnsafeArtifact (MD304).
    """
    import onnx
    from google.protobuf.message import DecodeError

    if artifact[4:8] == b"ORTM":  # could be read as both, with different contents
        raise InvalidArtifact("the artifact is in onnxruntime's own format, not in ONNX")
    try:
        model = onnx.ModelProto.FromString(artifact)
    except DecodeError as error:
        raise InvalidArtifact(f"the artifact is not an ONNX model: {error}") from None
    if not model.graph.output:
        raise InvalidArtifact("the artifact is not an ONNX model: its graph has no outputs")
    own = {function.domain for function in model.functions}
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.data_location == 1 or message.external_data):
            raise UnsafeArtifact(
                f"tensor {message.name!r} keeps its data in an external file",
                hint="Save the model in one file: onnx.save_model(..., save_as_external_data=False).",
            )
        if kind == "NodeProto" and message.domain not in DOMAINS | own:
            raise UnsafeArtifact(f"operator {message.op_type!r} is of the unknown domain {message.domain!r}")
    return model


def _messages(root: Any) -> Iterator[Any]:
    """Every message within a protobuf message, the root included."""
    pending = [root]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.type != field.TYPE_MESSAGE:
                continue
            if hasattr(value, "DESCRIPTOR"):
                pending.append(value)
            else:
                pending.extend(value)


def graph_inputs(model: Any) -> list[tuple[str, str, tuple[int | None, ...]]]:
    """(name, dtype, shape of one row) of the graph's inputs; None where a dimension is free."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [_value_info(value) for value in model.graph.input if value.name not in constants]


def graph_outputs(model: Any) -> list[tuple[str, str, tuple[int | None, ...]]]:
    """(name, dtype, shape of one row) of the graph's outputs; dtype is "other" for what is not a tensor."""
    return [_value_info(value) for value in model.graph.output]


def _value_info(value: Any) -> tuple[str, str, tuple[int | None, ...]]:
    tensor = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    return value.name, _DTYPES.get(tensor.elem_type, "other"), shape[1:]


def complete(model: Any, description: dict[str, Any]) -> Signature:
    """The signature of a ready ONNX model, from what its owner says of it and what its graph shows.

    ``description`` needs ``features``; ``task`` and ``classes`` where the graph does not tell; any other part of a
    signature may be given and is then taken as it is. Raises SignatureMismatch (MD305).
    """
    known = {"features", "inputs", "task", "outputs", "classes", "targets", "finite", "precision"}
    if not isinstance(description, dict) or not isinstance(description.get("features"), list):
        raise SignatureMismatch(
            "the signature has no list of features",
            hint='Give at least {"features": [{"name": "amount", "type": "float8"}, ...], "task": "regression"}.',
        )
    if unknown := sorted(set(description) - known):
        raise SignatureMismatch(f"the signature has unknown parts: {', '.join(unknown)}")
    try:
        features = features_from_json(description["features"])
    except (TypeError, ValueError) as error:
        raise SignatureMismatch(f"the signature's features are malformed: {error}") from None
    outputs, task, targets = _guess_outputs(model, description)
    parts: dict[str, Any] = {
        "features": description["features"],
        "inputs": [vars(entry) for entry in _bind_inputs(model, features)],
        "task": task,
        "outputs": vars(outputs),
        "targets": targets,
        "precision": "float64" if all(d != "float32" for _, d, _ in graph_inputs(model)) else "float32",
    }
    return Signature.from_json({**parts, **{k: v for k, v in description.items() if v is not None}})


def _bind_inputs(model: Any, features: tuple[Feature, ...]) -> list[Input]:
    """Bind features to graph inputs: by name where each input is one feature, else in order."""
    found = graph_inputs(model)
    positions = {feature.name: i for i, feature in enumerate(features)}
    if len(found) == len(features) and all(name in positions for name, _, _ in found):
        return [Input(n, d, (positions[n],), _fixed(s, 1)) for n, d, s in found]
    bound, start = [], 0
    for number, (name, dtype, shape) in enumerate(found):
        rest = len(features) - start - (len(found) - number - 1)
        row = _fixed(shape, rest)
        width = _product(row)
        bound.append(Input(name, dtype, tuple(range(start, start + width)), row))
        start += width
    if start != len(features):
        raise SignatureMismatch(f"the graph takes {start} values per row, the signature has {len(features)} features")
    return bound


def _fixed(shape: tuple[int | None, ...], values: int) -> tuple[int, ...]:
    """The shape of one row with at most one free dimension filled so that it holds ``values`` values."""
    rest = _product(tuple(d for d in shape if d))
    return tuple(d or max(1, values // rest) for d in shape)


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for dimension in shape:
        size *= dimension
    return size


def _guess_outputs(model: Any, description: dict[str, Any]) -> tuple[Outputs, str, int]:
    """Outputs, task and number of targets: label and probabilities by their types, else one value."""
    found = graph_outputs(model)
    floats = [(name, shape) for name, dtype, shape in found if dtype in ("float32", "float64")]
    labels = [name for name, dtype, _ in found if dtype in ("int64", "int32", "string", "bool")]
    classes = description.get("classes")
    task = description.get("task") or ("classification" if classes or (labels and floats) else "regression")
    if task == "classification" and not floats and any(dtype == "other" for _, dtype, _ in found):
        raise SignatureMismatch("the graph gives its probabilities as maps, not as a tensor", hint=_ZIPMAP)
    if task in ("classification", "clustering", "outlier"):
        if not labels and not floats:
            raise SignatureMismatch("the graph has neither labels nor probabilities among its outputs")
        outputs = Outputs(labels[0] if labels else None, floats[0][0] if floats and task == "classification" else None)
        return outputs, task, 1
    if not found:
        raise SignatureMismatch("the graph has no output to take as the value")
    name, shape = floats[0] if floats else (found[0][0], found[0][2])
    return Outputs(value=name), task, _product(tuple(d or 1 for d in shape))


def check_fit(model: Any, signature: Signature) -> None:
    """Raise SignatureMismatch (MD305) unless a signature's inputs and outputs are those of the graph."""
    found = {name: (dtype, shape) for name, dtype, shape in graph_inputs(model)}
    if set(found) != {entry.name for entry in signature.inputs}:
        raise SignatureMismatch(
            f"the signature binds the inputs {sorted(e.name for e in signature.inputs)}, the graph has {sorted(found)}"
        )
    for entry in signature.inputs:
        dtype, shape = found[entry.name]
        if dtype != entry.dtype:
            raise SignatureMismatch(f"input {entry.name!r} is {dtype} in the graph, {entry.dtype} in the signature")
        agree = len(shape) == len(entry.shape) and all(
            a in (None, 0, b) for a, b in zip(shape, entry.shape, strict=True)
        )
        if not agree or _product(entry.shape) != len(entry.features):
            raise SignatureMismatch(
                f"input {entry.name!r} has shape {shape} per row in the graph, "
                f"{entry.shape} with {len(entry.features)} features in the signature"
            )
    outputs = {name: (dtype, shape) for name, dtype, shape in graph_outputs(model)}
    named = (signature.outputs.label, signature.outputs.probabilities, signature.outputs.value)
    for name in named:
        if name is not None and name not in outputs:
            raise SignatureMismatch(f"the graph has no output {name!r}; it has {sorted(outputs)}")
        if name is not None and outputs[name][0] == "other":
            raise SignatureMismatch(f"the graph's output {name!r} is no tensor of numbers or texts", hint=_ZIPMAP)
    if not any(named):
        raise SignatureMismatch("the signature names no output")
    if signature.outputs.probabilities and signature.targets == 1:
        width, classes = outputs[signature.outputs.probabilities][1][-1:], len(signature.classes or ())
        if width and width[0] not in (None, 0, classes):
            raise SignatureMismatch(f"the graph gives {width[0]} probabilities, the signature has {classes} classes")
