"""What a row may not be: every error of the input, through SQL, with its SQLSTATE, its words and a HINT."""

from __future__ import annotations

import numpy as np
import pandas as pd
import psycopg
import pytest
from support.answers import answer, refusal
from support.flowers import Garden
from support.models import Trained

import modeldb
from modeldb.errors import (
    InvalidName,
    MalformedInput,
    MissingFeature,
    ModeldbError,
    NonFiniteFeature,
    NoProbabilities,
    NotANumber,
    NullFeature,
    UnknownAlias,
    UnknownClass,
    UnknownModel,
    UnknownVersion,
    UnseenCategory,
    WrongFeatureCount,
    WrongType,
)


@pytest.fixture(scope="module", autouse=True)
def _models(module_db: modeldb.Database, garden: Garden, mixed: Trained, gaps: Trained, kinds: Trained) -> None:
    module_db.register("mixed", mixed.estimator, sample=mixed.X)
    module_db.register("gaps", gaps.estimator, sample=gaps.X)
    module_db.register("kinds", kinds.estimator, sample=kinds.X)


FUNCTIONS = ["predict('{}', {})", "predict_label('{}', {})", "predict_proba('{}', {})", "predict_json('{}', {})"]
each_function = pytest.mark.parametrize("call", FUNCTIONS)

REFERENCES: list[tuple[str, type[ModeldbError], str, str]] = [
    ("specie", UnknownModel, "there is no model 'specie'", "species"),
    ("spceies", UnknownModel, "'spceies'", "species"),
    ("nothing_like_it", UnknownModel, "'nothing_like_it'", "modeldb.models"),
    ("species/2", UnknownVersion, "model 'species' has no version 2", "1"),
    ("specie/1", UnknownModel, "'specie'", "species"),
    ("species@challenger", UnknownAlias, "model 'species' has no alias 'challenger'", "champion"),
    ("specie@champion", UnknownModel, "'specie'", "species"),
    ("", InvalidName, "''", "name@alias"),
    ("species/", InvalidName, "'species/'", "name@alias"),
    ("species/0", InvalidName, "'species/0'", "name@alias"),
    ("species/-1", InvalidName, "'species/-1'", "name@alias"),
    ("species/1.5", InvalidName, "'species/1.5'", "name@alias"),
    ("species/9999999999", InvalidName, "'species/9999999999'", "name@alias"),
    ("species@", InvalidName, "'species@'", "name@alias"),
    ("species@champion/1", InvalidName, "'species@champion/1'", "name@alias"),
    ("spe cies", InvalidName, "'spe cies'", "name@alias"),
    ("9lives", InvalidName, "'9lives'", "name@alias"),
    ("köln", InvalidName, "'köln'", "name@alias"),
    ("a" * 64, InvalidName, "'aaaa", "name@alias"),
]


@pytest.mark.parametrize(("reference", "kind", "message", "hint"), REFERENCES)
@each_function
def test_a_reference_that_means_nothing(
    reader: psycopg.Connection, call: str, reference: str, kind: type[ModeldbError], message: str, hint: str
) -> None:
    assert hint in refusal(reader, f"SELECT {call.format(reference, 'f')} FROM flowers f", kind, message)


# (row, error, words of the message)
ROWS: list[tuple[str, type[ModeldbError], str]] = [
    ("ARRAY[1.0, 2]", WrongFeatureCount, "takes 4 features, 2 were given"),
    ("ARRAY[1.0, 2, 3, 4, 5]", WrongFeatureCount, "takes 4 features, 5 were given"),
    ("'{}'::float8[]", WrongFeatureCount, "takes 4 features, 0 were given"),
    ("ROW(1.0, 2.0)", WrongFeatureCount, "takes 4 features, 2 were given"),
    ("ROW()", WrongFeatureCount, "takes 4 features, 0 were given"),
    ("'[1, 2, 3]'", WrongFeatureCount, "takes 4 features, 3 were given"),
    ("'[]'::jsonb", WrongFeatureCount, "takes 4 features, 0 were given"),
    ("(SELECT f FROM flowers_without_petals f LIMIT 1)", MissingFeature, "'petal_length'"),
    ("(SELECT r FROM (SELECT 1 AS sepal_length, 2 AS sepal_width) r)", MissingFeature, "'petal_length'"),
    ("'{}'", MissingFeature, "'sepal_length' is not in the JSON object"),
    ("'{\"sepal_length\": 1}'::jsonb", MissingFeature, "'sepal_width'"),
    ('\'{"f1": 1, "f3": 2}\'::jsonb', MissingFeature, "'sepal_length'"),
    ("'[1, 2, 3, \"x\"]'", WrongType, "'petal_width'"),
    ("'[1, 2, 3, [4]]'", WrongType, "'petal_width'"),
    ("'[1, 2, 3, {\"a\": 1}]'::json", WrongType, "'petal_width'"),
    ("'[1, 2, 3, \"4\"]'::jsonb", WrongType, "'petal_width'"),
    ("ARRAY['1', '2', '3', '4']", WrongType, "'sepal_length'"),
    ("ARRAY[now(), now(), now(), now()]", WrongType, "timestamp"),
    ("ROW(1, 2, 3, 'x'::text)", WrongType, "'petal_width'"),
    ("'not json'", MalformedInput, "JSON"),
    ("''", MalformedInput, "JSON"),
    ("'{\"sepal_length\": 1,}'", MalformedInput, "JSON"),
    ("'[1, 2, 3, NaN]'", MalformedInput, "JSON"),
    ("'5'", MalformedInput, "5"),
    ("'\"text\"'::jsonb", MalformedInput, "text"),
    ("'true'::json", MalformedInput, "True"),
    ("5", MalformedInput, "integer"),
    ("5.5::float8", MalformedInput, "double precision"),
    ("true", MalformedInput, "boolean"),
    ("now()", MalformedInput, "timestamp with time zone"),
    ("'\\x00'::bytea", MalformedInput, "bytea"),
    ("'[1,2]'::int4range", MalformedInput, "int4range"),
]


