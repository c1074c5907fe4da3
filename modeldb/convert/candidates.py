"""The graphs that are tried for an estimator, most faithful first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modeldb.convert import dispatch
from modeldb.convert.assemble import assemble
from modeldb.convert.block import RawBlock, Source
from modeldb.convert.graph import Graph
from modeldb.convert.sample import Sample
from modeldb.signature import Signature

ROLES: dict[str, Any] = {
    "classification": dispatch.classify,
    "regression": dispatch.regress,
    "clustering": dispatch.cluster,
    "outlier": dispatch.detect,
    "transformation": lambda model, x: dispatch.transform(model, x).matrix(),
}


@dataclass(frozen=True)
class Plan:
    """How a graph is built. dtype: of the numeric input; foreign: of the steps that skl2onnx converts."""

    name: str
    dtype: str
    foreign: str


PLANS = (
    Plan("double", "float64", "float64"),
    Plan("double with float32 steps", "float64", "float32"),
    Plan("float32", "float32", "float32"),
)


@dataclass(frozen=True)
class Candidate:
    """A graph. foreign: the steps that skl2onnx converted; single: those whose library computes in float32 itself."""

    plan: Plan
    artifact: bytes
    signature: Signature
    foreign: tuple[str, ...]
    single: tuple[str, ...]


def build(model: Any, sample: Sample, task: str, classes: Any, plan: Plan) -> Candidate:
    """Emit one graph. Raises Refused."""
    graph = Graph(plan.dtype, plan.foreign, unseen_text(sample))
    source = Source(graph, sample.names, [kind == "text" for kind in sample.types], sample.absences)
    result = ROLES[task](model, RawBlock(source, range(len(sample.names))))
    used = sorted({*source.used(text=False), *source.used(text=True)})
    kept = used if prunable(model, sample) else list(range(len(sample.names)))
    artifact, signature = assemble(graph, source, sample.features, result, task, classes, kept)
    return Candidate(plan, artifact, signature, tuple(graph.foreign), tuple(graph.single))


def prunable(model: Any, sample: Sample) -> bool:
    """Only columns with names of their own may be left out; those of a bare array are bound by position."""
    return hasattr(sample.rows, "columns")


def unseen_text(sample: Sample) -> str:
    """A text that stands for a missing one: it occurs nowhere in the sample."""
    word = "\u2400"
    texts = {value for column in sample.columns if column.dtype == object for value in column}
    while word in texts:
        word += "\u2400"
    return word


def worth_trying(plan: Plan, sample: Sample, first: Candidate | None) -> bool:
    """Whether a later plan could differ from the first: float32 steps only where skl2onnx converted some, float32 input
    also where the sample itself is float4. ``first`` is None where the first plan was refused."""
    if first is None or first.foreign or first.single or plan.name == PLANS[0].name:
        return True
    return plan.dtype == "float32" and all(kind in ("float4", "text") for kind in sample.types)
