"""Artifacts that are not what they seem, and rows whose names can be read in two ways."""

from __future__ import annotations

import json

import pytest
from onnx import helper
from support.answers import answer, refusal
from support.fixtures import Session
from support.onnx_models import linear, serialize

import modeldb
from modeldb.errors import InvalidArtifact, MalformedInput, MissingFeature, SignatureMismatch


def register(db: modeldb.Database, artifact: bytes, *names: str) -> None:
    signature = json.dumps({"features": list(names), "task": "regression"})
    db.query("SELECT modeldb.register_model('m', :onnx, CAST(:s AS jsonb))", onnx=artifact, s=signature)


def test_onnxruntimes_own_format_is_refused(db: modeldb.Database) -> None:
    """It could be read as ONNX too, with other contents, and so pass the gate for something else."""
    whole = linear(1.0, 2.0)
    with pytest.raises(InvalidArtifact, match="own format"):
        register(db, whole[:4] + b"ORTM" + whole[4:], "a", "b")


def test_maps_of_probabilities_are_refused(db: modeldb.Database) -> None:
    nodes = [
        helper.make_node("ZipMap", ["X"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
        helper.make_node("ArgMax", ["X"], ["label"], axis=1, keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("X", 1, [None, 2])]
    maps = helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, []))
    outputs = [
        helper.make_tensor_value_info("label", 7, [None]),
        helper.make_value_info("maps", helper.make_sequence_type_proto(maps)),
    ]
    artifact = serialize(nodes, inputs=inputs, outputs=outputs)
    for extra in ({}, {"outputs": {"label": "label", "probabilities": "maps"}}):
        signature = json.dumps({"features": ["a", "b"], "task": "classification", "classes": [0, 1], **extra})
        with pytest.raises(SignatureMismatch, match="maps") as caught:
            db.query("SELECT modeldb.register_model('m', :onnx, CAST(:s AS jsonb))", onnx=artifact, s=signature)
        assert "zipmap" in (caught.value.hint or "").lower()


def test_row_is_not_taken_by_name_where_names_and_positions_contradict(db: modeldb.Database, session: Session) -> None:
    register(db, linear(1.0, 10.0), "f2", "f1")
    connection = session()
    refusal(connection, "SELECT predict('m', ROW(5, 7))", MalformedInput, "'m'", "positions")
    assert answer(connection, "SELECT predict('m', ARRAY[5, 7])") == 75
    connection.execute("CREATE TYPE named AS (f1 float8, f2 float8)")
    assert answer(connection, "SELECT predict('m', ROW(7, 5)::named)") == 75


def test_json_names_that_differ_only_in_case_are_ambiguous(db: modeldb.Database, session: Session) -> None:
    register(db, linear(1.0, 10.0), "amount", "b")
    connection = session()
    refusal(connection, """SELECT predict('m', '{"Amount": 1, "AMOUNT": 2, "b": 0}')""", MissingFeature, "'amount'")
    assert answer(connection, """SELECT predict('m', '{"Amount": 1, "b": 0}')""") == 1
    assert answer(connection, """SELECT predict('m', '{"amount": 1, "AMOUNT": 2, "b": 0}')""") == 1


@pytest.mark.parametrize("setting", ["²", "many", "-1", ""])
def test_odd_cache_budgets_are_the_default(db: modeldb.Database, session: Session, setting: str) -> None:
    register(db, linear(1.0, 10.0), "a", "b")
    connection = session()
    connection.execute("SELECT set_config('modeldb.cache_mb', %s, false)", [setting])
    assert answer(connection, "SELECT predict('m', ARRAY[1, 1])") == 11
