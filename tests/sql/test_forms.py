"""Every function with every form of a row gives scikit-learn's own answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import psycopg
import pytest
from support.answers import answer, answers
from support.flowers import Garden

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
LIST = ", ".join(f"t.{name}" for name in FEATURES)
Rounding = Callable[[pd.DataFrame], pd.DataFrame]


def exact(X: pd.DataFrame) -> pd.DataFrame:
    return X


def single(X: pd.DataFrame) -> pd.DataFrame:
    return X.astype(np.float32).astype(np.float64)


def whole(X: pd.DataFrame) -> pd.DataFrame:
    return X.round()


# name: (source, row, what the form does to the numbers)
BY_NAME: dict[str, tuple[str, str, Rounding]] = {
    "table row": ("flowers t", "t", exact),
    "table row in parentheses": ("flowers t", "(t)", exact),
    "table row with .*": ("flowers t", "(t.*)", exact),
    "composite value": ("flowers t", f"ROW({LIST})::blossom", exact),
    "composite with extra columns": ("flowers t", f"ROW('x', {LIST}, now())::wrapped", exact),
    "composite in a composite": (
        f"(SELECT ROW(ROW({LIST})::blossom)::vase AS v, row_id FROM flowers t) t",
        "(t.v).f",
        exact,
    ),
    "domain over a composite": ("flowers t", f"ROW({LIST})::rose", exact),
    "view row": ("garden t", "t", exact),
    "row of a materialized view": ("herbarium t", "t", exact),
    "row of a partitioned table": ("beds t", "t", exact),
    "row of a table with dropped columns": ("pruned t", "t", exact),
    "row with a generated column": ("generated t", "t", exact),
    "subquery row, columns in another order": (
        "(SELECT petal_width, petal_length, 'x'::text AS extra, sepal_width, sepal_length, row_id FROM flowers) t",
        "t",
        exact,
    ),
    "CTE row, columns in another order": (
        "(WITH c AS MATERIALIZED (SELECT petal_width, sepal_length, petal_length, sepal_width, row_id FROM flowers)"
        " SELECT c, c.row_id FROM c) t",
        "t.c",
        exact,
    ),
    "function's row": ("all_flowers() t", "t", exact),
    "VALUES row": (
        "(SELECT v, f.row_id FROM flowers f, LATERAL (VALUES (f.petal_width, f.sepal_width, f.petal_length,"
        " f.sepal_length)) AS v (petal_width, sepal_width, petal_length, sepal_length)) t",
        "t.v",
        exact,
    ),
    "jsonb object": ("flowers t", "to_jsonb(t)", exact),
    "json object": ("flowers t", "row_to_json(t)", exact),
    "text": ("flowers t", "to_json(t)::text", exact),
    "varchar": ("flowers t", "to_json(t)::varchar", exact),
    "char": ("flowers t", "to_json(t)::char(200)", exact),
    "domain over text": ("flowers t", "to_json(t)::text::note", exact),
}
BY_POSITION: dict[str, tuple[str, str, Rounding]] = {
    "ROW": ("flowers t", f"ROW({LIST})", exact),
    "ROW of numeric": ("flowers t", "ROW(" + ", ".join(f"t.{name}::numeric" for name in FEATURES) + ")", exact),
    "jsonb array": ("flowers t", f"jsonb_build_array({LIST})", exact),
    "json array": ("flowers t", f"json_build_array({LIST})", exact),
    "float8[]": ("flowers t", f"ARRAY[{LIST}]", exact),
    "numeric[]": ("flowers t", f"ARRAY[{LIST}]::numeric[]", exact),
    "float4[]": ("flowers t", f"ARRAY[{LIST}]::float4[]", single),
    "int2[]": ("flowers t", f"ARRAY[{LIST}]::int2[]", whole),
    "int4[]": ("flowers t", f"ARRAY[{LIST}]::int4[]", whole),
    "int8[]": ("flowers t", f"ARRAY[{LIST}]::int8[]", whole),
    "array of two dimensions": ("flowers t", "ARRAY[[sepal_length, sepal_width], [petal_length, petal_width]]", exact),
    "array with other bounds": ("flowers t", f"('[0:3]=' || ARRAY[{LIST}]::text)::float8[]", exact),
    "domain over an array": ("flowers t", f"ARRAY[{LIST}]::bouquet", exact),
}
FORMS = BY_NAME | BY_POSITION

SETUP = """
CREATE TYPE blossom AS (sepal_length float8, sepal_width float8, petal_length float8, petal_width float8);
CREATE TYPE wrapped AS (label text, sepal_length float8, sepal_width float8, petal_length float8, petal_width float8,
    picked timestamptz);