@pytest.fixture(scope="module", autouse=True)
def _table(garden: Garden, reader: psycopg.Connection) -> None:
    reader.execute(b"CREATE TABLE flowers_without_petals AS SELECT row_id, sepal_length, sepal_width FROM flowers")


@pytest.mark.parametrize(("row", "kind", "words"), ROWS)
@each_function
def test_a_row_that_does_not_fit(
    reader: psycopg.Connection, call: str, row: str, kind: type[ModeldbError], words: str
) -> None:
    refusal(reader, f"SELECT {call.format('species', row)}", kind, "model 'species'", words)


NULLS = [
    "ROW(1.0, NULL::float8)",
    "ARRAY[1.0, NULL]::float8[]",
    "ARRAY[1, NULL]",
    "'[1.0, null]'",
    "'[1.0, null]'::json",
    "'[1.0, null]'::jsonb",
    '\'{"a": 1.0, "b": null}\'',
    "(SELECT r FROM (SELECT 1.0::float8 AS a, NULL::float8 AS b) r)",
    "(NULL::float8, 1.0::float8, NULL::float8)::triple",
    "(1, NULL)::pair",
]


@pytest.fixture(scope="module", autouse=True)
def _types(reader: psycopg.Connection) -> None:
    reader.execute(b"CREATE TYPE triple AS (b float8, a float8, c float8); CREATE TYPE pair AS (a int, b numeric)")


@pytest.mark.parametrize("row", NULLS)
@each_function
def test_null_where_nothing_was_missing_in_the_sample(reader: psycopg.Connection, call: str, row: str) -> None:
    hint = refusal(reader, f"SELECT {call.format('gaps', row)}", NullFeature, "model 'gaps'", "feature 'b'", "NULL")
    assert "on_null" in hint


@pytest.mark.parametrize("row", NULLS)
@each_function
def test_null_gives_null_where_the_model_is_configured_so(scratch: psycopg.Connection, call: str, row: str) -> None:
    scratch.execute(b"SELECT configure('gaps', on_null => 'null')")
    assert answer(scratch, f"SELECT {call.format('gaps', row)}") is None
    assert answer(scratch, f"SELECT {call.format('gaps', 'ARRAY[NULL, 1.0]')}") is not None
    scratch.execute(b"SELECT configure('gaps', on_null => 'raise')")
    refusal(scratch, f"SELECT {call.format('gaps', row)}", NullFeature, "feature 'b'")


