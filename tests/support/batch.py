"""What batch predictions should be, as the functions for one row say it; small models whose predictions are counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

import modeldb
from support.answers import answer, answers
from support.flowers import Garden
from support.models import Trained
from support.onnx_models import TENSORS, described, linear, tensors
from support.server import plain
from support.tables import write_table

CALLS = {
    "prediction": "predict({model}, s)",
    "label": "predict_label({model}, s)",
    "probability": "(SELECT max(p) FROM unnest(predict_proba({model}, s)) AS p)",
}
EVERY = tuple(CALLS)
Connect = Callable[[], psycopg.Connection]
KINDS = pytest.mark.parametrize("incremental", [False, True], ids=["materialized", "incremental"])
TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, a float8, b float8, note text);
    INSERT INTO t SELECT i, i * 0.1, -i, 'n' || i FROM generate_series(1, 100) AS i"""
CREATE = "create_predictions('p', 'm', 't', 'id')"


@pytest.fixture(scope="module")
def linear_models(module_db: modeldb.Database) -> None:
    """Versions 1 and 2 of the model m: 2 a + b, which is the champion, and 3 a + b."""
    with psycopg.connect(plain(module_db.engine.url.render_as_string(hide_password=False))) as connection:
        for weight in (2.0, 3.0):
            signature = Jsonb(described("a", "b"))
            answer(connection, "SELECT register_model('m', %s, %s::jsonb) IS NULL", linear(weight, 1.0), signature)


@pytest.fixture
def clean(linear_models: None, reader: psycopg.Connection) -> psycopg.Connection:
    """The module's connection, without any predictions and without the table t, and m/1 the champion."""
    while reader.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        reader.execute("ROLLBACK")
    reader.execute("RESET ALL")
    names = "SELECT name FROM modeldb.prediction_set ORDER BY created_at DESC"
    for name in answers(reader, names):
        reader.execute("SELECT drop_predictions(%s, true)", [name])
    reader.execute("DROP TABLE IF EXISTS t CASCADE; TRUNCATE modeldb.batch_runs; SELECT promote('m', 1)")
    return reader


@pytest.fixture
def connect(module_url: str) -> Iterator[Connect]:
    """Makes more connections to the module's database."""
    opened: list[psycopg.Connection] = []

    def make() -> psycopg.Connection:
        opened.append(psycopg.connect(plain(module_url), autocommit=True))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture(scope="module")
def batch_models(
    module_db: modeldb.Database,
    garden: Garden,
    linear_models: None,
    request: pytest.FixtureRequest,
) -> None:
    """Besides those of garden and linear_models: models of that name with a table each, and k of integer tensors."""
    for name in ("kinds", "mixed", "gaps", "cancer", "diabetes"):
        trained: Trained = request.getfixturevalue(name)
        module_db.register(name, trained.estimator, sample=trained.X)
        write_table(module_db, name, trained.X)
    signature = json.dumps({"features": TENSORS, "task": "regression"})
    module_db.query("SELECT modeldb.register_model('k', :onnx, CAST(:s AS jsonb))", onnx=tensors(), s=signature)


@pytest.fixture
def made(clean: psycopg.Connection) -> psycopg.Connection:
    """A table t of 100 rows, and predictions p of it by m."""
    clean.execute(TABLE.encode())
    run(clean, CREATE)
    return clean


def shape(connection: psycopg.Connection, view: str) -> list[str]:
    """Which of prediction, label and probability a view has."""
    names = connection.execute(f"SELECT * FROM {view} LIMIT 0".encode()).description or []
    return [column.name for column in names if column.name in CALLS]


def wrong_rows(connection: psycopg.Connection, view: str, source: str, model: str, *key: str) -> list[Any]:
    """The rows of a view that are not what single predictions say of the source, and those lacking."""
    names = shape(connection, view)
    keys, outputs = ", ".join(key), ", ".join(names)
    found = f"SELECT {keys}, {outputs} FROM {view}"
    return differences(connection, f"SELECT {keys}, {single(model, *names)} FROM {source} AS s", found, keys, *names)


def single(model: str, *names: str) -> str:
    """SQL of single predictions of the row s."""
    return ", ".join(CALLS[name].format(model=f"'{model}'") + f" AS {name}" for name in names)


def differences(connection: psycopg.Connection, one: str, other: str, keys: str, *names: str) -> list[Any]:
    """The rows of two queries with the same keys that differ, or that only one of them has.

    Numbers and labels are to be the same to the last bit. onnxruntime's softmax takes several numbers at once with
    another exp() than what is left over at the end, so that probabilities may differ in the last bits.
    """
    conditions = [f"one.{name} IS DISTINCT FROM other.{name}" for name in names if name != "probability"]
    if "probability" in names:
        near = "abs(one.probability - other.probability) <= 1e-14 * one.probability"
        conditions.append(f"NOT coalesce({near}, one.probability IS NULL AND other.probability IS NULL)")
    query = f"""
        WITH one AS (SELECT *, true AS there FROM ({one}) AS q), other AS (SELECT *, true AS there FROM ({other}) AS q)
        SELECT * FROM one FULL JOIN other USING ({keys})
        WHERE one.there IS NULL OR other.there IS NULL OR {" OR ".join(conditions)}"""
    return connection.execute(query.encode()).fetchall()


def run(connection: psycopg.Connection, call: str, *values: Any) -> dict[str, Any]:
    """The run that a call of create_predictions() or refresh_predictions() gives, as a dictionary."""
    cursor = connection.execute(f"SELECT * FROM {call}".encode(), values or None)
    names = [column.name for column in cursor.description or []]
    [row] = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def stored_rows(connection: psycopg.Connection, stored: str, key: str = "id") -> dict[Any, tuple[str, str]]:
    """Where each row is stored and which transaction wrote it, by key: the same for a row that was left alone."""
    rows = answers(connection, f"SELECT ARRAY[{key}::text, ctid::text, xmin::text] FROM {stored}")
    return {row[0]: (row[1], row[2]) for row in rows}


def refreshed(connection: psycopg.Connection, name: str = "p") -> tuple[Any, Any]:
    """(rows, scored) of a refresh without an error."""
    found = run(connection, "refresh_predictions(%s)", name)
    assert (found["error"], found["sqlstate"]) == (None, None)
    return found["rows"], found["scored"]


def columns(connection: psycopg.Connection, relation: str) -> list[tuple[str, str]]:
    """Names and types of a relation's columns."""
    query = """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
    return connection.execute(query.encode(), [relation]).fetchall()


def differing(connection: psycopg.Connection, model: str, source: str, key: str, *outputs: str) -> list[Any]:
    """Rows of predict_batch() that are not what single predictions say, and those lacking."""
    absent = " AND ".join(f"{name} IS NULL" for name in ("error", *(set(CALLS) - set(outputs))))
    one = f"SELECT {key}::text AS row_key, {single(model, *outputs)} FROM ({source}) AS s"
    batch = f"SELECT * FROM predict_batch('{model}', {_literal(source)}, '{key}') WHERE {absent}"
    return differences(connection, one, batch, "row_key", *outputs)


def _literal(text: str) -> str:
    return " E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