CREATE TYPE vase AS (f blossom);
CREATE DOMAIN rose AS blossom;
CREATE DOMAIN note AS text;
CREATE DOMAIN bouquet AS float8[];
CREATE VIEW garden AS SELECT petal_width, petal_length, sepal_width, sepal_length, row_id, 'v' AS kind FROM flowers;
CREATE MATERIALIZED VIEW herbarium AS SELECT * FROM garden;
CREATE TABLE beds (row_id bigint, petal_width float8, petal_length float8, sepal_width float8, sepal_length float8)
    PARTITION BY LIST ((row_id % 2));
CREATE TABLE bed_even (sepal_length float8, sepal_width float8, petal_length float8, petal_width float8, row_id bigint);
ALTER TABLE beds ATTACH PARTITION bed_even FOR VALUES IN (0);
CREATE TABLE bed_odd PARTITION OF beds FOR VALUES IN (1);
INSERT INTO beds SELECT row_id, petal_width, petal_length, sepal_width, sepal_length FROM flowers;
CREATE TABLE pruned AS SELECT row_id, 1 AS gone, sepal_length, 'x'::text AS lost, sepal_width, petal_length, petal_width
    FROM flowers;
ALTER TABLE pruned DROP COLUMN gone, DROP COLUMN lost;
CREATE TABLE generated (row_id bigint, half float8, sepal_width float8, petal_length float8, petal_width float8,
    sepal_length float8 GENERATED ALWAYS AS (half * 2) STORED);
