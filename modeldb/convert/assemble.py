"""From an emitted graph to a model file and its signature: inputs bound, dead nodes dropped, outputs named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from modeldb.convert.block import Refused, Source
from modeldb.convert.dispatch import Detection, Scores, Targets
from modeldb.convert.graph import ELEMENTS, ML, Graph, Numbers, concat
from modeldb.signature import Feature, Input, Outputs, Signature

OPSET, ML_OPSET, IR = 21, 5, 10
DEPRECATED = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}


@dataclass(frozen=True)
class Named:
    """An output of the graph under the name that the signature gives it."""

    name: str
    tensor: Numbers


def outputs_of(result: Any, task: str) -> tuple[list[Named], Outputs, int]:
    """The graph's outputs, how the signature names them, and the number of targets."""
    if task in ("regression", "transformation"):
        return [Named("value", result)], Outputs(value="value"), result.width
    if task == "clustering":
        return [Named("label", result)], Outputs(label="label"), 1
    if isinstance(result, Detection):
        inlier = result.inlier if result.inlier is not None else result.decision >= 0.0
        label = (inlier.cast("int64") * 2) - 1
        return [Named("label", label), Named("decision", result.decision)], Outputs(label="label"), 1
    if isinstance(result, Targets):
        return _several(result)
    assert isinstance(result, Scores)
    return _one(result)


def _one(scores: Scores) -> tuple[list[Named], Outputs, int]:
    if scores.probabilities is None:
        found = [Named("label", scores.index)]
        found += [Named("decision", scores.decision)] if scores.decision is not None else []
        return found, Outputs(label="label", label_index=True), 1
    found = [Named("probabilities", scores.probabilities)]
    if scores.label is None:
        return found, Outputs(probabilities="probabilities"), 1
    named = Outputs(label="label", probabilities="probabilities", label_index=True)
    return [*found, Named("label", scores.label)], named, 1


def _several(result: Targets) -> tuple[list[Named], Outputs, int]:
    """Labels by position, and all targets' probabilities side by side."""
    labels = _join([score.index for score in result.scores])
    found = [Named("label", labels)]
    probabilities = [score.probabilities for score in result.scores if score.probabilities is not None]
    complete = len(probabilities) == len(result.scores)
    if complete:
        found.append(Named("probabilities", concat(probabilities)))
    named = Outputs(label="label", probabilities="probabilities" if complete else None, label_index=True)
    return found, named, len(result.scores)


def _join(labels: list[Numbers]) -> Numbers:
    graph = labels[0].graph
    return Numbers(graph, graph.op("Concat", *(part.name for part in labels), axis=1), "int64", len(labels))


def assemble(
    graph: Graph, source: Source, features: list[Feature], result: Any, task: str, classes: Any, kept: list[int]
) -> tuple[bytes, Signature]:
    """The model's bytes and its signature. ``kept`` are the features that the signature lists."""
    from onnx import helper

    found, named, targets = outputs_of(result, task)
    inputs = _bind(graph, source, kept)
    nodes = _alive(graph, [entry.tensor.name for entry in found])
    for entry in found:
        nodes.append(helper.make_node("Identity", [entry.tensor.name], [entry.name]))
    nodes = _without_identities(nodes, {entry.name for entry in found})
    used = {name for node in nodes for name in _reads(node)}
    body = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(i.name, ELEMENTS[i.dtype], [None, *i.shape]) for i in inputs],
        [helper.make_tensor_value_info(e.name, ELEMENTS[e.tensor.dtype], [None, e.tensor.width]) for e in found],
        initializer=[tensor for name, tensor in graph.tensors.items() if name in used],
    )
    model = helper.make_model(body, opset_imports=_opsets(nodes), ir_version=IR, producer_name="modeldb")
    order = {feature: position for position, feature in enumerate(kept)}
    signature = Signature(
        features=tuple(_feature(graph, features[i], i) for i in kept),
        inputs=tuple(replace(i, features=tuple(order[f] for f in i.features)) for i in inputs),
        task=task,
        outputs=named,
        classes=classes,
        targets=targets,
        precision="float64",
    )
    return model.SerializeToString(), signature


