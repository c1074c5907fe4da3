"""Where predict_batch() gets its rows: relations, queries, and names of all sorts."""

from __future__ import annotations

import json

import psycopg
import pytest
from psycopg.types.json import Jsonb
from support.answers import answers
from support.onnx_models import described, linear

import modeldb

pytestmark = pytest.mark.usefixtures("batch_models")


SOURCES = {
    "a table": "CREATE TABLE src AS {}",
    "a view": "CREATE VIEW src AS {}",
    "a materialized view": "CREATE MATERIALIZED VIEW src AS {}",
    "a temporary table": "CREATE TEMP TABLE src AS {}",
    "a partitioned table": "CREATE TABLE src (id int, a float8, b float8) PARTITION BY RANGE (id);"
    " CREATE TABLE s1 PARTITION OF src FOR VALUES FROM (0) TO (2); CREATE TABLE s2 PARTITION OF src DEFAULT;"
    " INSERT INTO src {}",
    "columns that were dropped": "CREATE TABLE src (x int, id int, y text, a float8, b float8);"
    " ALTER TABLE src DROP x, DROP y; INSERT INTO src {}",
    "columns in another order": "CREATE TABLE src AS SELECT b, id, 'x' AS more, a FROM ({}) AS s",
    "upper case columns": 'CREATE TABLE src AS SELECT id, a AS "A", b AS "B" FROM ({}) AS s',
}
ROWS = "SELECT * FROM (VALUES (1, 2.0, 3.0), (2, 4.0, 5.0)) AS v (id, a, b)"


@pytest.mark.parametrize("statement", SOURCES.values(), ids=SOURCES)
def test_kinds_of_relations(scratch: psycopg.Connection, statement: str) -> None:
    scratch.execute(statement.format(ROWS).encode())
    assert both(scratch, "src") == {"1": 7.0, "2": 13.0}


def both(connection: psycopg.Connection, source: str) -> dict[str, float]:
    """Keys and predictions."""
    query = "SELECT row_key, prediction FROM predict_batch('m', %s, 'id')"
    return dict(connection.execute(query.encode(), [source]).fetchall())


QUERIES = [
    ROWS,
    ROWS + ";",
    ROWS + " ; \n;",
    f"\n\t {ROWS}\n",
    ROWS + " -- said at the end",
    f"-- said first\n/* and\nsecond */ {ROWS}",
    ROWS.lower().replace("values", "VaLuEs"),
    "WITH v (id, a, b) AS (VALUES (1, 2.0, 3.0), (2, 4.0, 5.0)) SELECT * FROM v",
    "SELECT 1 AS id, 2 AS a, 3 AS b UNION ALL SELECT 2, 4, 5",
    "(SELECT 1 AS id, 2 AS a, 3 AS b) UNION ALL (SELECT 2, 4, 5)",
    "SELECT DISTINCT ON (id) * FROM (VALUES (2, 4, 5), (1, 2, 3), (2, 4, 5)) AS v (id, a, b) ORDER BY id",
    "WITH RECURSIVE r (id, a, b) AS (SELECT 1, 2, 3 UNION ALL SELECT id + 1, a + 2, b + 2 FROM r WHERE id < 2)"
    " SELECT * FROM r",
]


@pytest.mark.parametrize("query", QUERIES)
def test_kinds_of_queries(reader: psycopg.Connection, query: str) -> None:
    assert both(reader, query) == {"1": 7.0, "2": 13.0}


def test_table_and_values_are_queries(scratch: psycopg.Connection) -> None:
    scratch.execute(f"CREATE TABLE src AS {ROWS}".encode())
    assert both(scratch, "TABLE src") == {"1": 7.0, "2": 13.0}
    signature = Jsonb(described("column1", "column2"))
    scratch.execute("SELECT register_model('columns', %s, %s::jsonb)", [linear(2.0, 1.0), signature])
    assert answers(scratch, "SELECT prediction FROM predict_batch('columns', 'VALUES (1, 5), (2, 6)')") == [7.0, 10.0]


NAMES = ['"Upper Case"', '"select"', '"from"', "values_x", '"with"', '"a""b"', '"a.b"', "später", "\"é 'x'\"", '"$1"']


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schema", ["", '"My Schema".'])
def test_names_of_relations(scratch: psycopg.Connection, schema: str, name: str) -> None:
    scratch.execute('CREATE SCHEMA "My Schema"')
    scratch.execute(f"CREATE TABLE {schema}{name} AS {ROWS}".encode())
    assert both(scratch, schema + name) == {"1": 7.0, "2": 13.0}


def test_names_depend_on_the_search_path(scratch: psycopg.Connection) -> None:
    """Also those within functions, which are looked up while the rows are fetched."""
    for number, schema in enumerate(["one", "two"]):
        scratch.execute(
            f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.src AS SELECT 1 AS id, {number}.0 AS a, 0.0 AS b".encode()
        )
    body = "BEGIN RETURN (SELECT a FROM src); END"
    scratch.execute(f"CREATE FUNCTION weight() RETURNS float8 LANGUAGE plpgsql AS '{body}'".encode())
    for number, schema in enumerate(["one", "two"]):
        scratch.execute(f"SET LOCAL search_path = {schema}, public, modeldb".encode())
        assert both(scratch, "src") == {"1": 2.0 * number}
        assert both(scratch, "SELECT 1 AS id, weight() AS a, 0 AS b") == {"1": 2.0 * number}


COLUMN_NAMES = ["a b", "select", "A", 'x"y', "it's", "c0", "s", "n", "fetched", "ä", "{0}", "%s", "a.b", "c"]


@pytest.mark.parametrize("name", COLUMN_NAMES)
def test_names_of_columns(module_db: modeldb.Database, scratch: psycopg.Connection, name: str) -> None:
    signature = json.dumps({"features": [{"name": name, "type": "float8"}, {"name": "z", "type": "float8"}]})
    quoted = '"' + name.replace('"', '""') + '"'
    scratch.execute(b"SELECT register_model('named', %s, %s::jsonb)", [linear(2.0, 1.0), signature])
    scratch.execute(f"CREATE TABLE src ({quoted} float8, z float8); INSERT INTO src VALUES (1, 5), (2, 6)".encode())
    query = "SELECT row_key, prediction FROM predict_batch('named', 'src', %s)"
    assert scratch.execute(query.encode(), [name]).fetchall() == [("1", 7.0), ("2", 10.0)]