INSERT INTO generated SELECT row_id, sepal_length / 2, sepal_width, petal_length, petal_width FROM flowers;
CREATE FUNCTION all_flowers() RETURNS SETOF flowers LANGUAGE sql AS 'SELECT * FROM flowers';
"""


@pytest.fixture(scope="module", autouse=True)
def _forms(garden: Garden, reader: psycopg.Connection) -> None:
    reader.execute(SETUP)


each_form = pytest.mark.parametrize(("source", "row", "rounding"), FORMS.values(), ids=FORMS.keys())


def ask(connection: psycopg.Connection, call: str, source: str) -> list[Any]:
    return answers(connection, f"SELECT {call} FROM {source} ORDER BY t.row_id")


@each_form
def test_predict_label_and_probabilities_of_every_form(
    garden: Garden, reader: psycopg.Connection, source: str, row: str, rounding: Rounding
) -> None:
    X = rounding(garden.X)
    assert ask(reader, f"predict_label('species', {row})", source) == garden.species.estimator.predict(X).tolist()
    proba = garden.species.estimator.predict_proba(X)
    np.testing.assert_allclose(ask(reader, f"predict_proba('species', {row})", source), proba, rtol=1e-9, atol=1e-12)
    one = ask(reader, f"predict_proba('species', {row}, 'versicolor')", source)
    np.testing.assert_allclose(one, proba[:, 1], rtol=1e-9)


@each_form
def test_predict_json_of_every_form(
    garden: Garden, reader: psycopg.Connection, source: str, row: str, rounding: Rounding
) -> None:
    found = ask(reader, f"predict_json('species', {row})", source)
    X = rounding(garden.X)
    assert [document["label"] for document in found] == garden.species.estimator.predict(X).tolist()
    assert list(found[0]) == sorted(
        ["model", "version", "label", "value", "probabilities", "outputs"], key=lambda key: (len(key), key)
    )
    assert (found[0]["model"], found[0]["version"], found[0]["value"]) == ("species", 1, None)
    by_class = [[document["probabilities"][c] for c in garden.species.estimator.classes_] for document in found]
    np.testing.assert_allclose(by_class, garden.species.estimator.predict_proba(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("source", "row", "rounding"), BY_NAME.values(), ids=BY_NAME.keys())
def test_predict_takes_rows_with_more_columns_than_features(
    garden: Garden, reader: psycopg.Connection, source: str, row: str, rounding: Rounding
) -> None:
    expected = garden.width.estimator.predict(rounding(garden.width.X))
    np.testing.assert_allclose(ask(reader, f"predict('width', {row})", source), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("row", "rounding"),
    [
        ("ROW(t.sepal_length, t.sepal_width, t.petal_length)", exact),
        ("ARRAY[t.sepal_length, t.sepal_width, t.petal_length]", exact),
        ("ARRAY[t.sepal_length, t.sepal_width, t.petal_length]::numeric[]", exact),
        ("ARRAY[t.sepal_length, t.sepal_width, t.petal_length]::float4[]", single),
        ("ARRAY[t.sepal_length, t.sepal_width, t.petal_length]::int2[]", whole),
        ("ARRAY[t.sepal_length, t.sepal_width, t.petal_length]::int4[]", whole),
        ("ARRAY[t.sepal_length, t.sepal_width, t.petal_length]::int8[]", whole),
        ("json_build_array(t.sepal_length, t.sepal_width, t.petal_length)", exact),
        ("jsonb_build_array(t.sepal_length, t.sepal_width, t.petal_length)::text", exact),
    ],
)
def test_predict_by_position(garden: Garden, reader: psycopg.Connection, row: str, rounding: Rounding) -> None:
    expected = garden.width.estimator.predict(rounding(garden.width.X))
    np.testing.assert_allclose(ask(reader, f"predict('width', {row})", "flowers t"), expected, rtol=1e-12)


LITERALS = [
    '\'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4}\'',
    '\'{"petal_length": 1.4, "sepal_length": 5.1, "other": [1, {}], "sepal_width": 3.5}\'',
    '\'{"PETAL_LENGTH": 1.4, "Sepal_Length": 5.1, "sepal_width": 3.5}\'',
    "'[5.1, 3.5, 1.4]'",
    "' [ 5.1,3.5 , 1.4 ] '",
    "'[5.1, 3.5, 1.4]'::json",
    "'[5.1, 3.5, 1.4]'::jsonb",
    "ARRAY[5.1, 3.5, 1.4]",
    "'{5.1,3.5,1.4}'::float8[]",
    "ROW(5.1, 3.5, 1.4)",
    "(5.1, 3.5, 1.4)",
    "ROW(5.1::float8, 3.5::numeric, 1.4::float8)",
    "(SELECT r FROM (SELECT 1.4 AS petal_length, 5.1 AS sepal_length, 3.5 AS sepal_width) r)",
]


@pytest.mark.parametrize("literal", LITERALS)
def test_a_row_written_by_hand_needs_no_cast(garden: Garden, reader: psycopg.Connection, literal: str) -> None:
    row = pd.DataFrame([[5.1, 3.5, 1.4]], columns=list(garden.width.X.columns))
    assert answer(reader, f"SELECT predict('width', {literal})") == pytest.approx(
        garden.width.estimator.predict(row)[0]
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ARRAY[5, 3, 1]", [5, 3, 1]),
        ("ROW(5, 3, 1)", [5, 3, 1]),
        ("'[5, 3, 1]'", [5, 3, 1]),
        ("ROW(5::int2, 3::int8, true)", [5, 3, 1]),
    ],
)
def test_integers_serve_as_doubles(
    garden: Garden, reader: psycopg.Connection, expression: str, expected: list[int]
) -> None:
    row = pd.DataFrame([expected], columns=list(garden.width.X.columns), dtype=np.float64)
    found = answer(reader, f"SELECT predict('width', {expression})")
    assert found == pytest.approx(cast(float, garden.width.estimator.predict(row)[0]))


@pytest.mark.parametrize(
    ("values", "query"),
    [
        (([5.1, 3.5, 1.4],), "SELECT predict('width', %s)"),
        (([5.1, 3.5, 1.4],), "SELECT predict('width', %b)"),
        (("[5.1, 3.5, 1.4]",), "SELECT predict('width', %s)"),
        (("width", "[5.1, 3.5, 1.4]"), "SELECT predict(%s, %s)"),
        ((5.1, 3.5, 1.4), "SELECT predict('width', ROW(%s, %s, %s))"),
        ((5.1, 3.5, 1.4), "SELECT predict('width', ROW(%b, %b, %b))"),
    ],
)
def test_parameters_of_a_driver(
    garden: Garden, reader: psycopg.Connection, values: tuple[object, ...], query: str
) -> None:
    row = pd.DataFrame([[5.1, 3.5, 1.4]], columns=list(garden.width.X.columns))
    assert answer(reader, query, *values) == pytest.approx(garden.width.estimator.predict(row)[0])
