"""predict_batch(): what single predictions say, for all rows of a source at once."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from onnx import TensorProto, helper
from psycopg.types.json import Jsonb
from support.answers import answer, answers, refusal
from support.batch import CALLS, Connect, differences, single
from support.flowers import Garden
from support.models import Trained
from support.onnx_models import TENSORS, described, linear, serialize, tensors, weights
from support.tables import write_table

import modeldb
from modeldb.errors import (
    InvalidArgument,
    InvalidName,
    InvalidSource,
    MissingFeature,
    ModeldbError,
    NonFiniteFeature,
    NoProbabilities,
    NotANumber,
    NullFeature,
    SignatureMismatch,
    UnknownAlias,
    UnknownClass,
    UnknownModel,
    UnknownVersion,
    UnseenCategory,
    WrongType,
)


@pytest.fixture(scope="module", autouse=True)
def _models(module_db: modeldb.Database, garden: Garden, linear_models: None, kinds: Trained, mixed: Trained) -> None:
    for name, trained in (("kinds", kinds), ("mixed", mixed)):
        module_db.register(name, trained.estimator, sample=trained.X)
        write_table(module_db, name, trained.X)
    signature = json.dumps({"features": TENSORS, "task": "regression"})
    module_db.query("SELECT modeldb.register_model('k', :onnx, CAST(:s AS jsonb))", onnx=tensors(), s=signature)


@pytest.fixture(scope="module")
def more(module_db: modeldb.Database, cancer: Trained, diabetes: Trained, gaps: Trained) -> None:
    for name, trained in (("cancer", cancer), ("diabetes", diabetes), ("gaps", gaps)):
        module_db.register(name, trained.estimator, sample=trained.X)
        write_table(module_db, name, trained.X)


def differing(connection: psycopg.Connection, model: str, source: str, key: str, *outputs: str) -> list[Any]:
    """Rows of predict_batch() that are not what single predictions say, and those lacking."""
    absent = " AND ".join(f"{name} IS NULL" for name in ("error", *(set(CALLS) - set(outputs))))
    one = f"SELECT {key}::text AS row_key, {single(model, *outputs)} FROM ({source}) AS s"
    batch = f"SELECT * FROM predict_batch('{model}', {literal(source)}, '{key}') WHERE {absent}"
    return differences(connection, one, batch, "row_key", *outputs)


def literal(text: str) -> str:
    return " E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


EVERY = ("prediction", "label", "probability")
TASKS = [
    ("width", "flowers", ("prediction",)),
    ("species", "flowers", ("label", "probability")),
    ("kinds", "kinds", ("prediction",)),
    ("mixed", "mixed", EVERY),
    ("cancer", "cancer", EVERY),
    ("diabetes", "diabetes", ("prediction",)),
    ("gaps", "gaps", EVERY),
]  # fmt: skip


@pytest.mark.parametrize(("model", "table", "outputs"), TASKS, ids=[model for model, *_ in TASKS])
def test_each_value_is_that_of_a_single_prediction(
    more: None, reader: psycopg.Connection, model: str, table: str, outputs: tuple[str, ...]
) -> None:
    assert differing(reader, model, f"SELECT * FROM {table}", "row_id", *outputs) == []


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 500, 501, 2100, 7099, 7100, 7101])
def test_sources_of_any_length(reader: psycopg.Connection, rows: int) -> None:
    """Chunks are of 100, 400, 1600 and 5000 rows, those behind that of 5000 too."""
    source = f"SELECT i AS id, i * 0.1 AS a, -i AS b FROM generate_series(1, {rows}) AS i"
    assert differing(reader, "m", source, "id", "prediction") == []
    found = answers(reader, "SELECT row_key::int FROM predict_batch('m', %s, 'id')", source)
    assert found == list(range(1, rows + 1))


def test_long_texts_come_in_small_chunks(connect: Connect) -> None:
    """The memory of the backend grows by some megabytes, not by those that the source has."""
    connection = connect()
    query = "SELECT count(row_key), sum(length(row_key)) FROM predict_batch('m', {}, 'doc')"
    source = "SELECT 1 AS a, 1 AS b, repeat(''x'', {}) AS doc FROM generate_series(1, 4000)"
    assert connection.execute(query.format(f"'{source.format(1)}'").encode()).fetchone() == (4000, 4000)
    before = peak(connection)
    assert connection.execute(query.format(f"'{source.format(30000)}'").encode()).fetchone() == (4000, 120_000_000)
    assert peak(connection) - before < 80_000


def peak(connection: psycopg.Connection) -> int:
    """The most memory that the backend ever had, in kilobytes."""
    return int(answer(connection, "SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)')"))


def test_graphs_that_take_one_row_at_a_time(scratch: psycopg.Connection) -> None:
    """As exporters of other frameworks make them."""
    inputs = [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [1, 2])]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [1, 1])]
    nodes, weight = [helper.make_node("MatMul", ["X", "W"], ["Y"])], weights(2.0, 1.0)
    graph = serialize(nodes, initializers=[weight], inputs=inputs, outputs=outputs)
    scratch.execute("SELECT register_model('one', %s, %s::jsonb)", [graph, Jsonb(described("a", "b"))])
    source = "SELECT i AS id, i AS a, nullif(i, 7) AS b FROM generate_series(1, 300) AS i"
    assert differing(scratch, "one", f"SELECT * FROM ({source}) AS s WHERE id <> 7", "id", "prediction") == []
    query = "SELECT row_key FROM predict_batch('one', %s, 'id', on_error => 'null') WHERE prediction IS NULL"
    assert answers(scratch, query, source) == ["7"]


def test_outputs_that_do_not_fit_the_signature(scratch: psycopg.Connection) -> None:
    """Labels that are none of the classes, and more rows than were given."""
    outputs = [helper.make_tensor_value_info("L", TensorProto.INT64, [None, 1])]
    nodes = [
        helper.make_node("MatMul", ["X", "W"], ["S"]),
        helper.make_node("Cast", ["S"], ["L"], to=TensorProto.INT64),
    ]
    graph = serialize(nodes, initializers=[weights(1.0, 0.0)], outputs=outputs)
    signature = {"features": ["a", "b"], "task": "classification", "classes": [0, 1], "outputs": {"label": "L"}}
    scratch.execute("SELECT register_model('labels', %s, %s::jsonb)", [graph, Jsonb(signature)])
    nodes = [helper.make_node("Concat", ["X", "X"], ["Z"], axis=0), helper.make_node("MatMul", ["Z", "W"], ["Y"])]
    graph = serialize(nodes, initializers=[weights(1.0, 0.0)])
    scratch.execute("SELECT register_model('twice', %s, %s::jsonb)", [graph, Jsonb(described("a", "b"))])
    assert differing(scratch, "labels", "SELECT 1 AS id, 1 AS a, 1 AS b", "id", "prediction", "label") == []
    for model, word in (("labels", "gives 7"), ("twice", "do not fit")):
        with scratch.transaction(force_rollback=True):
            refusal(scratch, f"SELECT predict_batch('{model}', 'SELECT 7 AS a, 1 AS b')", SignatureMismatch, word)


def test_without_a_key_the_rows_come_in_the_order_of_the_source(reader: psycopg.Connection) -> None:
    query = "SELECT * FROM predict_batch('m', 'SELECT i AS a, 0 AS b FROM generate_series(3, 1, -1) AS i')"
    assert reader.execute(query.encode()).fetchall() == [(None, 2.0 * i, None, None, None) for i in (3, 2, 1)]


# --- where the columns are -----------------------------------------------------------------------------------------

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


# --- types ---------------------------------------------------------------------------------------------------------

NUMBERS = ["int2", "int4", "int8", "float4", "float8", "numeric", "numeric(10, 3)", "oid", "amount", "bool"]
TEXTS = ["text", "varchar", "varchar(9)", "char(9)", "name", "town", "place", "seat", "citext"]


@pytest.fixture
def types(scratch: psycopg.Connection) -> psycopg.Connection:
    scratch.execute(
        """CREATE DOMAIN amount AS numeric(12, 2); CREATE TYPE town AS ENUM ('a', 'b', 'Köln', 'other');
        CREATE DOMAIN place AS varchar(20) NOT NULL; CREATE DOMAIN seat AS town; CREATE EXTENSION citext"""
    )
    return scratch


@pytest.mark.parametrize("kind", NUMBERS)
def test_types_of_numbers(types: psycopg.Connection, kind: str) -> None:
    given = {"bool": ["true", "false"], "float4": ["3.1", "-0.0"], "float8": ["3.1", "1e300"]}
    query = (
        f"SELECT row_number() OVER () AS id, v::{kind} AS v FROM unnest(ARRAY{given.get(kind, ['1', '30000'])}) AS v"
    )
    types.execute(f"CREATE TABLE src AS {query}".encode())
    for columns in ("v AS a, 0.5 AS b", "0.1 AS a, v AS b"):
        assert differing(types, "m", f"SELECT id, {columns} FROM src", "id", "prediction") == []
    for feature in ("x", "y"):
        usual = {"x": "0.25", "y": "1.5::float4", "n": "3", "b": "true", "city": "'a'"} | {feature: "v"}
        columns = ", ".join(f"{expression} AS {name}" for name, expression in usual.items())
        assert differing(types, "kinds", f"SELECT id, {columns} FROM src", "id", "prediction") == []


@pytest.mark.parametrize("kind", NUMBERS)
def test_types_of_numbers_for_tensors_of_integers(types: psycopg.Connection, kind: str) -> None:
    types.execute(f"CREATE TABLE src AS SELECT 1 AS id, {'true' if kind == 'bool' else '1'}::{kind} AS v".encode())
    for columns in ("v AS a, true AS b, 2.5 AS c", "3 AS a, v AS b, 2.5 AS c", "-9 AS a, true AS b, v AS c"):
        assert differing(types, "k", f"SELECT id, {columns} FROM src", "id", "prediction") == []


@pytest.mark.parametrize("kind", TEXTS)
def test_types_of_texts(types: psycopg.Connection, kind: str) -> None:
    types.execute(
        f"""CREATE TABLE src AS SELECT row_number() OVER () AS id, 0.25 AS x, 1.5 AS y, 3 AS n, true AS b,
        v::{kind} AS city FROM unnest(ARRAY['a', 'b', 'Köln', 'other']) AS v""".encode()
    )
    assert differing(types, "kinds", "SELECT * FROM src", "id", "prediction") == []


def test_a_uuid_is_a_text(scratch: psycopg.Connection) -> None:
    source = "SELECT 1 AS id, 0 AS x, 1 AS y, 3 AS n, true AS b, gen_random_uuid() AS city"
    assert differing(scratch, "kinds", source, "id", "prediction") == []


@pytest.mark.parametrize("text", ["", " ", "NULL", 'a"b', "a\\b", "{a,b}", "a\nb\tc", "😀", "a\x01b", "it's"])
def test_texts_with_odd_letters(scratch: psycopg.Connection, text: str) -> None:
    scratch.execute("CREATE TEMP TABLE src AS SELECT 0 AS x, 1 AS y, 3 AS n, true AS b")
    scratch.execute("ALTER TABLE src ADD id text, ADD city text")
    scratch.execute("UPDATE src SET id = %s, city = %s", [text, text])
    assert differing(scratch, "kinds", "SELECT * FROM src", "id", "prediction") == []


UNBINDABLE = [("a", "now()"), ("a", "'1'::text"), ("a", "ARRAY[1]"), ("a", "'1'::jsonb"), ("a", "interval '1 s'")]


@pytest.mark.parametrize(("name", "expression"), UNBINDABLE)
def test_columns_of_other_types_are_refused(reader: psycopg.Connection, name: str, expression: str) -> None:
    source = f"SELECT {expression} AS a, 1 AS b"
    refusal(reader, "SELECT predict_batch('m', %s)", WrongType, f"'{name}'", values=(source,))


# --- values that are missing or odd --------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["float8", "float4", "numeric"])
def test_missing_values_anywhere(more: None, reader: psycopg.Connection, first: bool, kind: str) -> None:
    odd = "ARRAY[NULL, 'NaN', 1.5]" if first else "ARRAY[1.5, -2.5, 'NaN', NULL]"
    source = f"SELECT i AS id, v AS a, 1 AS b FROM unnest({odd}::{kind}[]) WITH ORDINALITY AS u (v, i)"
    assert differing(reader, "gaps", source, "id", *EVERY) == []
    source = source.replace("v AS a", "NULL::float8 AS a")
    assert differing(reader, "gaps", source, "id", *EVERY) == []


ODD_VALUES = [
    ("gaps", "1 AS a, NULL::float8 AS b", NullFeature, "feature 'b' is NULL"),
    ("gaps", "1 AS a, 'NaN'::float8 AS b", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "1 AS a, 'NaN'::float4 AS b", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "1 AS a, 'NaN'::numeric AS b", NonFiniteFeature, "feature 'b' is NaN"),
    ("gaps", "'Infinity'::float8 AS a, 1 AS b", NonFiniteFeature, "feature 'a' is infinite"),
    ("gaps", "'-Infinity'::float4 AS a, 1 AS b", NonFiniteFeature, "feature 'a' is -infinite"),
    ("gaps", "'Infinity'::numeric AS a, 1 AS b", NonFiniteFeature, "feature 'a' is infinite"),
    ("mixed", "'Bonn' AS city, 'red' AS color, 1 AS amount, NULL::int AS age", NullFeature, "feature 'age' is NULL"),
    ("mixed", "NULL::text AS city, 'red' AS color, 1 AS amount, 30 AS age", NullFeature, "feature 'city' is NULL"),
    ("mixed", "'Rom' AS city, 'red' AS color, 1 AS amount, 30 AS age", UnseenCategory, "feature 'city' is 'Rom'"),
    ("mixed", "'Bonn' AS city, 'red' AS color, 1 AS amount, 30.5 AS age", WrongType, "feature 'age' is int8, 30.5"),
    ("mixed", "'Bonn' AS city, 'red' AS color, 1 AS amount, 1e300 AS age", WrongType, "feature 'age' is int8, 1e+300"),
    ("kinds", "1 AS x, 1 AS y, 'Infinity'::float8 AS n, 1 AS b, 'a' AS city", WrongType, "feature 'n' is int8, inf"),
    ("kinds", "1 AS x, 1 AS y, 'NaN'::float8 AS n, 1 AS b, 'a' AS city", WrongType, "feature 'n' is int8, nan"),
    ("kinds", "1 AS x, 1 AS y, 1 AS n, 2 AS b, 'a' AS city", WrongType, "feature 'b' is bool, 2"),
    ("k", "1.5 AS a, 1 AS b, 1 AS c", WrongType, "feature 'a' is int8, 1.5"),
    ("k", "1e30 AS a, 1 AS b, 1 AS c", WrongType, "feature 'a' is int8, 1e+30"),
    ("k", "NULL::int AS a, 1 AS b, 1 AS c", NullFeature, "feature 'a' is NULL"),
    ("k", "1 AS a, NULL::int AS b, 1 AS c", NullFeature, "feature 'b' is NULL"),
    ("k", "1 AS a, 7 AS b, 1 AS c", WrongType, "feature 'b' is bool, 7"),
    ("k", "1 AS a, 1 AS b, 1e39::float8 AS c", NonFiniteFeature, "feature 'c' is 1e+39"),
    ("k", "'NaN'::float8 AS a, 1 AS b, 1 AS c", WrongType, "feature 'a' is int8"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "columns", "kind", "message"), ODD_VALUES)
def test_an_odd_row_is_named_or_left_out(
    more: None, reader: psycopg.Connection, model: str, columns: str, kind: type[ModeldbError], message: str
) -> None:
    """The same error as for a single prediction, which says in DETAIL which row; or a text in the column error."""
    good = {
        "gaps": "1 AS a, 1 AS b",
        "mixed": "'Bonn' AS city, 'red' AS color, 1 AS amount, 30 AS age",
        "kinds": "1 AS x, 1 AS y, 1 AS n, 1 AS b, 'a' AS city",
        "k": "1 AS a, 1 AS b, 1 AS c",
    }[model]
    source = f"SELECT 'good' AS id, {good} UNION ALL SELECT 'b,a\"d', {columns} UNION ALL SELECT 'last', {good}"
    with pytest.raises(psycopg.Error) as alone:
        reader.execute(f"SELECT predict_label('{model}', s) FROM (SELECT {columns}) AS s".encode())
    assert alone.value.sqlstate == kind.sqlstate
    for key, detail in (("'id'", 'In the row with id = b,a"d.'), ("NULL", "")):
        with pytest.raises(psycopg.Error) as batch:
            reader.execute(f"SELECT predict_batch('{model}', %s, {key})".encode(), [source])
        diag = batch.value.diag
        assert diag.sqlstate == kind.sqlstate
        assert message in (diag.message_primary or "")
        assert (diag.message_detail or "").startswith(detail)
        assert "on_error" in (diag.message_hint or "")
    query = f"SELECT row_key, prediction, error FROM predict_batch('{model}', %s, 'id', on_error => 'null')"
    first, second, last = reader.execute(query.encode(), [source]).fetchall()
    assert (first[1] is None, first[2], last[1]) == (False, None, first[1])
    assert second[:2] == ('b,a"d', None)
    assert second[2].startswith(message)
    assert message in (alone.value.diag.message_primary or "")


def test_rows_that_are_all_odd(more: None, reader: psycopg.Connection) -> None:
    source = "SELECT NULL::float8 AS a, NULL::float8 AS b FROM generate_series(1, 3)"
    query = "SELECT prediction, label, probability, error FROM predict_batch('gaps', %s, on_error => 'null')"
    message = "feature 'b' is NULL, and was never missing in the sample"
    assert reader.execute(query.encode(), [source]).fetchall() == [(None, None, None, message)] * 3


def test_on_null_null_gives_null_without_an_error(more: None, scratch: psycopg.Connection) -> None:
    scratch.execute("SELECT configure('gaps', on_null => 'null')")
    source = "SELECT i AS id, i AS a, CASE WHEN i <> 2 THEN i END AS b FROM generate_series(1, 3) AS i"
    assert differing(scratch, "gaps", source, "id", *EVERY) == []
    assert answers(scratch, "SELECT prediction IS NULL FROM predict_batch('gaps', %s)", source) == [False, True, False]


# --- arguments -----------------------------------------------------------------------------------------------------


def test_the_probability_of_a_class(garden: Garden, reader: psycopg.Connection) -> None:
    one = """SELECT row_id::text AS row_key, predict_label('species', f) AS label,
             predict_proba('species', f, 'virginica') AS probability FROM flowers f"""
    batch = "SELECT * FROM predict_batch('species', 'flowers', 'row_id', class => 'virginica')"
    assert differences(reader, one, batch, "row_key", "label", "probability") == []


@pytest.mark.parametrize(("model", "weight"), [("m", 2), ("m@champion", 2), ("m/1", 2), ("m/2", 3)])
def test_models_by_alias_and_version(reader: psycopg.Connection, model: str, weight: int) -> None:
    assert answer(reader, "SELECT prediction FROM predict_batch(%s, 'SELECT 1 AS a, 0 AS b')", model) == weight


REFUSED = [
    ("'nothing', 'flowers'", UnknownModel, "'nothing'"),
    ("NULL, 'flowers'", InvalidName, "NULL"),
    ("'m/9', 'flowers'", UnknownVersion, "9"),
    ("'m@x', 'flowers'", UnknownAlias, "x"),
    ("'width', NULL", InvalidSource, "NULL"),
    ("'width', ''", InvalidSource, "neither"),
    ("'width', 'no such thing'", InvalidSource, "'no such thing' is neither"),
    ("'width', 'nothing'", InvalidSource, "no table or view 'nothing'"),
    ("'width', 'nowhere.flowers'", InvalidSource, "no table or view 'nowhere.flowers'"),
    ("'width', 'a.b.c.d'", InvalidSource, "'a.b.c.d' is neither"),
    ("'width', 'DELETE FROM flowers RETURNING *'", InvalidSource, "is neither"),
    ("'width', 'SELECT 1 AS a, 2 AS a'", InvalidSource, "several columns named a"),
    ("'width', 'flowers', 'nothing'", InvalidSource, "no column 'nothing'"),
    ("'width', 'flowers', 'Row_Id'", InvalidSource, "no column 'Row_Id'"),
    ("'m', 'flowers'", MissingFeature, "'a'"),
    ("'width', 'flowers', on_error => 'ignore'", InvalidArgument, "'ignore'"),
    ("'width', 'flowers', on_error => NULL", InvalidArgument, "None"),
    ("'width', 'flowers', class => 'x'", NoProbabilities, "regression"),
    ("'species', 'flowers', class => 'rose'", UnknownClass, "'rose'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "kind", "word"), REFUSED)
def test_wrong_arguments(reader: psycopg.Connection, arguments: str, kind: type[ModeldbError], word: str) -> None:
    refusal(reader, f"SELECT * FROM predict_batch({arguments})", kind, word)


BROKEN = [
    ("SELECT * FROM", "42601"),
    ("SELECT nothing FROM flowers", "42703"),
    ("SELECT * FROM nothing", "42P01"),
    ("SELECT 1 / (i - 6000) AS a, 1 AS b FROM generate_series(1, 7000) AS i", "22012"),
    ("WITH d AS (DELETE FROM flowers RETURNING 1 AS a, 2 AS b) SELECT * FROM d", "0A000"),
    ("SELECT 1 AS a, 2 AS b; DROP TABLE flowers", "42601"),
]


@pytest.mark.parametrize(("source", "sqlstate"), BROKEN)
def test_errors_of_the_source_are_its_own(reader: psycopg.Connection, source: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        reader.execute("SELECT count(*) FROM predict_batch('m', %s)", [source])
    assert caught.value.sqlstate == sqlstate
    assert "spiexceptions" not in str(caught.value)
    assert answer(reader, "SELECT count(*) FROM flowers") == 150


def test_several_targets_are_for_predict_json(module_db: modeldb.Database, scratch: psycopg.Connection) -> None:
    outputs = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 2])]
    signature = json.dumps({"features": ["a", "b"], "task": "regression", "targets": 2})
    graph = serialize([helper.make_node("Identity", ["X"], ["Y"])], outputs=outputs)
    scratch.execute("SELECT register_model('pair', %s, %s::jsonb)", [graph, signature])
    refusal(scratch, "SELECT predict_batch('pair', 'SELECT 1 AS a, 2 AS b')", NotANumber, "2 values")


# --- wherever SQL takes a table ------------------------------------------------------------------------------------

LONG = "'SELECT i AS id, i AS a, 0 AS b FROM generate_series(1, 12000) AS i', 'id'"


def test_an_early_end(reader: psycopg.Connection) -> None:
    """LIMIT leaves the rest of the source unread; the session goes on, also within the transaction."""
    limited = f"SELECT prediction FROM predict_batch('m', {LONG}) LIMIT 2"
    for _ in range(3):
        assert answers(reader, limited) == [2.0, 4.0]
    with reader.transaction():
        for _ in range(3):
            assert answers(reader, limited) == [2.0, 4.0]
            assert answer(reader, f"SELECT max(prediction) FROM predict_batch('m', {LONG})") == 24000
        assert answer(reader, f"SELECT EXISTS (SELECT FROM predict_batch('m', {LONG}))")
        assert answer(reader, "SELECT predict('m', ARRAY[1, 1])") == 3
    assert answer(reader, "SELECT count(*) FROM pg_cursors") == 0
    assert answer(reader, f"SELECT count(*) FROM predict_batch('m', {LONG})") == 12000


def test_rows_that_are_not_read_cannot_be_wrong(reader: psycopg.Connection) -> None:
    source = "'SELECT i AS a, 1 / (i - 11000) AS b FROM generate_series(1, 12000) AS i'"
    assert answer(reader, f"SELECT prediction FROM predict_batch('m', {source}) LIMIT 1") == 2
    with pytest.raises(psycopg.errors.DivisionByZero):
        reader.execute(f"SELECT count(*) FROM predict_batch('m', {source})".encode())


def test_several_in_one_query(garden: Garden, reader: psycopg.Connection) -> None:
    """Merged row by row, so that their chunks come in turn."""
    query = f"""SELECT count(*), sum(two.prediction - one.prediction) FROM
        (SELECT *, row_number() OVER () AS n FROM predict_batch('m/1', {LONG})) AS one
        JOIN (SELECT *, row_number() OVER () AS n FROM predict_batch('m/2', {LONG})) AS two USING (n)"""
    assert reader.execute(query.encode()).fetchall() == [(12000, 12000 * 12001 / 2)]
    query = "SELECT prediction IS NULL, count(*) FROM (TABLE w UNION ALL TABLE s) AS u GROUP BY 1 ORDER BY 1"
    both_models = """WITH w AS (SELECT * FROM predict_batch('width', 'flowers')),
        s AS (SELECT * FROM predict_batch('species', 'flowers'))"""
    assert reader.execute(f"{both_models} {query}".encode()).fetchall() == [(False, 150), (True, 150)]


def test_predictions_of_predictions(reader: psycopg.Connection) -> None:
    inner = f"SELECT prediction AS a, 1 AS b FROM predict_batch(''m'', {LONG.replace(chr(39), chr(39) * 2)})"
    assert answer(reader, f"SELECT max(prediction) FROM predict_batch('m', '{inner}')") == 48001


def test_lateral_by_model(reader: psycopg.Connection) -> None:
    query = """SELECT v.model, b.prediction FROM (VALUES ('m/1'), ('m/2')) AS v (model),
               LATERAL predict_batch(v.model, 'SELECT 1 AS a, 1 AS b') AS b ORDER BY 1"""
    assert reader.execute(query.encode()).fetchall() == [("m/1", 3.0), ("m/2", 4.0)]


def test_in_the_select_list_and_as_a_table(scratch: psycopg.Connection) -> None:
    assert answer(scratch, "SELECT (predict_batch('m', 'SELECT 1 AS a, 1 AS b')).prediction") == 3
    scratch.execute(f"CREATE TABLE made AS SELECT * FROM predict_batch('m', {LONG})".encode())
    scratch.execute(f"INSERT INTO made SELECT * FROM predict_batch('m', {LONG}) ON CONFLICT DO NOTHING".encode())
    scratch.execute(f"CREATE VIEW seen AS SELECT * FROM predict_batch('m', {LONG})".encode())
    assert answer(scratch, "SELECT count(*) FROM made") == 24000
    assert answer(scratch, "SELECT count(*) FROM seen") == 12000


def test_a_loop_with_commits(connect: Connect) -> None:
    """PL/pgSQL reads the rows by a cursor, which a COMMIT has to finish first."""
    connection = connect()
    connection.execute("CREATE TABLE IF NOT EXISTS log (n int); TRUNCATE log")
    connection.execute(
        f"""DO $$ DECLARE r record; BEGIN
        FOR r IN SELECT * FROM predict_batch('m', {LONG}) LOOP
            IF r.row_key::int % 4000 = 0 THEN INSERT INTO log VALUES (r.prediction); COMMIT; END IF;
        END LOOP; END $$""".encode()
    )
    assert answers(connection, "SELECT n FROM log") == [8000, 16000, 24000]


@pytest.mark.parametrize("hold", ["", "WITH HOLD"])
def test_a_cursor(reader: psycopg.Connection, hold: str) -> None:
    with reader.transaction():
        reader.execute(f"DECLARE walk CURSOR {hold} FOR SELECT prediction FROM predict_batch('m', {LONG})".encode())
        assert answers(reader, "FETCH 2 FROM walk") == [2.0, 4.0]
        assert answer(reader, "SELECT predict('m', ARRAY[1, 1])") == 3
        reader.execute("SAVEPOINT s; SELECT 1; ROLLBACK TO s")
        assert len(answers(reader, "FETCH 11000 FROM walk")) == 11000
        reader.execute("CLOSE walk")


def test_an_error_that_is_caught(reader: psycopg.Connection) -> None:
    wrong = "'SELECT i AS id, 1 AS a, nullif(i, 11000) AS b FROM generate_series(1, 12000) AS i'"
    reader.execute(
        f"""DO $$ DECLARE n int; BEGIN
        FOR i IN 1..3 LOOP
            BEGIN
                SELECT count(*) INTO n FROM predict_batch('m', {wrong}, 'id');
                RAISE EXCEPTION 'not refused';
            EXCEPTION WHEN SQLSTATE 'MD204' THEN
                SELECT count(*) INTO n FROM predict_batch('m', {LONG});
                ASSERT n = 12000;
            END;
        END LOOP; END $$""".encode()
    )


def test_cancellation_in_the_middle(connect: Connect) -> None:
    connection = connect()
    slow = "SELECT i AS a, pg_sleep(0.001) IS NULL AS b FROM generate_series(1, 100000) AS i"
    assert answer(connection, "SELECT prediction FROM predict_batch('m', 'SELECT 1 AS a, 1 AS b')") == 3
    connection.execute("SET statement_timeout = '100ms'")
    for _ in range(2):
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT count(*) FROM predict_batch('m', %s)", [slow])
    connection.execute("SET statement_timeout = 0")
    assert answer(connection, f"SELECT count(*) FROM predict_batch('m', {LONG})") == 12000


def test_one_snapshot_for_all_chunks(connect: Connect) -> None:
    """Rows that come while the statement runs are not in it, and the version stays."""
    one, other = connect(), connect()
    one.execute("CREATE TABLE growing AS SELECT i AS a, 0 AS b FROM generate_series(1, 12000) i")
    one.execute("BEGIN; DECLARE walk CURSOR FOR SELECT prediction FROM predict_batch('m', 'growing')")
    assert answers(one, "FETCH 1 FROM walk") == [2.0]
    other.execute("INSERT INTO growing VALUES (1, 1); SELECT promote('m', 2)")
    try:
        rest = answers(one, "FETCH ALL FROM walk")
    finally:
        other.execute("SELECT promote('m', 1)")
    assert rest == [2.0 * i for i in range(2, 12001)]
    one.execute("COMMIT")


SETTINGS = [
    "DateStyle = 'SQL, DMY'",
    "extra_float_digits = -15",
    "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "client_encoding = 'LATIN1'",
    "TimeZone = 'Asia/Kolkata'",
    "array_nulls = off",
    "lc_monetary = 'C'; SET lc_numeric = 'C'",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "plan_cache_mode = 'force_generic_plan'",
    "jit = on; SET jit_above_cost = 0",
    "work_mem = '64kB'",
    "max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_the_session(reader: psycopg.Connection, more: None, setting: str) -> None:
    reader.execute(f"SET {setting}".encode())
    try:
        for model, outputs in (("gaps", EVERY), ("mixed", EVERY), ("kinds", ("prediction",))):
            assert differing(reader, model, f"SELECT * FROM {model} WHERE row_id <= 40", "row_id", *outputs) == []
        source = "SELECT E'a\\\\b' || chr(228) AS id, 0.1::float8 AS a, 1::float8 / 3 AS b"
        assert differing(reader, "m", source, "id", "prediction") == []
        assert differing(reader, "k", "SELECT 1 AS id, 3 AS a, 1 AS b, 0.1::float8 AS c", "id", "prediction") == []
    finally:
        reader.execute("RESET ALL")
