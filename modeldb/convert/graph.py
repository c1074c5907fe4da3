"""A small ONNX graph builder: tensors with arithmetic, blocks of columns, constants kept once.

Every numeric tensor is a matrix (n rows, width columns). Constants take the dtype of the tensor that they meet, so that
one emitter serves float64 and float32 graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ML = "ai.onnx.ml"
ELEMENTS = {"float32": 1, "float64": 11, "int64": 7, "int32": 6, "bool": 9, "string": 8}


class Graph:
    """Nodes and constants in order. ``dtype`` is that of the numeric input, ``missing`` the text of a missing text."""

    def __init__(self, dtype: str = "float64", foreign_dtype: str = "float64", missing: str = "\u2400") -> None:
        self.dtype = dtype
        self.foreign_dtype = foreign_dtype
        self.missing = missing
        self.nodes: list[Any] = []
        self.constants: dict[tuple[Any, ...], str] = {}
        self.tensors: dict[str, Any] = {}
        self.foreign: list[str] = []
        self.single: list[str] = []
        self.categories: dict[int, tuple[Any, ...]] = {}
        self.raw: dict[str, tuple[int, ...]] = {}  # numeric columns as they come in: the features' positions
        self._count = 0

    def name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node; returns the name of its output, or a list of names when ``outputs`` is above 1."""
        from onnx import helper

        names = [self.name(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def const(self, value: Any, dtype: str) -> str:
        """The name of a constant; equal constants are kept once."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(np.asarray(value, dtype=object if dtype == "string" else dtype))
        array = array.reshape(np.shape(value))
        content: Any = tuple(array.ravel()) if dtype == "string" else array.tobytes()
        key = (dtype, array.shape, content)
        if key not in self.constants:
            self.constants[key] = name = self.name("c")
            self.tensors[name] = numpy_helper.from_array(array, name)
        return self.constants[key]

    def numbers(self, name: str, dtype: str, width: int) -> Numbers:
        return Numbers(self, name, dtype, width)


@dataclass(frozen=True, eq=False)
class Numbers:
    """A numeric matrix in the graph: (n, width)."""

    graph: Graph
    name: str
    dtype: str
    width: int

    def with_(self, kind: str, other: Any, flip: bool = False, dtype: str | None = None) -> Numbers:
        """A binary operator with another matrix or a constant that broadcasts over the rows."""
        name, width = self._operand(other)
        inputs = (name, self.name) if flip else (self.name, name)
        return Numbers(self.graph, self.graph.op(kind, *inputs), dtype or self.dtype, max(self.width, width))

    def _operand(self, other: Any) -> tuple[str, int]:
        if isinstance(other, Numbers):
            return other.name, other.width
        array = np.asarray(other, dtype=self.dtype)
        return self.graph.const(array, self.dtype), array.shape[-1] if array.ndim else 1

    def __add__(self, other: Any) -> Numbers:
        return self.with_("Add", other)

    def __sub__(self, other: Any) -> Numbers:
        return self.with_("Sub", other)

    def __rsub__(self, other: Any) -> Numbers:
        return self.with_("Sub", other, flip=True)

    def __mul__(self, other: Any) -> Numbers:
        return self.with_("Mul", other)

    def __truediv__(self, other: Any) -> Numbers:
        return self.with_("Div", other)

    def __rtruediv__(self, other: Any) -> Numbers:
        return self.with_("Div", other, flip=True)

    def __pow__(self, other: Any) -> Numbers:
        return self.with_("Pow", other)

    def __neg__(self) -> Numbers:
        return self.apply("Neg")

    def __gt__(self, other: Any) -> Numbers:
        return self.with_("Greater", other, dtype="bool")

    def __lt__(self, other: Any) -> Numbers:
        return self.with_("Less", other, dtype="bool")

    def __ge__(self, other: Any) -> Numbers:
        return self.with_("GreaterOrEqual", other, dtype="bool")

    def __le__(self, other: Any) -> Numbers:
        return self.with_("LessOrEqual", other, dtype="bool")

    def equals(self, other: Any) -> Numbers:
        return self.with_("Equal", other, dtype="bool")

    def __and__(self, other: Numbers) -> Numbers:
        return self.with_("And", other)

    def __or__(self, other: Numbers) -> Numbers:
        return self.with_("Or", other)

    def __invert__(self) -> Numbers:
        return self.apply("Not")

    def __matmul__(self, weights: Any) -> Numbers:
        """Matrix product with a constant (width, k).

        Gemm, not MatMul: onnxruntime fuses MatMul with a following scalar factor, which it rounds to float32.
        """
        array = np.asarray(weights)
        name = self.graph.op("Gemm", self.name, self.graph.const(array, self.dtype))
        return Numbers(self.graph, name, self.dtype, array.shape[1])

    def affine(self, weights: Any, bias: Any) -> Numbers:
        """``x @ weights + bias`` in one node; weights (width, k), bias (k,) or a scalar."""
        array = np.asarray(weights)
        constants = (self.graph.const(a, self.dtype) for a in (array, np.broadcast_to(bias, array.shape[1:])))
        return Numbers(self.graph, self.graph.op("Gemm", self.name, *constants), self.dtype, array.shape[1])

    def apply(self, kind: str, dtype: str | None = None, **attributes: Any) -> Numbers:
        """A unary operator, element by element (Exp, Log, Sigmoid, IsNaN...)."""
        return replace(self, name=self.graph.op(kind, self.name, **attributes), dtype=dtype or self.dtype)

    def is_nan(self) -> Numbers:
        return self.apply("IsNaN", "bool")

    def softmax(self) -> Numbers:
        return self.apply("Softmax", axis=1)

    def clip(self, low: float | None, high: float | None) -> Numbers:
        bounds = ["" if v is None else self.graph.const(np.asarray(v), self.dtype) for v in (low, high)]
        return replace(self, name=self.graph.op("Clip", self.name, *bounds))

    def cast(self, dtype: str) -> Numbers:
        if dtype == self.dtype:
            return self
        return replace(self, name=self.graph.op("Cast", self.name, to=ELEMENTS[dtype]), dtype=dtype)

    def reduce(self, kind: str) -> Numbers:
        """ReduceSum, ReduceMax... over the columns: (n, 1)."""
        axes = self.graph.const([1], "int64")
        return replace(self, name=self.graph.op(kind, self.name, axes, keepdims=1), width=1)

    def argmax(self) -> Numbers:
        """Position of the first largest column: int64 (n, 1)."""
        return Numbers(self.graph, self.graph.op("ArgMax", self.name, axis=1, keepdims=1), "int64", 1)

    def argmin(self) -> Numbers:
        return Numbers(self.graph, self.graph.op("ArgMin", self.name, axis=1, keepdims=1), "int64", 1)

    def take(self, columns: Sequence[int]) -> Numbers:
        """Some of the columns, in the order given."""
        if list(columns) == list(range(self.width)):
            return self
        index = self.graph.const([int(c) for c in columns], "int64")
        return replace(self, name=self.graph.op("Gather", self.name, index, axis=1), width=len(columns))

    def rows_of(self, table: Any) -> Numbers:
        """Rows of a constant table (m, k), picked by this int64 (n, 1): (n, k)."""
        array = np.asarray(table, dtype=np.float64)
        dtype = self.graph.dtype
        picked = self.graph.op("Gather", self.graph.const(array, dtype), self.name, axis=0)
        shape = self.graph.const([-1, array.shape[1]], "int64")
        return Numbers(self.graph, self.graph.op("Reshape", picked, shape), dtype, array.shape[1])

    def where(self, yes: Any, no: Any) -> Numbers:
        """With self as the condition: ``yes`` or ``no``; at least one of them a matrix."""
        pattern = yes if isinstance(yes, Numbers) else no
        (a, wide), (b, broad) = pattern._operand(yes), pattern._operand(no)
        name = self.graph.op("Where", self.name, a, b)
        return Numbers(self.graph, name, pattern.dtype, max(self.width, wide, broad))

    def norm2(self) -> Numbers:
        """Sum of squares by row: (n, 1)."""
        return replace(self, name=self.graph.op("ReduceSumSquare", self.name, *self._axis(), keepdims=1), width=1)

    def _axis(self) -> tuple[str]:
        return (self.graph.const([1], "int64"),)


@dataclass(frozen=True, eq=False)
class Texts:
    """A matrix of texts. ``absent`` says per column what a missing text is to the estimator at this point.

    That is None, NaN, or the text that an imputer has put there. The encoder that reads the column resolves it, so that
    imputing a text costs no node. ``features`` are the raw columns' positions, None for computed ones.
    """

    graph: Graph
    name: str
    width: int
    absent: tuple[Any, ...]
    features: tuple[int | None, ...]

    def take(self, columns: Sequence[int]) -> Texts:
        if list(columns) == list(range(self.width)):
            return self
        index = self.graph.const([int(c) for c in columns], "int64")
        return Texts(
            self.graph,
            self.graph.op("Gather", self.name, index, axis=1),
            len(columns),
            tuple(self.absent[c] for c in columns),
            tuple(self.features[c] for c in columns),
        )

    def filled(self) -> Texts:
        """The same with what imputers have put applied by nodes."""
        if not any(isinstance(word, str) for word in self.absent):
            return self
        graph = self.graph
        missing = graph.op("Equal", self.name, graph.const([graph.missing], "string"))
        words = [[word if isinstance(word, str) else graph.missing for word in self.absent]]
        name = graph.op("Where", missing, graph.const(words, "string"), self.name)
        return replace(self, name=name, absent=(None,) * self.width)


Piece = Numbers | Texts


def concat(parts: Sequence[Numbers]) -> Numbers:
    """Matrices side by side; the widest float type wins."""
    if len(parts) == 1:
        return parts[0]
    dtypes = {part.dtype for part in parts}
    dtype = parts[0].dtype if len(dtypes) == 1 else ("float64" if "float64" in dtypes else "float32")
    same = [part.cast(dtype) for part in parts]
    graph = parts[0].graph
    return Numbers(graph, graph.op("Concat", *(p.name for p in same), axis=1), dtype, sum(p.width for p in same))


def two_sided(margin: Numbers) -> Numbers:
    """A margin (n, 1) for the second of two classes as (n, 2): minus itself, and itself."""
    return margin @ [[-1.0, 1.0]]


def complement(probability: Numbers) -> Numbers:
    """The probability (n, 1) of the second of two classes as (n, 2)."""
    return probability.affine([[-1.0, 1.0]], [1.0, 0.0])


def total(parts: Sequence[Numbers]) -> Numbers:
    """Matrices of one shape added up, in order."""
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def constant_rows(like: Numbers, row: Iterable[float]) -> Numbers:
    """The same row for every row of ``like``, whatever it holds: (n, len(row))."""
    values = np.asarray(list(row), dtype=np.float64)
    graph = like.graph
    rows = graph.op("Shape", like.name, start=0, end=1)
    shape = graph.op("Concat", rows, graph.const([len(values)], "int64"), axis=0)
    name = graph.op("Expand", graph.const(values[None, :], like.dtype), shape)
    return Numbers(graph, name, like.dtype, len(values))
