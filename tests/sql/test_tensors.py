"""Graphs whose inputs are integers, booleans and float32: what their tensors cannot hold is refused, not rounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import answer, refusal
from support.fixtures import Session
from support.onnx_models import TENSORS as FEATURES
from support.onnx_models import tensors

import modeldb
from modeldb.errors import NonFiniteFeature, NullFeature, SignatureMismatch, WrongType


@pytest.fixture
def kinds(db: modeldb.Database) -> modeldb.Database:
    register(db, FEATURES)
    return db


def register(db: modeldb.Database, features: list[dict[str, Any]]) -> None:
    signature = json.dumps({"features": features, "task": "regression"})
    db.query("SELECT modeldb.register_model('k', :onnx, CAST(:s AS jsonb))", onnx=tensors(), s=signature)


VALUES = [
    ("ROW(1, true, 2.0)", 211.0),
    ("ROW(1::int2, false, 2)", 201.0),
    ("ROW(3.0::float8, true, 0.5::float4)", 63.0),
    ("""'{"a": -1, "b": 1, "c": 0}'""", 9.0),
    ("'[9007199254740993, false, 0]'::jsonb", 9007199254740992.0),
    ("ARRAY[1, 0, 2]", 201.0),
    ("(SELECT t FROM (VALUES (true, 2::float8, 1::bigint)) AS t (b, c, a))", 211.0),
]


@pytest.mark.parametrize(("row", "expected"), VALUES)
def test_values_reach_their_tensors(kinds: modeldb.Database, session: Session, row: str, expected: float) -> None:
    assert answer(session(), f"SELECT predict('k', {row})") == expected


@pytest.mark.parametrize("feature", ["a", "b", "c"])
def test_null_is_refused_by_every_kind_of_tensor(kinds: modeldb.Database, session: Session, feature: str) -> None:
    connection = session()
    connection.execute("CREATE TYPE abc AS (a bigint, b boolean, c float8)")
    values = {"a": "1", "b": "true", "c": "2.0"} | {feature: "NULL"}
    row = f"ROW({values['a']}, {values['b']}, {values['c']})"
    for form in (row, f"{row}::abc", f"to_jsonb({row}::abc)"):
        refusal(connection, f"SELECT predict('k', {form})", NullFeature, "'k'", f"'{feature}'", "NULL")
    kinds.configure("k", on_null="null")
    assert answer(connection, f"SELECT predict('k', {row}::abc)") is None
    assert answer(connection, "SELECT predict('k', ROW(1, true, 2.0)::abc)") == 211


REFUSED = [
    ("ROW(1.5, true, 2)", WrongType, "'a'"),
    ("ROW(1e30, true, 2)", WrongType, "'a'"),
    ("ROW(1, 2, 2)", WrongType, "'b'"),
    ("ROW('x', true, 2)", WrongType, "'a'"),
    ("ROW(1, true, 1e39)", NonFiniteFeature, "'c'"),
    ("ROW(1, true, 'Infinity'::float8)", NonFiniteFeature, "'c'"),
    ("ROW(1, true, 'NaN'::float8)", NonFiniteFeature, "'c'"),
]


@pytest.mark.parametrize(("row", "kind", "feature"), REFUSED)
def test_what_a_tensor_cannot_hold_is_refused(
    kinds: modeldb.Database, session: Session, row: str, kind: type[modeldb.ModeldbError], feature: str
) -> None:
    refusal(session(), f"SELECT predict('k', {row})", kind, "'k'", feature)


def test_integer_tensors_cannot_be_nullable(db: modeldb.Database) -> None:
    with pytest.raises(SignatureMismatch, match="cannot be nullable"):
        register(db, [{**FEATURES[0], "nullable": True}, *FEATURES[1:]])