VALUES: list[tuple[str, str, type[ModeldbError], str]] = [
    ("gaps", "ARRAY[1, 'NaN']::float8[]", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "ARRAY[1, 'NaN']::numeric[]", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "'[1, \"NaN\"]'", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "ARRAY[1, 'Infinity']::float8[]", NonFiniteFeature, "feature 'b' is infinite"),
    ("gaps", "ARRAY['-Infinity', 1]::float4[]", NonFiniteFeature, "feature 'a' is -infinite"),
    ("gaps", "ARRAY[1, 'Infinity']::numeric[]", NonFiniteFeature, "feature 'b' is infinite"),
    ("gaps", "'[1, \"-Infinity\"]'::jsonb", NonFiniteFeature, "feature 'b' is -infinite"),
    ("gaps", "(1, 'Infinity'::float8)", NonFiniteFeature, "feature 'b' is infinite"),
    ("gaps", "ROW(1, 1e400)", MalformedInput, "number is infinity"),
    ("mixed", "ROW('Paris', 'red', 1.0, 20)", UnseenCategory, "feature 'city' is 'Paris'"),
    ("mixed", "'[\"Paris\", \"red\", 1.0, 20]'", UnseenCategory, "feature 'city' is 'Paris'"),
    ("mixed", "ROW('', 'red', 1.0, 20)", UnseenCategory, "feature 'city' is ''"),
    ("mixed", "ROW(NULL, 'red', 1.0, 20)", NullFeature, "feature 'city' is NULL"),
    ("mixed", "ROW(5, 'red', 1.0, 20)", WrongType, "feature 'city' is text, 5 is not"),
    ("mixed", "ROW('Bonn', 'red', 1.0, 20.5)", WrongType, "feature 'age' is int8, 20.5 is not a whole number"),
    ("mixed", "ROW('Bonn', 'red', 1.0, 1e300)", WrongType, "feature 'age' is int8"),
    ("mixed", "'[\"Bonn\", \"red\", 1.0, 9223372036854775808]'", WrongType, "feature 'age' is int8"),
    ("mixed", "ROW('Bonn', 'red', 'much', 20)", WrongType, "feature 'amount' is float8, 'much' is not"),
    ("kinds", "ROW(1, 1, 1, 2, 'a')", WrongType, "feature 'b' is bool, 2 is not"),
    ("kinds", "ROW(1, 1, 1, 'yes', 'a')", WrongType, "feature 'b' is bool, 'yes' is not"),
    ("kinds", "ROW(1, 1, NULL, true, 'a')", NullFeature, "feature 'n' is NULL"),
    ("kinds", "ROW(1, 1, 1, NULL, 'a')", NullFeature, "feature 'b' is NULL"),
    ("kinds", "ROW(1, NULL, 1, true, 'a')", NullFeature, "feature 'y' is NULL"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "row", "kind", "message"), VALUES)
def test_a_value_that_the_model_cannot_take(
    reader: psycopg.Connection, model: str, row: str, kind: type[ModeldbError], message: str
) -> None:
    refusal(reader, f"SELECT predict('{model}', {row})", kind, f"model '{model}'", message)


def test_a_missing_value_is_one_to_a_model_that_has_seen_them(
    reader: psycopg.Connection, gaps: Trained, mixed: Trained
) -> None:
    expected = gaps.estimator.predict_proba(pd.DataFrame({"a": [np.nan], "b": [0.5]}))[0, 1]
    for row in ("ROW(NULL::float8, 0.5)", "ROW('NaN'::float8, 0.5)", "ARRAY[NULL, 0.5]", "'[null, 0.5]'"):
        assert answer(reader, f"SELECT predict_proba('gaps', {row}, 'true')") == pytest.approx(expected, rel=1e-9)
    gap = mixed.X[mixed.X["color"].isna() & mixed.X["amount"].isna()].head(1)
    values = f"ROW('{gap['city'].item()}', NULL, NULL::float8, {gap['age'].item()})"
    expected = mixed.estimator.predict_proba(gap)[0, 1]
    assert answer(reader, f"SELECT predict_proba('mixed', {values}, '1')") == pytest.approx(expected, rel=1e-9)


ANSWERS: list[tuple[str, type[ModeldbError], str, str]] = [
    ("predict('species', f)", NotANumber, "the model's labels are texts", "predict_label"),
    ("predict_proba('width', f)", NoProbabilities, "regression", "predict"),
    ("predict_proba('width', f, '1')", NoProbabilities, "regression", "predict"),
    ("predict_proba('species', f, 'rose')", UnknownClass, "no class 'rose'", "versicolor"),
    ("predict_proba('species', f, 'Setosa')", UnknownClass, "no class 'Setosa'", "setosa"),
    ("predict_proba('gaps', ARRAY[1.0, 2.0], '1')", UnknownClass, "no class '1'", "true"),
]


@pytest.mark.parametrize(("call", "kind", "message", "hint"), ANSWERS)
def test_an_answer_that_the_model_does_not_have(
    reader: psycopg.Connection, call: str, kind: type[ModeldbError], message: str, hint: str
) -> None:
    assert hint in refusal(reader, f"SELECT {call} FROM flowers f", kind, "model '", message)


def test_an_error_leaves_the_backend_ready_for_the_next_row(garden: Garden, reader: psycopg.Connection) -> None:
    expected = garden.width.estimator.predict(garden.width.X)[0]
    for row in ("ARRAY[1.0]", "'not json'", "ROW('x', 1, 1)", "'[null, 1, 1]'", "ARRAY['NaN', 1, 1]::float8[]"):
        with pytest.raises(psycopg.Error):
            reader.execute(f"SELECT predict('width', {row})".encode())
        assert answer(reader, "SELECT predict('width', f) FROM flowers f WHERE row_id = 1") == pytest.approx(expected)


def test_numeric_labels_that_are_booleans_serve_as_numbers(reader: psycopg.Connection, gaps: Trained) -> None:
    assert answer(reader, "SELECT predict('gaps', ARRAY[3.0, 3.0])") == 1.0
    assert answer(reader, "SELECT predict_label('gaps', ARRAY[3.0, 3.0])") == "true"
    assert answer(reader, "SELECT predict_json('gaps', ARRAY[-3.0, -3.0])")["label"] is False
