"""ONNX bytes: digest, chunks, what is safe, and the signature that a graph tells by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from onnx import TensorProto, helper
from support.onnx_models import UNSAFE, described, linear, serialize, sums

from modeldb.artifact import CHUNK_BYTES, check_fit, chunks, complete, digest, inspect
from modeldb.errors import InvalidArtifact, SignatureMismatch, UnsafeArtifact


def test_the_digest_is_sha256() -> None:
    assert digest(b"abc") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (0, []),
        (1, [1]),
        (CHUNK_BYTES, [CHUNK_BYTES]),
        (CHUNK_BYTES + 1, [CHUNK_BYTES, 1]),
        (3 * CHUNK_BYTES, [CHUNK_BYTES] * 3),
    ],
)
def test_chunks_join_to_the_artifact(size: int, sizes: list[int]) -> None:
    artifact = (bytes(range(256)) * (size // 256 + 1))[:size]
    pieces = list(chunks(artifact))
    assert [len(piece) for piece in pieces] == sizes
    assert b"".join(pieces) == artifact


@pytest.mark.parametrize("make", UNSAFE.values(), ids=UNSAFE.keys())
def test_what_is_unsafe_is_refused_wherever_it_hides(make: Callable[[], bytes]) -> None:
    with pytest.raises(UnsafeArtifact):
        inspect(make())


@pytest.mark.parametrize("artifact", [b"", b"\x00", b"not onnx", b"\x08\x07", linear(1.0)[:-20]])
def test_what_does_not_parse(artifact: bytes) -> None:
    with pytest.raises(InvalidArtifact):
        inspect(artifact)


@pytest.mark.parametrize("artifact", [linear(1.0), sums("a", "b")])
def test_what_is_harmless_passes(artifact: bytes) -> None:
    assert inspect(artifact).graph.output[0].name == "Y"


def test_a_function_of_the_models_own_domain_passes() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    double = helper.make_function(
        "own", "Double", ["X"], ["Y"], [helper.make_node("Add", ["X", "X"], ["Y"])], opsets[:1]
    )
    node = helper.make_node("Double", ["X"], ["Y"], domain="own")
    assert inspect(serialize([node], functions=[double], opsets=opsets))


def graph(inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, tuple[int, list[Any]]]) -> Any:
    """A parsed model with these inputs and outputs, of which nothing else matters."""

    def listed(parts: dict[str, tuple[int, list[Any]]]) -> list[Any]:
        return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in parts.items()]

    return inspect(serialize([], inputs=listed(inputs), outputs=listed(outputs)))


D, F, INT, TEXT = TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
VALUE: dict[str, tuple[int, list[Any]]] = {"Y": (D, [None, 1])}
COMPLETED: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("a matrix", graph({"X": (D, [None, 2])}, VALUE), described("a", "b"), {"precision": "float64", "targets": 1}),
    ("a free width", graph({"X": (F, [None, None])}, VALUE), described("a", "b", "c"), {"precision": "float32"}),
    ("columns by name", graph({"b": (D, [None, 1]), "a": (D, [None, 1])}, VALUE), described("a", "b"), {}),
    ("mixed inputs", graph({"n": (F, [None, 2]), "t": (TEXT, [None, 1])}, VALUE), described("a", "b", "c"), {}),
    ("vectors", graph({"a": (D, [None]), "b": (D, [None])}, VALUE), described("a", "b"), {}),
    (
        "label and probabilities",
        graph({"X": (F, [None, 1])}, {"L": (INT, [None]), "P": (F, [None, 2])}),
        described("a", classes=[0, 1]),
        {"task": "classification", "outputs": {"label": "L", "probabilities": "P", "label_index": False}},
    ),
    (
        "clusters",
        graph({"X": (F, [None, 1])}, {"L": (INT, [None]), "S": (F, [None, 3])}),
        described("a", task="clustering"),
        {"outputs": {"label": "L", "label_index": False}},
    ),
    ("two values", graph({"X": (D, [None, 1])}, {"Y": (D, [None, 2])}), described("a"), {"targets": 2}),
]


@pytest.mark.parametrize(("model", "told", "expected"), [c[1:] for c in COMPLETED], ids=[c[0] for c in COMPLETED])
def test_a_graph_completes_what_its_owner_told(model: Any, told: dict[str, Any], expected: dict[str, Any]) -> None:
    signature = complete(model, told)
    check_fit(model, signature)
    assert {name: signature.to_json()[name] for name in expected} == expected
    bound = [position for entry in signature.inputs for position in entry.features]
    assert sorted(bound) == list(range(len(signature.features)))


def test_what_is_told_goes_before_what_the_graph_suggests() -> None:
    model = graph({"X": (D, [None, 1])}, {"Y": (D, [None, 1]), "Z": (D, [None, 1])})
    assert complete(model, described("a")).outputs.value == "Y"
    assert complete(model, described("a", outputs={"value": "Z"})).outputs.value == "Z"


@pytest.mark.parametrize("told", [None, [], "x", {}, {"features": None}, {"features": "ab"}, described("a", "b", "c")])
def test_what_no_graph_can_complete(told: Any) -> None:
    with pytest.raises(SignatureMismatch):
        complete(inspect(linear(1.0, 2.0)), told)


def test_a_width_of_probabilities_that_is_not_the_number_of_classes() -> None:
    model = graph({"X": (F, [None, 1])}, {"P": (F, [None, 3])})
    signature = complete(model, described("a", classes=["x", "y"]))
    with pytest.raises(SignatureMismatch, match="3 probabilities"):
        check_fit(model, signature)
