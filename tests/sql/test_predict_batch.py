"""predict_batch(): what single predictions say, for all rows of a source at once."""

from __future__ import annotations

import json

import psycopg
import pytest
from onnx import TensorProto, helper
from psycopg.types.json import Jsonb
from support.answers import answer, answers, refusal
from support.batch import EVERY, Connect, differences, differing
from support.flowers import Garden
from support.onnx_models import described, serialize, weights

import modeldb
from modeldb.errors import (
    InvalidArgument,
    InvalidName,
    InvalidSource,
    MissingFeature,
    ModeldbError,
    NoProbabilities,
    NotANumber,
    SignatureMismatch,
    UnknownAlias,
    UnknownClass,
    UnknownModel,
    UnknownVersion,
)

pytestmark = pytest.mark.usefixtures("batch_models")


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
    reader: psycopg.Connection, model: str, table: str, outputs: tuple[str, ...]
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
def test_settings_of_the_session(reader: psycopg.Connection, setting: str) -> None:
    reader.execute(f"SET {setting}".encode())
    try:
        for model, outputs in (("gaps", EVERY), ("mixed", EVERY), ("kinds", ("prediction",))):
            assert differing(reader, model, f"SELECT * FROM {model} WHERE row_id <= 40", "row_id", *outputs) == []
        source = "SELECT E'a\\\\b' || chr(228) AS id, 0.1::float8 AS a, 1::float8 / 3 AS b"
        assert differing(reader, "m", source, "id", "prediction") == []
        assert differing(reader, "k", "SELECT 1 AS id, 3 AS a, 1 AS b, 0.1::float8 AS c", "id", "prediction") == []
    finally:
        reader.execute("RESET ALL")
