"""Rows of subqueries keep the types of their columns, whatever the session is set to."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from support.answers import answer, refusal
from support.fixtures import Session
from support.onnx_models import linear

import modeldb
from modeldb.errors import MalformedInput, WrongType


def register(db: modeldb.Database, *names: str) -> None:
    signature = json.dumps({"features": list(names), "task": "regression"})
    artifact = linear(*(10.0**i for i in range(len(names))))
    db.query("SELECT modeldb.register_model('m', :onnx, CAST(:s AS jsonb))", onnx=artifact, s=signature)


def test_blanks_that_pad_a_char_column_do_not_count(db: modeldb.Database, session: Session) -> None:
    X = pd.DataFrame({"sex": ["male", "female"] * 50})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, X["sex"] == "male")
    db.register("m", model, sample=X)
    connection = session()
    expected = answer(connection, "SELECT predict_proba('m', ROW('male'), 'true')")
    for form in ("s", "ROW(s.sex)", "(SELECT r FROM (SELECT 'male'::char(10) AS sex) r)"):
        query = f"SELECT predict_proba('m', {form}, 'true') FROM (SELECT 'male'::char(10) AS sex) s"
        assert answer(connection, query) == pytest.approx(expected)


def test_rounded_output_of_numbers_does_not_round_the_input(db: modeldb.Database, session: Session) -> None:
    register(db, "a", "b")
    connection = session()
    connection.execute("SET extra_float_digits = -10")
    for row in ("ROW(0.123456789012345678::float8, 0)", "s"):
        rows = "(SELECT 0 AS b, 0.123456789012345678::float8 AS a) s"
        assert answer(connection, f"SELECT predict('m', {row}) = 0.123456789012345678::float8 FROM {rows}") is True


def test_two_columns_of_one_name_are_ambiguous(db: modeldb.Database, session: Session) -> None:
    register(db, "a", "b")
    refusal(
        session(), "SELECT predict('m', s) FROM (SELECT 1 AS a, 2 AS a, 3 AS b) s", MalformedInput, "'m'", "same name"
    )


def test_columns_may_change_their_types_from_row_to_row(db: modeldb.Database, session: Session) -> None:
    register(db, "a", "b")
    connection = session()
    for first in ("1", "1.0", "1::float4", "1::bigint", "1::numeric", "1::smallint"):
        assert answer(connection, f"SELECT predict('m', s) FROM (SELECT {first} AS a, 2 AS b, now() AS c) s") == 21
    refusal(connection, "SELECT predict('m', s) FROM (SELECT '1'::text AS a, 2 AS b) s", WrongType, "'m'", "'a'")
