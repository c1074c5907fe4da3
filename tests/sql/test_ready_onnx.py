"""ONNX made elsewhere: registered from pure SQL with a signature by hand, or from Python with or without a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import psycopg
import pytest
from onnx import TensorProto, helper
from psycopg.types.json import Jsonb
from support.answers import answer
from support.models import Trained
from support.onnx_models import described, linear, serialize, sums

import modeldb
from modeldb.errors import InvalidSample, SignatureMismatch, UnsupportedEstimator


def register(connection: psycopg.Connection, artifact: bytes, signature: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Register as model m; its completed signature."""
    extra = "".join(f", {name} => %s" for name in more)
    query = f"SELECT register_model('m', %s, %s{extra})"
    connection.execute(query.encode(), (artifact, Jsonb(signature), *more.values()))
    found: dict[str, Any] = answer(connection, "SELECT describe('m') -> 'signature'")
    return found


def test_a_signature_by_hand_is_completed_from_the_graph(scratch: psycopg.Connection) -> None:
    found = register(scratch, linear(1.0, 2.0), described("a", "b"))
    assert found["inputs"] == [{"name": "X", "dtype": "float64", "features": [0, 1], "shape": [2]}]
    assert (found["task"], found["targets"], found["precision"]) == ("regression", 1, "float64")
    assert found["outputs"]["value"] == "Y"
    assert answer(scratch, "SELECT predict('m', ROW(1, 10))") == 21.0


def test_names_alone_make_a_signature(scratch: psycopg.Connection) -> None:
    register(scratch, linear(1.0, 2.0), {"features": ["a", "b"]})
    assert answer(scratch, "SELECT predict('m', '{\"b\": 10, \"a\": 1}')") == 21.0


def test_several_inputs_are_bound_by_name(scratch: psycopg.Connection) -> None:
    artifact = serialize(
        [helper.make_node("Sub", ["first", "second"], ["Y"])],
        inputs=[helper.make_tensor_value_info(n, TensorProto.DOUBLE, [None, 1]) for n in ("first", "second")],
    )
    register(scratch, artifact, described("second", "first"))
    assert answer(scratch, "SELECT predict('m', ROW(1, 10))") == 9.0
    assert answer(scratch, "SELECT predict('m', '{\"first\": 1, \"second\": 10}')") == -9.0


def test_several_inputs_are_bound_in_order_where_the_names_differ(scratch: psycopg.Connection) -> None:
    register(scratch, sums("one", "two", "three"), described("a", "b", "c"))
    assert answer(scratch, "SELECT predict('m', ROW(1, 10, 100))") == 111.0


def classifier(**outputs: Any) -> bytes:
    """Two features; probabilities [a, b] after a Softmax, and the label where asked for."""
    nodes = [helper.make_node("Softmax", ["X"], ["P"], axis=1)]
    found = [helper.make_tensor_value_info("P", TensorProto.DOUBLE, [None, 2])]
    if outputs:
        nodes.append(helper.make_node("ArgMax", ["X"], ["L"], axis=1, keepdims=0))
        found.insert(0, helper.make_tensor_value_info("L", TensorProto.INT64, [None]))
    return serialize(nodes, outputs=found)


@pytest.mark.parametrize(
    ("classes", "low"), [(["no", "yes"], "no"), ([0, 1], "0"), ([False, True], "false"), ([1.5, 2.5], "1.5")]
)
def test_a_classifier_with_probabilities_alone(scratch: psycopg.Connection, classes: list[Any], low: str) -> None:
    register(scratch, classifier(), described("a", "b", task="classification", classes=classes))
    assert answer(scratch, "SELECT predict_label('m', ROW(2, 1))") == low
    probability = 1 / (1 + np.exp(-1.0))
    assert answer(scratch, f"SELECT predict_proba('m', ROW(2, 1), '{low}')") == pytest.approx(probability)
    if not isinstance(classes[0], str):
        assert answer(scratch, "SELECT predict('m', ROW(1, 2))") == float(classes[1])


def test_a_classifier_with_a_label_that_is_a_position(scratch: psycopg.Connection) -> None:
    outputs = {"label": "L", "probabilities": "P", "label_index": True}
    signature = described("a", "b", task="classification", classes=["no", "yes"], outputs=outputs)
    register(scratch, classifier(label=True), signature)
    assert answer(scratch, "SELECT predict_label('m', ROW(1, 2))") == "yes"
    document = answer(scratch, "SELECT predict_json('m', ROW(1, 2))")
    assert (document["label"], document["outputs"]["L"]) == ("yes", 1)


