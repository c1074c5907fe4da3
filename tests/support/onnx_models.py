"""ONNX models made by hand: harmless ones, and ones that must never be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx import TensorProto, helper

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]


def serialize(nodes: Sequence[Any], *, initializers: Sequence[Any] = (), **changes: Any) -> bytes:
    """A model from X, (n, 2) float64, to Y, (n, 1) float64. changes: other inputs, outputs, functions, opsets."""
    inputs = changes.get("inputs", [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 2])])
    outputs = changes.get("outputs", [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 1])])
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(initializers))
    if sparse := changes.get("sparse"):
        graph.sparse_initializer.extend(sparse)
    model = helper.make_model(graph, opset_imports=changes.get("opsets", OPSETS), ir_version=8)
    model.functions.extend(changes.get("functions", []))
    data: bytes = model.SerializeToString()
    return data


def weights(*values: float, name: str = "W") -> Any:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values), 1], values)


def linear(*values: float) -> bytes:
    """Y = X @ values: a model of as many float64 features as there are values."""
    inputs = [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, len(values)])]
    return serialize([helper.make_node("MatMul", ["X", "W"], ["Y"])], initializers=[weights(*values)], inputs=inputs)


def sums(*names: str) -> bytes:
    """The sum of several inputs, each a column of its own."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in names]
    return serialize([helper.make_node("Sum", list(names), ["Y"])], inputs=inputs)


def described(*names: str, **parts: Any) -> dict[str, Any]:
    """A signature as a person writes it."""
    return {"features": [{"name": name, "type": "float8"} for name in names], **parts}


TENSORS: list[dict[str, Any]] = [
    {"name": "a", "type": "int8"},
    {"name": "b", "type": "bool"},
    {"name": "c", "type": "float8"},
]


def tensors() -> bytes:
    """a + 10 b + 100 c, where a is int64, b boolean and c float32."""
    kinds = {"a": TensorProto.INT64, "b": TensorProto.BOOL, "c": TensorProto.FLOAT}
    nodes = [helper.make_node("Cast", [name], [f"{name}f"], to=TensorProto.DOUBLE) for name in kinds]
    constants = [helper.make_tensor(f"k{k}", TensorProto.DOUBLE, [], [k]) for k in (10.0, 100.0)]
    nodes += [
        helper.make_node("Mul", ["bf", "k10.0"], ["tens"]),
        helper.make_node("Mul", ["cf", "k100.0"], ["hundreds"]),
        helper.make_node("Sum", ["af", "tens", "hundreds"], ["Y"]),
    ]
    inputs = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in kinds.items()]
    return serialize(nodes, initializers=constants, inputs=inputs)


def external(name: str = "W") -> Any:
    """A tensor whose data is in a file of the server."""
    tensor = weights(1.0, 2.0, name=name)
    tensor.ClearField("double_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="pg_hba.conf")
    return tensor


def _multiply() -> Any:
    return helper.make_node("MatMul", ["X", "W"], ["Y"])


def _constant() -> Any:
    return helper.make_node("Constant", [], ["W"], value=external())


def _branch(nodes: Sequence[Any], initializers: Sequence[Any] = ()) -> Any:
    return helper.make_graph(
        list(nodes), "b", [], [helper.make_tensor_value_info("W", TensorProto.DOUBLE, [2, 1])], list(initializers)
    )


def _in_initializer() -> bytes:
    return serialize([_multiply()], initializers=[external()])


def _in_constant() -> bytes:
    return serialize([_constant(), _multiply()])


def _in_branch() -> bytes:
    good = _branch([helper.make_node("Constant", [], ["W"], value=weights(1.0, 2.0))])
    bad = _branch([helper.make_node("Identity", ["V"], ["W"])], [external("V")])
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    choose = helper.make_node("If", ["c"], ["W"], then_branch=good, else_branch=bad)
    return serialize([choose, _multiply()], initializers=[condition])


def _in_loop() -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["going"]), _constant()],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("W", TensorProto.DOUBLE, [2, 1]),
        ],
    )
    loop = helper.make_node("Loop", ["m", ""], ["Ws"], body=body)
    pick = helper.make_node("Squeeze", ["Ws", "zero"], ["W"])
    return serialize(
        [loop, pick, _multiply()],
        initializers=[
            helper.make_tensor("m", TensorProto.INT64, [], [1]),
            helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        ],
    )


def _in_function() -> bytes:
    own = helper.make_function("own", "Multiply", ["X"], ["Y"], [_constant(), _multiply()], OPSETS)
    opsets = [*OPSETS, helper.make_opsetid("own", 1)]
    return serialize([helper.make_node("Multiply", ["X"], ["Y"], domain="own")], functions=[own], opsets=opsets)


def _in_sparse_tensor() -> bytes:
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    sparse = helper.make_sparse_tensor(external(), indices, [2, 1])
    return serialize([_multiply()], sparse=[sparse])


def _in_sparse_attribute() -> bytes:
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, 1])
    sparse = helper.make_sparse_tensor(external(), indices, [2, 1])
    return serialize([helper.make_node("Constant", [], ["W"], sparse_value=sparse), _multiply()])


def _named_without_location() -> bytes:
    tensor = external()
    tensor.ClearField("data_location")
    return serialize([_multiply()], initializers=[tensor])


def _of_another_domain() -> bytes:
    node = helper.make_node("Shell", ["X"], ["Y"], domain="com.example")
    return serialize([node], opsets=[*OPSETS, helper.make_opsetid("com.example", 1)])


def _of_another_domain_in_a_branch() -> bytes:
    foreign = _branch([helper.make_node("Shell", [], ["W"], domain="com.example")])
    good = _branch([helper.make_node("Constant", [], ["W"], value=weights(1.0, 2.0))])
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    choose = helper.make_node("If", ["c"], ["W"], then_branch=good, else_branch=foreign)
    return serialize([choose, _multiply()], initializers=[condition])


UNSAFE: dict[str, Callable[[], bytes]] = {
    "external data in an initializer": _in_initializer,
    "external data in a Constant's attribute": _in_constant,
    "external data in a branch of an If": _in_branch,
    "external data in the body of a Loop": _in_loop,
    "external data in a function": _in_function,
    "external data in a sparse initializer": _in_sparse_tensor,
    "external data in a sparse attribute": _in_sparse_attribute,
    "an external location that is not declared as one": _named_without_location,
    "an operator of an unknown domain": _of_another_domain,
    "an operator of an unknown domain in a branch": _of_another_domain_in_a_branch,
}
"""Models that the gate refuses with MD304, by what is wrong with them."""
