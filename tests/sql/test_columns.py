"""Columns of every type that a feature can be bound to, and of those that it cannot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import psycopg
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from support.answers import answer, answers, refusal
from support.fixtures import Session
from support.flowers import Garden
from support.models import Trained
from support.tables import write_table

import modeldb
from modeldb.errors import MissingFeature, WrongType

ROW = {"x": 0.25, "y": 1.5, "n": 3, "b": True, "city": "Köln"}
TYPES = {"x": "float8", "y": "float4", "n": "int8", "b": "bool", "city": "text"}


@pytest.fixture(scope="module", autouse=True)
def _models(module_db: modeldb.Database, garden: Garden, kinds: Trained, reader: psycopg.Connection) -> None:
    module_db.register("kinds", kinds.estimator, sample=kinds.X)
    write_table(module_db, "things", kinds.X)
    reader.execute("CREATE DOMAIN price AS float8; CREATE DOMAIN dear AS price; CREATE DOMAIN place AS varchar(20)")
    reader.execute("CREATE TYPE town AS ENUM ('a', 'b', 'Köln'); CREATE DOMAIN seat AS town")


def expected(kinds: Trained, **values: object) -> float:
    row = pd.DataFrame([ROW | values]).astype({name: kinds.X[name].dtype for name in kinds.X})
    return float(kinds.estimator.predict(row)[0])


def make_one(connection: psycopg.Connection, **columns: str) -> None:
    """The table one with a row of the usual values; columns: expressions in place of them."""
    usual = {name: f"{value!r}::{TYPES[name]}" for name, value in ROW.items()}
    listed = ", ".join(f"{expression} AS {name}" for name, expression in (usual | columns).items())
    connection.execute(f"CREATE TEMP TABLE one AS SELECT {listed}".encode())


def test_a_feature_of_each_type(kinds: Trained, reader: psycopg.Connection) -> None:
    found = answers(reader, "SELECT predict('kinds', t) FROM things t ORDER BY row_id")
    np.testing.assert_allclose(found, kinds.estimator.predict(kinds.X), rtol=1e-9)


@pytest.mark.parametrize(
    "form", ["ROW(x, y, n, b, city)", "to_jsonb(t)", "to_json(t)::text", "jsonb_build_array(x, y, n, b, city)"]
)
def test_a_feature_of_each_type_in_other_forms(kinds: Trained, reader: psycopg.Connection, form: str) -> None:
    found = answers(reader, f"SELECT predict('kinds', {form}) FROM things t ORDER BY row_id")
    np.testing.assert_allclose(found, kinds.estimator.predict(kinds.X), rtol=1e-9)


BINDABLE = [
    ("x", "2::int2", 2.0),
    ("x", "2::int4", 2.0),
    ("x", "2::int8", 2.0),
    ("x", "2::oid", 2.0),
    ("x", "true", 1.0),
    ("x", "2.5::float4", 2.5),
    ("x", "0.1::float8", 0.1),
    ("x", "0.1::numeric", 0.1),
    ("x", "0.1::numeric(10, 4)", 0.1),
    ("x", "-123456789.000123456789::numeric", -123456789.000123456789),
    ("x", "1e-30::numeric", 1e-30),
    ("x", "12345678901234567890123::numeric", 12345678901234567890123.0),
    ("x", "0::numeric", 0.0),
    ("x", "100000000::numeric", 1e8),
    ("x", "2.5::price", 2.5),
    ("x", "2.5::dear", 2.5),
    ("y", "0.1::float8", 0.1),
    ("y", "0.1::numeric", 0.1),
    ("y", "2::int4", 2.0),
    ("n", "2::int2", 2),
    ("n", "2::int4", 2),
    ("n", "2::numeric", 2),
    ("n", "2::float8", 2),
    ("n", "true", 1),
    ("b", "1::int4", True),
    ("b", "0::float8", False),
    ("city", "'a'::varchar", "a"),
    ("city", "'a'::varchar(9)", "a"),
    ("city", "'a'::char(9)", "a"),
    ("city", "'a'::char", "a"),
    ("city", "'a'::name", "a"),
    ("city", "'a'::place", "a"),
    ("city", "'Köln'::town", "Köln"),
    ("city", "'Köln'::seat", "Köln"),
    ("city", "'Köln'::char(9)", "Köln"),
]  # fmt: skip


@pytest.mark.parametrize(("feature", "expression", "value"), BINDABLE)
def test_a_column_of_another_type_is_bound(
    kinds: Trained, scratch: psycopg.Connection, feature: str, expression: str, value: object
) -> None:
    make_one(scratch, **{feature: expression})
    wanted = pytest.approx(expected(kinds, **{feature: value}), rel=1e-9)
    assert answer(scratch, "SELECT predict('kinds', t) FROM one t") == wanted


UNBINDABLE = [
    ("x", "'1'::text", "feature 'x' is float8, its column text"),
    ("x", "'2020-01-01'::date", "feature 'x' is float8, its column date"),
    ("x", "now()", "feature 'x' is float8, its column timestamp with time zone"),
    ("x", "ARRAY[1]", "feature 'x' is float8, its column integer[]"),
    ("x", "'1'::jsonb", "feature 'x' is float8, its column jsonb"),
    ("x", "'a'::town", "feature 'x' is float8, its column town"),
    ("city", "1", "feature 'city' is text, its column integer"),
    ("city", "1.5::numeric", "feature 'city' is text, its column numeric"),
    ("city", "true", "feature 'city' is text, its column boolean"),
    ("city", "'\\x00'::bytea", "feature 'city' is text, its column bytea"),
    ("n", "2.5::float8", "feature 'n' is int8, 2.5 is not a whole number"),
    ("n", "2.5::numeric", "feature 'n' is int8, 2.5 is not a whole number"),
    ("b", "2", "feature 'b' is bool, 2 is not"),
]


@pytest.mark.parametrize(("feature", "expression", "message"), UNBINDABLE)
def test_a_column_of_a_foreign_type_is_refused(
    scratch: psycopg.Connection, feature: str, expression: str, message: str
) -> None:
    make_one(scratch, **{feature: expression})
    refusal(scratch, "SELECT predict('kinds', t) FROM one t", WrongType, "kinds", message)


LENGTH, WIDTH, PETAL = "1.0::float8 AS sepal_length", "2.0::float8 AS sepal_width", "3.0::float8 AS petal_length"


@pytest.mark.parametrize(
    "columns",
    [
        '1.0::float8 AS "Sepal_Length", 2.0::float8 AS SEPAL_WIDTH, 3.0::float8 AS "petal_LENGTH"',
        f'9.0::float8 AS "SEPAL_LENGTH", {LENGTH}, {WIDTH}, {PETAL}',
        f"NULL::jsonb AS doc, {WIDTH}, '{{1,2}}'::int[] AS many, {PETAL}, 'x'::text AS note, {LENGTH}",
        f"'x'::text AS note, {LENGTH}, now() AS at, 2::int2 AS sepal_width, NULL::text AS gone, {PETAL}",
        f"now() AS at, {LENGTH}, gen_random_uuid() AS id, {WIDTH}, {PETAL}, '1 day'::interval AS long",
        f"1::money AS price, {PETAL}, 't'::bool AS yes, {LENGTH}, {WIDTH}, '{{}}'::xml AS markup",
    ],
)
def test_columns_are_bound_by_name_among_others(garden: Garden, scratch: psycopg.Connection, columns: str) -> None:
    scratch.execute(f"CREATE TEMP TABLE odd AS SELECT {columns}".encode())
    expected = garden.width.estimator.predict(pd.DataFrame([[1, 2, 3]], columns=garden.width.X.columns))[0]
    assert answer(scratch, "SELECT predict('width', t) FROM odd t") == pytest.approx(expected, rel=1e-12)
    assert answer(scratch, f"SELECT predict('width', t) FROM (SELECT {columns}) t") == pytest.approx(expected)


def test_a_name_that_two_columns_have_in_other_cases_is_missing(scratch: psycopg.Connection, garden: Garden) -> None:
    scratch.execute(
        b'CREATE TEMP TABLE odd AS SELECT 1.0::float8 AS "Sepal_Length", 1.0::float8 AS "SEPAL_LENGTH",'
        b" 2.0::float8 AS sepal_width, 3.0::float8 AS petal_length"
    )
    refusal(scratch, "SELECT predict('width', t) FROM odd t", MissingFeature, "width", "'sepal_length'")


def test_a_feature_with_spaces_and_quotes_in_its_name(db: modeldb.Database, width: Trained) -> None:
    names = ['Länge "in" cm', "the width's", "x; DROP TABLE modeldb.model"]
    X = width.X.set_axis(names, axis=1)
    db.register("odd", width.estimator.__class__().fit(X, width.estimator.predict(width.X)), sample=X)
    write_table(db, "odd", X)
    [found] = db.query("SELECT array_agg(predict('odd', t) ORDER BY row_id) AS a FROM odd t")
    np.testing.assert_allclose(found["a"], width.estimator.predict(width.X), rtol=1e-9)


def test_an_array_of_texts(db: modeldb.Database, session: Session) -> None:
    X = pd.DataFrame({"a": ["x", "y", "x", "y"] * 5, "b": ["u", "u", "v", "v"] * 5})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression()).fit(X, np.arange(20.0))
    db.register("texts", model, sample=X)
    found = answers(session(), "SELECT predict('texts', ARRAY[a, 'v']) FROM unnest(ARRAY['x', 'y']) AS a")
    np.testing.assert_allclose(found, model.predict(pd.DataFrame({"a": ["x", "y"], "b": ["v", "v"]})), rtol=1e-9)
