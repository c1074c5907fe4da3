"""Estimators without an emitter of ours: converted by skl2onnx, one at a time, and spliced into our graph."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused, as_block
from modeldb.convert.dispatch import Detection, Scores, named
from modeldb.convert.graph import ML, Graph, Numbers, Texts

OPSETS = {"": 21, ML: 3}
DTYPES = {1: "float32", 11: "float64", 7: "int64", 6: "int32", 9: "bool", 8: "string"}


def emit(estimator: Any, x: Block, role: str) -> Any:
    """Convert one estimator with skl2onnx and splice it in. Raises Refused with its reason."""
    graph = x.graph
    graph.foreign.append(named(estimator))
    entry = _entry(x)
    outputs = splice(graph, _convert(estimator, entry, role, x.width), entry)
    return _result(estimator, outputs, role, graph)


def _entry(x: Block) -> Numbers | Texts:
    if all(isinstance(piece, Texts) for piece in x.pieces):
        return x.texts().filled()
    return x.matrix().cast(x.graph.foreign_dtype)


def _convert(estimator: Any, entry: Numbers | Texts, role: str, width: int) -> Any:
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common import data_types as types
    except ImportError:
        raise Refused("it needs skl2onnx: pip install 'modeldb[sklearn]'") from None
    kind: Any = types.StringTensorType
    if isinstance(entry, Numbers):
        kind = types.DoubleTensorType if entry.dtype == "float64" else types.FloatTensorType
    flat = isinstance(entry, Texts) and hasattr(estimator, "vocabulary_")
    options = {"zipmap": False} if role == "classify" else {}
    if role == "detect":
        options = {"score_samples": True}
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert_sklearn(
                estimator,
                initial_types=[("X", kind([None] if flat else [None, width]))],
                options={id(estimator): options} if options else None,
                target_opset=OPSETS,
            )
    except Exception as error:  # noqa: BLE001  (skl2onnx raises whatever its converters raise)
        raise Refused(_reason(error)) from None
    finally:
        logging.disable(level)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Unable to find a shape calculator" in text:
        return "there is no converter for it"
    return f"skl2onnx refuses it: {text[:300] or type(error).__name__}"


def splice(graph: Graph, model: Any, entry: Numbers | Texts) -> list[tuple[str, int, int | None]]:
    """Copy a model's nodes under fresh names. Returns (name, element type, width) of its outputs."""
    prefix = graph.name("f") + "_"
    names = {model.graph.input[0].name: entry.name, "": ""}
    for tensor in model.graph.initializer:
        names[tensor.name] = prefix + tensor.name
        copy = type(tensor)()
        copy.CopyFrom(tensor)
        copy.name = names[tensor.name]
        graph.tensors[copy.name] = copy
    for node in model.graph.node:
        for output in node.output:
            names.setdefault(output, prefix + output)
    for node in model.graph.node:
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = prefix + node.name
        copy.input[:] = [names[name] for name in node.input]
        copy.output[:] = [names[name] for name in node.output]
        _rename_captured(copy, names)
        if copy.op_type == "StringNormalizer":
            _neutral_locale(copy)
        graph.nodes.append(copy)
    return [(names[o.name], o.type.tensor_type.elem_type, _width(o)) for o in model.graph.output]


def _rename_captured(node: Any, names: dict[str, str]) -> None:
    """Subgraphs may read tensors of the graph around them."""
    for attribute in node.attribute:
        for subgraph in [attribute.g, *attribute.graphs]:
            local = {i.name for i in subgraph.input} | {t.name for t in subgraph.initializer}
            local |= {output for inner in subgraph.node for output in inner.output}
            outer = {old: new for old, new in names.items() if old not in local}
            for inner in subgraph.node:
                inner.input[:] = [outer.get(name, name) for name in inner.input]
                _rename_captured(inner, outer)
            for output in subgraph.output:
                output.name = outer.get(output.name, output.name)


def _neutral_locale(node: Any) -> None:
    """Without a locale of its own the operator wants en_US, which many servers do not have."""
    from onnx import helper

    if not any(attribute.name == "locale" for attribute in node.attribute):
        node.attribute.append(helper.make_attribute("locale", "C.UTF-8"))


def _width(output: Any) -> int | None:
    dims = output.type.tensor_type.shape.dim
    return dims[1].dim_value if len(dims) > 1 and dims[1].HasField("dim_value") else None


def _result(estimator: Any, outputs: list[tuple[str, int, int | None]], role: str, graph: Graph) -> Any:
    if role == "classify":
        return _scores(estimator, outputs, graph)
    if role == "detect":
        return Detection(
            _column(graph, outputs[-1], graph.dtype) - float(np.ravel(estimator.offset_)[0]),
            _column(graph, outputs[0], "int64") > 0,
        )
    if role == "cluster":
        return _column(graph, outputs[0], "int64")
    if role == "regress":
        targets = int(np.prod(np.shape(getattr(estimator, "_y_train", ()))[1:2] or (1,)))
        width = outputs[0][2] or targets
        return _column(graph, outputs[0], graph.dtype, width)
    name, element, columns = outputs[0]
    if not columns:
        raise Refused("skl2onnx does not tell how many columns it gives")
    if DTYPES.get(element) == "string":
        return as_block(Texts(graph, name, columns, (None,) * columns, (None,) * columns))
    return Numbers(graph, name, DTYPES.get(element, "other"), columns).cast(graph.dtype)


def _column(graph: Graph, output: tuple[str, int, int | None], dtype: str, width: int = 1) -> Numbers:
    name, element, _ = output
    shaped = graph.op("Reshape", name, graph.const([-1, width], "int64"))
    return Numbers(graph, shaped, DTYPES[element], width).cast(dtype)


def _scores(estimator: Any, outputs: list[tuple[str, int, int | None]], graph: Graph) -> Scores:
    classes = list(estimator.classes_)
    if len(outputs) != 2 or any(isinstance(c, list | np.ndarray) for c in classes):
        raise Refused("skl2onnx gives no single label and probabilities for it")
    probabilities = _column(graph, outputs[1], graph.dtype, len(classes))
    kind = DTYPES[outputs[0][1]]
    shaped = graph.op("Reshape", outputs[0][0], graph.const([-1, 1], "int64"))
    row = [[str(c) for c in classes]] if kind == "string" else [[int(c) for c in classes]]
    hits = graph.op("Equal", shaped, graph.const(row, kind))
    label = Numbers(graph, hits, "bool", len(classes)).cast("int32").argmax()
    if hasattr(estimator, "predict_proba"):
        return Scores(probabilities, None, label)
    return Scores(None, probabilities, label)
