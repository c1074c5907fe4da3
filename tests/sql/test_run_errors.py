"""Models that load but fail while they run: an error of their own, and a backend that goes on."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from onnx import TensorProto, helper
from psycopg.types.json import Jsonb
from support.answers import answer, refusal
from support.onnx_models import described, serialize

import modeldb
from modeldb.errors import ModeldbError, RunFailed, SignatureMismatch


def picker() -> bytes:
    """The feature is a position in a list of three numbers; onnxruntime refuses any other position."""
    cast = helper.make_node("Cast", ["X"], ["i"], to=TensorProto.INT64)
    pick = helper.make_node("Gather", ["table", "i"], ["Y"])
    table = helper.make_tensor("table", TensorProto.DOUBLE, [3], [10.0, 20.0, 30.0])
    return serialize(
        [cast, pick],
        initializers=[table],
        inputs=[helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 1])],
    )


def softmax(outputs: int | None) -> bytes:
    """Two probabilities, declared to be ``outputs`` of them."""
    return serialize(
        [helper.make_node("Softmax", ["X"], ["P"], axis=1)],
        outputs=[helper.make_tensor_value_info("P", TensorProto.DOUBLE, [None, outputs])],
    )


def register(connection: psycopg.Connection, artifact: bytes, signature: dict[str, Any]) -> None:
    connection.execute("SELECT register_model('m', %s, %s)", (artifact, Jsonb(signature)))


@pytest.mark.parametrize("function", ["predict", "predict_label", "predict_json"])
def test_a_run_that_fails_is_an_error_and_the_next_row_is_answered(reader: psycopg.Connection, function: str) -> None:
    with reader.transaction(force_rollback=True):
        register(reader, picker(), described("i"))
        for _ in range(3):
            with reader.transaction(force_rollback=True):
                refusal(reader, f"SELECT {function}('m', ARRAY[3])", RunFailed, "model 'm'", "out of data bounds")
            assert answer(reader, "SELECT predict('m', ARRAY[2])") == 30.0


def test_a_run_that_fails_in_python(db: modeldb.Database) -> None:
    db.register("m", picker(), feature_names=["i"])
    assert db.predict("m", [[0.0], [2.0]]).tolist() == [10.0, 30.0]
    with pytest.raises(RunFailed, match="out of data bounds"):
        db.predict("m", [[0.0], [3.0]])


TOO_MANY = {"task": "classification", "classes": ["a", "b", "c"]}
TOO_FEW = {"task": "classification", "classes": ["a"]}


@pytest.mark.parametrize(
    ("classes", "call", "kind"),
    [
        (TOO_MANY, "predict_proba('m', ARRAY[1, 2], 'c')", SignatureMismatch),
        (TOO_FEW, "predict_label('m', ARRAY[1, 2])", SignatureMismatch),
    ],
)
def test_outputs_that_turn_out_not_to_fit_the_signature(
    scratch: psycopg.Connection, classes: dict[str, Any], call: str, kind: type[ModeldbError]
) -> None:
    register(scratch, softmax(None), described("a", "b", **classes))
    refusal(scratch, f"SELECT {call}", kind, "model 'm'")


def test_a_number_of_classes_that_the_graph_denies_is_refused_at_registration(scratch: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        register(scratch, softmax(2), described("a", "b", **TOO_MANY))
    assert caught.value.sqlstate == SignatureMismatch.sqlstate