def test_an_image_shaped_input(scratch: psycopg.Connection) -> None:
    artifact = serialize(
        [
            helper.make_node("Flatten", ["X"], ["flat"]),
            helper.make_node("ReduceSum", ["flat", "axis"], ["Y"], keepdims=1),
        ],
        inputs=[helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 1, 2, 3])],
        outputs=[helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])],
        initializers=[helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    found = register(scratch, artifact, described(*"abcdef"))
    assert found["inputs"][0]["shape"] == [1, 2, 3]
    assert answer(scratch, "SELECT predict('m', ARRAY[1, 2, 3, 4, 5, 6])") == 21.0


def test_several_values_per_row(scratch: psycopg.Connection) -> None:
    artifact = serialize(
        [helper.make_node("Add", ["X", "X"], ["Y"])],
        outputs=[helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 2])],
    )
    assert register(scratch, artifact, described("a", "b"))["targets"] == 2
    assert answer(scratch, "SELECT predict_json('m', ROW(1, 2))")["value"] == [2.0, 4.0]
    with pytest.raises(psycopg.Error, match="2 values per row"), scratch.transaction():
        scratch.execute(b"SELECT predict('m', ROW(1, 2))")


def test_smoke_rows_are_kept_and_replayed(scratch: psycopg.Connection) -> None:
    smoke = {"rows": [[1.0, 2.0], [3.0, 4.0]], "expected": {"values": [5.0, 11.0]}, "tolerance": 1e-9}
    register(scratch, linear(1.0, 2.0), described("a", "b"), smoke=Jsonb(smoke))
    assert answer(scratch, "SELECT cases FROM modeldb.smoke") == smoke
    assert answer(scratch, "SELECT promote('m', 1, 'challenger')") == 1


def test_a_default_precision_of_float32_refuses_what_float32_cannot_hold(scratch: psycopg.Connection) -> None:
    artifact = serialize(
        [helper.make_node("ReduceSum", ["X", "axis"], ["Y"], keepdims=1)],
        inputs=[helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        outputs=[helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])],
        initializers=[helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    register(scratch, artifact, described("a", "b"))
    assert answer(scratch, "SELECT predict('m', ROW(0.1, 0))") == float(np.float32(0.1))
    with pytest.raises(psycopg.Error, match="too large for the model's float32"), scratch.transaction():
        scratch.execute(b"SELECT predict('m', ARRAY[1e300, 0])")


@pytest.mark.parametrize("form", ["bytes", "path", "text of a path", "ModelProto"])
def test_python_takes_onnx_in_every_form(db: modeldb.Database, tmp_path: Path, form: str) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(linear(1.0, 2.0))
    model = {"bytes": linear(1.0, 2.0), "path": file, "text of a path": str(file), "ModelProto": onnx.load(file)}[form]
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    made = db.register("m", model, sample=X)
    assert [feature.name for feature in made.signature.features] == ["a", "b"]
    assert db.predict("m", X).tolist() == [7.0, 10.0]


def test_a_pickle_is_not_opened(db: modeldb.Database, tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsupportedEstimator, match=r"does not end in \.onnx"):
        db.register("m", file, sample=np.ones((5, 2)))


@pytest.mark.parametrize(
    ("artifact", "names", "features"),
    [
        (sums("one", "two", "three"), None, ["one", "two", "three"]),
        (sums("one", "two", "three"), ["a", "b", "c"], ["a", "b", "c"]),
        (linear(1.0, 1.0, 1.0), None, ["X_0", "X_1", "X_2"]),
        (linear(1.0, 1.0, 1.0), ["a", "b", "c"], ["a", "b", "c"]),
    ],
)
def test_python_needs_no_sample_for_onnx(
    db: modeldb.Database, artifact: bytes, names: list[str] | None, features: list[str]
) -> None:
    made = db.register("m", artifact, feature_names=names)
    assert made.signature.names == features
    assert db.predict("m", [[1.0, 10.0, 100.0]]).tolist() == [111.0]
    db.promote("m", 1, "challenger")


def test_too_few_names_for_the_values_that_a_graph_takes(db: modeldb.Database) -> None:
    with pytest.raises(SignatureMismatch):
        db.register("m", linear(1.0, 1.0, 1.0), feature_names=["a", "b"])


def test_an_estimator_needs_a_sample(db: modeldb.Database, width: Trained) -> None:
    with pytest.raises(InvalidSample, match="m: no sample"):
        db.register("m", width.estimator)