def _feature(graph: Graph, feature: Feature, position: int) -> Feature:
    missing = graph.missing if feature.nullable and feature.type == "text" else None
    return replace(feature, missing=missing, categories=graph.categories.get(position))


def _bind(graph: Graph, source: Source, kept: list[int]) -> list[Input]:
    """Settle the two inputs, and put a Gather where a step takes only some of an input's columns."""
    from onnx import helper

    inputs = []
    picks = []
    for text, name, dtype in ((False, "numbers", graph.dtype), (True, "texts", "string")):
        columns = [c for c in kept if source.is_text[c] == text]
        if not columns:
            continue
        inputs.append(Input(name, dtype, tuple(columns), (len(columns),)))
        for tensor, wanted, is_text in source.picks:
            if is_text != text:
                continue
            if wanted == columns:
                picks.append(helper.make_node("Identity", [name], [tensor]))
                continue
            index = graph.const([columns.index(c) for c in wanted], "int64")
            picks.append(helper.make_node("Gather", [name, index], [tensor], axis=1))
    graph.nodes[:0] = picks
    return inputs


def _alive(graph: Graph, wanted: list[str]) -> list[Any]:
    """The nodes that the outputs depend on, in order."""
    needed, alive = set(wanted), []
    for node in reversed(graph.nodes):
        if needed & set(node.output):
            needed |= _reads(node)
            alive.append(node)
    return alive[::-1]


def _reads(node: Any) -> set[str]:
    """The tensors that a node reads, those that its subgraphs capture included."""
    names = set(node.input)
    for attribute in node.attribute:
        for subgraph in [attribute.g, *attribute.graphs]:
            names |= {output.name for output in subgraph.output}
            for inner in subgraph.node:
                names |= _reads(inner)
    return names


def _without_identities(nodes: list[Any], outputs: set[str]) -> list[Any]:
    """Short-cut Identity nodes; an output's own Identity renames the tensor at its producer."""
    producers = {name for node in nodes for name in node.output}
    captured = {name for node in nodes for name in _reads(node) - set(node.input)}
    names: dict[str, str] = {}
    for node in nodes:
        if node.op_type != "Identity" or captured & {node.input[0], node.output[0]}:
            continue
        source, target = node.input[0], node.output[0]
        source = names.get(source, source)
        if target not in outputs:
            names[target] = source
        elif source in producers and source not in names and source not in outputs:
            names[source] = target
    result = []
    for node in nodes:
        if node.op_type == "Identity" and _resolve(node.output[0], names) == _resolve(node.input[0], names):
            continue
        node.input[:] = [_resolve(name, names) for name in node.input]
        if node.op_type != "Identity":
            node.output[:] = [_resolve(name, names) for name in node.output]
        result.append(node)
    return result


def _resolve(name: str, names: dict[str, str]) -> str:
    while name in names:
        name = names[name]
    return name


def _opsets(nodes: list[Any]) -> list[Any]:
    """TreeEnsemble came with ai.onnx.ml 5, which took its two forerunners away."""
    from onnx import helper

    kinds = {node.op_type for node in nodes}
    if "TreeEnsemble" in kinds and kinds & DEPRECATED:
        raise Refused("it mixes trees of ours with trees that skl2onnx writes in an older form")
    domains = {node.domain for node in nodes}
    known = {"": OPSET, ML: 4 if kinds & DEPRECATED else ML_OPSET, "com.microsoft": 1}
    if strange := domains - set(known):
        raise Refused(f"it needs operators of the domain {sorted(strange)[0]}")
    return [helper.make_opsetid(domain, known[domain]) for domain in sorted(domains | {""})]


def node_kinds(artifact: bytes) -> list[str]:
    """The operators of a model, in order."""
    import onnx

    return [node.op_type for node in onnx.ModelProto.FromString(artifact).graph.node]
