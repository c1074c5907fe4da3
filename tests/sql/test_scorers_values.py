"""The score is what predict() says of the row, to the last bit, whatever the types of its columns."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support.answers import answer, answers
from support.scorers import attach

MODELS = ["kinds", "mixed", "gaps", "cancer", "diabetes", "width", "species"]
SOURCES = {"width": "flowers", "species": "flowers"}
CLASSES = {"species": "virginica", "mixed": "1", "cancer": "0"}


def differing(connection: psycopg.Connection, table: str, score: str, label: str) -> list[Any]:
    """Rows of a table whose score or label is not the given expression over the row r."""
    return answers(
        connection,
        f"""SELECT r FROM {table} AS r WHERE score IS DISTINCT FROM {score}
            OR label IS DISTINCT FROM {label} OR score_error IS NOT NULL OR version <> 1 OR version IS NULL""",
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_score_and_the_label_are_those_of_a_single_prediction(
    batch_models: None, work: psycopg.Connection, model: str
) -> None:
    source = SOURCES.get(model, model)
    work.execute(f"CREATE TABLE scored AS SELECT * FROM {source} LIMIT 0".encode())
    label = CLASSES.get(model)
    attach(work, "scored", model, class_=label, on_error="null", label="label", model_version="version")
    work.execute(f"INSERT INTO scored SELECT * FROM {source}".encode())
    assert answer(work, "SELECT count(*) FROM scored") == answer(work, f"SELECT count(*) FROM {source}") > 100
    score = f"predict('{model}', r)" if label is None else f"predict_proba('{model}', r, '{label}')"
    assert differing(work, "scored", score, f"predict_label('{model}', r)") == []
    assert answer(work, "SELECT count(score) FROM scored") > 0


TYPES = ["float8", "float4", "numeric", "numeric(12,3)", "int", "smallint", "bigint", "bool", "work.amount"]
PAIRS = [(kind, other) for kind in TYPES for other in ("float8", "int", kind)]


@pytest.mark.parametrize(("a", "b"), sorted(set(PAIRS)))
def test_numbers_of_any_type(work: psycopg.Connection, a: str, b: str) -> None:
    work.execute(f"CREATE DOMAIN work.amount AS numeric; CREATE TABLE t (id int, a {a}, b {b})".encode())
    attach(work, "t", on_error="null")
    values = {"bool": "i % 2 = 0", "float4": "i / 7.0"}
    columns = ", ".join(f"({values.get(kind, 'i * 3')})::{kind}" for kind in (a, b))
    work.execute(f"INSERT INTO t SELECT i, {columns} FROM generate_series(-20, 20) AS i".encode())
    work.execute("INSERT INTO t VALUES (100, NULL, NULL), (101, NULL, (1::int)::text::{0})".replace("{0}", b).encode())
    found = "SELECT count(*) FROM t WHERE score IS DISTINCT FROM predict('m', t) AND id < 100"
    assert answer(work, found) == 0
    assert answer(work, "SELECT count(score) FROM t") == 41
    assert answer(work, "SELECT count(score_error) FROM t WHERE id >= 100") == 2


def test_numbers_that_are_not_finite_or_missing(batch_models: None, work: psycopg.Connection) -> None:
    """gaps was trained with missing values, which come as NULL or as NaN."""
    columns = answers(work, "SELECT jsonb_path_query(describe('gaps'), '$.features[*].name') #>> '{}'")
    work.execute("CREATE TABLE t AS SELECT * FROM gaps LIMIT 0")
    attach(work, "t", "gaps", on_error="null")
    given = ", ".join(f'CASE row_id % 4 WHEN {at % 4} THEN NULL ELSE "{name}" END' for at, name in enumerate(columns))
    names = ", ".join(f'"{name}"' for name in columns)
    work.execute(f"INSERT INTO t (row_id, {names}) SELECT row_id, {given} FROM gaps".encode())
    wrong = "CASE WHEN score_error IS NULL THEN score IS DISTINCT FROM predict('gaps', t) ELSE score IS NOT NULL END"
    assert answer(work, f"SELECT count(*) FROM t WHERE {wrong}") == 0
    assert answer(work, "SELECT count(*) FROM t WHERE score_error IS NULL") > 20
    assert answer(work, "SELECT count(*) FROM t WHERE score_error LIKE '%is NULL%'") > 20


def test_inputs_of_integers_and_booleans(batch_models: None, work: psycopg.Connection) -> None:
    work.execute("SELECT promote('m', 1)")
    model = answer(work, "SELECT name FROM modeldb.models WHERE name IN ('k', 'tensors')")
    work.execute("CREATE TABLE t (a bigint, b bool, c float8)")
    attach(work, "t", model, on_error="null")
    work.execute(
        "INSERT INTO t VALUES (1, true, 0.5), (-7, false, 1e10), (NULL, true, 1), (9007199254740993, false, 0)"
    )
    assert answers(work, f"SELECT score = predict('{model}', t) FROM t WHERE a IS NOT NULL") == [True] * 3
    assert answers(work, "SELECT score_error IS NULL FROM t WHERE a IS NULL") == [False]


@pytest.mark.parametrize("kind", ["text", "varchar(20)", "char(8)", "name", "work.town", "work.city"])
def test_texts_of_any_type(batch_models: None, work: psycopg.Connection, kind: str) -> None:
    work.execute(
        f"""CREATE TYPE work.town AS ENUM ('Aachen', 'Bonn', 'Köln'); CREATE DOMAIN work.city AS text;
        CREATE TABLE t (city {kind}, color text, amount float8, age int)""".encode()
    )
    attach(work, "t", "mixed", on_error="null")
    work.execute("INSERT INTO t VALUES ('Köln', 'red', 100, 30), ('Bonn', NULL, NULL, 50), ('Aachen', 'green', 90, 80)")
    assert answer(work, "SELECT count(*) FROM t WHERE score = predict('mixed', t)") == 3
    work.execute("SET client_encoding = 'LATIN1'")
    work.execute("INSERT INTO t VALUES ('Köln', 'red', 1, 1)")
    work.execute("RESET client_encoding")
    assert answer(work, "SELECT count(score) FROM t") == 4
    refused = "INSERT INTO t VALUES (%s, 'red', 100, 30)"
    if kind != "work.town":
        work.execute(refused.encode(), ["Ulm"])
        assert "'Ulm'" in answer(work, "SELECT score_error FROM t WHERE score IS NULL")
