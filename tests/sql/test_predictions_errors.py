"""What create_predictions() refuses, and what a refresh that fails leaves behind."""

from __future__ import annotations

import json

import psycopg
import pytest
from onnx import TensorProto, helper
from support.answers import answer, answers, refusal
from support.batch import KINDS, run, wrong_rows
from support.flowers import Garden
from support.onnx_models import serialize

import modeldb
from modeldb.errors import (
    InvalidArgument,
    InvalidName,
    InvalidSource,
    MissingFeature,
    ModeldbError,
    NameTaken,
    NonFiniteFeature,
    NoProbabilities,
    NotANumber,
    NullFeature,
    PredictionsMismatch,
    UnknownAlias,
    UnknownClass,
    UnknownModel,
    UnknownPredictions,
    UnknownVersion,
    VersionInUse,
    VersionRetired,
    WrongType,
)

TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, a float8, b float8, note text, prediction int, nothing int, twice int);
    INSERT INTO t SELECT i, i * 0.1, -i, 'n' || i, 0, NULL, i / 2 FROM generate_series(1, 6000) AS i"""


@pytest.fixture(scope="module", autouse=True)
def pair(module_db: modeldb.Database, garden: Garden) -> None:
    """The model pair, which predicts two values."""
    outputs = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 2])]
    graph = serialize([helper.make_node("Identity", ["X"], ["Y"])], outputs=outputs)
    signature = json.dumps({"features": ["a", "b"], "task": "regression", "targets": 2})
    module_db.query("SELECT modeldb.register_model('pair', :onnx, CAST(:s AS jsonb))", onnx=graph, s=signature)


@pytest.fixture
def table(clean: psycopg.Connection) -> psycopg.Connection:
    clean.execute(TABLE.encode())
    return clean


RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"

REFUSED = [
    # the name
    ("NULL, 'm', 't', 'id'", InvalidArgument, "name"),
    ("'', 'm', 't', 'id'", NameTaken, "''"),
    ("'no such', 'm', 't', 'id'", NameTaken, "'no such'"),
    ("'a.b.c', 'm', 't', 'id'", NameTaken, "'a.b.c'"),
    ("'t', 'm', 't', 'id'", NameTaken, "public.t"),
    ("'modeldb.p', 'm', 't', 'id'", NameTaken, "modeldb"),
    ("'pg_temp.p', 'm', 't', 'id'", NameTaken, "pg_temp"),
    ("'pg_catalog.p', 'm', 't', 'id'", NameTaken, "pg_catalog"),
    ("repeat('n', 57), 'm', 't', 'id'", NameTaken, "too long"),
    # the model
    ("'p', NULL, 't', 'id'", InvalidName, "NULL"),
    ("'p', 'nothing', 't', 'id'", UnknownModel, "'nothing'"),
    ("'p', 'm/9', 't', 'id'", UnknownVersion, "9"),
    ("'p', 'm@nobody', 't', 'id'", UnknownAlias, "nobody"),
    ("'p', 'pair', 't', 'id'", NotANumber, "2 values"),
    # the source
    ("'p', 'm', NULL, 'id'", InvalidArgument, "source"),
    ("'p', 'm', 'nothing', 'id'", InvalidSource, "'nothing'"),
    ("'p', 'm', 'SELECT FROM WHERE', 'id'", InvalidSource, "not a query"),
    ("'p', 'm', 'SELECT 1 AS id, 2 AS a, 3 AS a', 'id'", InvalidSource, "a"),
    ("'p', 'width', 't', 'id'", MissingFeature, "'sepal_length'"),
    ("'p', 'm', 'SELECT id, note AS a, b FROM t', 'id'", WrongType, "'a'"),
    ("'p', 'm', 'SELECT id, a, nullif(b, -5500) AS b FROM t', 'id'", NullFeature, "'b'"),
    ("'p', 'm', 'SELECT id, a, nullif(b, -5500) AS b FROM t', 'id', incremental => true", NullFeature, "'b'"),
    # key and columns
    ("'p', 'm', 't', NULL::text", InvalidSource, "key"),
    ("'p', 'm', 't', NULL::text[]", InvalidSource, "key"),
    ("'p', 'm', 't', '{}'::text[]", InvalidSource, "key"),
    ("'p', 'm', 't', 'nobody'", InvalidSource, "'nobody'"),
    ("'p', 'm', 't', 'ID'", InvalidSource, "'ID'"),
    ("'p', 'm', 't', '{id,id}'::text[]", InvalidSource, "twice"),
    ("'p', 'm', 't', 'id', columns => '{note,note}'", InvalidSource, "twice"),
    ("'p', 'm', 't', 'id', columns => '{id}'", InvalidSource, "twice"),
    ("'p', 'm', 't', 'id', columns => '{prediction}'", InvalidSource, "'prediction'"),
    ("'p', 'm', 't', 'prediction'", InvalidSource, "'prediction'"),
    ("'p', 'm', 't', 'id', columns => '{nobody}'", InvalidSource, "'nobody'"),
    ("'p', 'm', 't', 'id', columns => NULL", InvalidArgument, "columns"),
    ("'p', 'm', 't', 'nothing'", InvalidSource, "'nothing' is NULL"),
    ("'p', 'm', 't', 'nothing', incremental => true", InvalidSource, "'nothing' is NULL"),
    ("'p', 'm', 't', '{id,nothing}'::text[]", InvalidSource, "'nothing' is NULL"),
    ("'p', 'm', 't', 'twice'", InvalidSource, "not unique"),
    ("'p', 'm', 't', 'twice', incremental => true", InvalidSource, "not unique"),
    # the rest
    ("'p', 'm', 't', 'id', on_error => 'ignore'", InvalidArgument, "'ignore'"),
    ("'p', 'm', 't', 'id', on_error => NULL", InvalidArgument, "on_error"),
    ("'p', 'm', 't', 'id', incremental => NULL", InvalidArgument, "incremental"),
    ("'p', 'width', 'flowers', 'row_id', class => 'x'", NoProbabilities, "regression"),
    ("'p', 'species', 'flowers', 'row_id', class => 'rose'", UnknownClass, "'rose'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "kind", "word"), REFUSED)
def test_what_is_refused_leaves_nothing(
    table: psycopg.Connection, arguments: str, kind: type[ModeldbError], word: str
) -> None:
    before = answers(table, RELATIONS)
    refusal(table, f"SELECT create_predictions({arguments})", kind, word)
    assert answers(table, RELATIONS) == before
    assert answer(table, "SELECT count(*) FROM modeldb.prediction_set") == 0
    assert answer(table, "SELECT count(*) FROM modeldb.batch_runs") == 0


@pytest.mark.parametrize("taken", ["p", "p_stored", "p_source"])
@pytest.mark.parametrize("kind", ["VIEW {} AS SELECT 1 AS x", "TABLE {} (x int)", "INDEX {} ON t (a)", "SEQUENCE {}"])
def test_a_name_that_is_taken(table: psycopg.Connection, taken: str, kind: str) -> None:
    with table.transaction(force_rollback=True):
        table.execute(f"CREATE {kind.format(taken)}".encode())
        hint = refusal(table, "SELECT create_predictions('p', 'm', 'TABLE t', 'id')", NameTaken, f"public.{taken} ")
        assert "drop_predictions" in hint


def test_the_names_of_other_predictions(table: psycopg.Connection) -> None:
    run(table, "create_predictions('p', 'm', 't', 'id')")
    refusal(table, "SELECT create_predictions('P', 'm', 't', 'id')", NameTaken, "public.p ")
    assert wrong_rows(table, "p", "t", "m", "id") == []


@pytest.mark.parametrize(
    ("source", "sqlstate"),
    [
        ("SELECT 1 / (id - 5900) AS a, b, id FROM t", "22012"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT id, a, b, nobody FROM t", "42703"),
        ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "0A000"),
        ("SELECT $1 AS id, a, b FROM t", "42P02"),
    ],
)
@KINDS
def test_errors_of_the_source_are_its_own(
    table: psycopg.Connection, source: str, sqlstate: str, incremental: bool
) -> None:
    before = answers(table, RELATIONS)
    with pytest.raises(psycopg.Error) as caught:
        run(table, "create_predictions('p', 'm', %s, 'id', incremental => %s)", source, incremental)
    assert caught.value.sqlstate == sqlstate
    assert answers(table, RELATIONS) == before


@pytest.mark.parametrize("source", ["mine", "SELECT * FROM mine"])
@KINDS
def test_a_temporary_source_is_refused(table: psycopg.Connection, source: str, incremental: bool) -> None:
    with table.transaction(force_rollback=True):
        table.execute("CREATE TEMP TABLE mine AS SELECT * FROM t")
        call = f"SELECT create_predictions('p', 'm', '{source}', 'id', incremental => {incremental})"
        refusal(table, call, InvalidSource, "temporary")


def test_a_row_that_is_at_fault_is_named(table: psycopg.Connection) -> None:
    table.execute("UPDATE t SET a = 'Infinity', note = E'it''s \"x\",\\\\' WHERE id = 5500")
    for call in (
        "create_predictions('p', 'm', 't', '{id,note}'::text[])",
        "create_predictions('p', 'm', 't', '{id,note}'::text[], columns => '{twice}', incremental => true)",
    ):
        with pytest.raises(psycopg.Error) as caught:
            table.execute(f"SELECT {call}".encode())
        diag = caught.value.diag
        assert diag.sqlstate == NonFiniteFeature.sqlstate
        assert diag.message_detail == 'In the row with id = 5500, note = it\'s "x",\\.'
        assert "model 'm/1': feature 'a' is infinite" in (diag.message_primary or "")
        assert "on_error => 'null'" in (diag.message_hint or "")


UNKNOWN = ["nobody", "no such", "", "a.b", "a.b.c.d", "public.t", "t", '"', "x;y", "1", None]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("function", ["refresh_predictions", "drop_predictions", "describe_predictions"])
def test_unknown_predictions(table: psycopg.Connection, function: str, name: str | None) -> None:
    refusal(table, f"SELECT {function}(%s)", UnknownPredictions, "NULL" if name is None else name, values=(name,))


def test_near_names_are_told(table: psycopg.Connection) -> None:
    run(table, "create_predictions('forecast', 'm', 't', 'id')")
    assert "public.forecast" in refusal(table, "SELECT refresh_predictions('forcast')", UnknownPredictions)


# --- a refresh that fails ------------------------------------------------------------------------------------------

FAILURES = [
    ("UPDATE t SET a = 'NaN' WHERE id = 5900", NonFiniteFeature.sqlstate, "In the row with id = 5900."),
    ("UPDATE t SET a = NULL WHERE id = 7", NullFeature.sqlstate, "feature 'a' is NULL"),
    ("ALTER TABLE t RENAME a TO a2", MissingFeature.sqlstate, "feature 'a' is not in the row"),
    ("ALTER TABLE t DROP b", MissingFeature.sqlstate, "feature 'b' is not in the row"),
    ("ALTER TABLE t DROP note", InvalidSource.sqlstate, "no column 'note'"),
    ("ALTER TABLE t RENAME id TO key", InvalidSource.sqlstate, "no column 'id'"),
    ("ALTER TABLE t ALTER a TYPE text", WrongType.sqlstate, "feature 'a' is float8, its column text"),
    ("ALTER TABLE t RENAME TO t2", "42P01", '"public.t" does not exist'),
    ("INSERT INTO t VALUES (7000, 1, 2); ALTER TABLE t DROP CONSTRAINT t_pkey; UPDATE t SET id = 5 WHERE id = 7000",
     InvalidSource.sqlstate, "the key (id) is not unique in the source"),
    ("ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP NOT NULL; UPDATE t SET id = NULL WHERE id = 5",
     InvalidSource.sqlstate, "the key column 'id' is NULL"),
    ("SELECT promote('n', 2)", PredictionsMismatch.sqlstate, "the predictions have prediction, version 2"),
    ("SELECT drop_alias('n', 'champion')", UnknownAlias.sqlstate, "champion"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "sqlstate", "words"), FAILURES)
@KINDS
def test_a_failed_refresh_leaves_rows_and_a_record(
    table: psycopg.Connection, statement: str, sqlstate: str, words: str, incremental: bool
) -> None:
    make_n(table)
    run(table, "create_predictions('p', 'n', 't', 'id', columns => '{note}', incremental => %s)", incremental)
    before = table.execute("SELECT * FROM p ORDER BY id").fetchall()
    with table.transaction(force_rollback=True):
        table.execute(statement.encode())
        warnings: list[str] = []
        table.add_notice_handler(lambda diag: warnings.append(f"{diag.severity}: {diag.message_primary}"))
        found = run(table, "refresh_predictions('p')")
        assert (found["sqlstate"], found["rows"], found["scored"]) == (sqlstate, None, None), found
        assert words in found["error"]
        assert "spiexceptions" not in found["error"]
        [warning] = [each for each in warnings if each.startswith("WARNING")]
        assert "the predictions public.p stay as they were: " in warning
        assert table.execute("SELECT * FROM p ORDER BY id").fetchall() == before
        assert answer(table, "SELECT last_error FROM modeldb.predictions") == found["error"]
        assert answer(table, "SELECT count(*) FROM modeldb.batch_runs") == 2
    assert run(table, "refresh_predictions('p')")["error"] is None
    assert answer(table, "SELECT last_error FROM modeldb.predictions") is None


def make_n(connection: psycopg.Connection) -> None:
    """The model n, whose version 2 is a classification."""
    if answers(connection, "SELECT 1 FROM modeldb.models WHERE name = 'n'"):
        return
    nodes = [helper.make_node("MatMul", ["X", "W"], ["Y"])]
    graph = serialize(nodes, initializers=[helper.make_tensor("W", TensorProto.DOUBLE, [2, 1], [1.0, 1.0])])
    signature = {"features": ["a", "b"], "task": "regression"}
    connection.execute("SELECT register_model('n', %s, %s::jsonb)", [graph, json.dumps(signature)])
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, 2])]
    graph = serialize([helper.make_node("Softmax", ["X"], ["probabilities"], axis=1)], outputs=outputs)
    signature = {"features": ["a", "b"], "task": "classification", "classes": ["x", "y"]}
    connection.execute("SELECT register_model('n', %s, %s::jsonb)", [graph, json.dumps(signature)])


@KINDS
def test_a_failure_within_a_transaction_leaves_the_rest_of_it(table: psycopg.Connection, incremental: bool) -> None:
    run(table, "create_predictions('p', 'm', 't', 'id', incremental => %s)", incremental)
    with table.transaction():
        table.execute("UPDATE t SET a = 'NaN' WHERE id = 1; UPDATE t SET b = 0 WHERE id = 2")
        assert run(table, "refresh_predictions('p')")["sqlstate"] == NonFiniteFeature.sqlstate
        table.execute("UPDATE t SET a = 0 WHERE id = 1")
        assert run(table, "refresh_predictions('p')")["error"] is None
    assert wrong_rows(table, "p", "t", "m", "id") == []
    assert answer(table, "SELECT count(*) FROM modeldb.batch_runs") == 3


GONE = ["DROP VIEW p", "ALTER VIEW p RENAME TO q", "DROP VIEW p; CREATE VIEW p AS SELECT 1 AS id"]


@pytest.mark.parametrize("statement", GONE)
def test_without_its_view_nothing_is_refreshed(table: psycopg.Connection, statement: str) -> None:
    run(table, "create_predictions('p', 'm', 't', 'id')")
    table.execute(statement.encode())
    try:
        refusal(table, "SELECT refresh_predictions('public.p')", PredictionsMismatch, "public.p")
    finally:
        table.execute("DROP VIEW IF EXISTS q")


def test_without_what_is_stored_nothing_is_refreshed(table: psycopg.Connection) -> None:
    run(table, "create_predictions('p', 'm', 't', 'id')")
    table.execute("DROP MATERIALIZED VIEW p_stored CASCADE")
    refusal(table, "SELECT refresh_predictions('p')", PredictionsMismatch, "public.p_stored")
    assert answer(table, "SELECT broken FROM modeldb.predictions")


@KINDS
def test_a_version_that_predictions_hold_stays(table: psycopg.Connection, incremental: bool) -> None:
    run(table, "create_predictions('p', 'm', 't', 'id', incremental => %s)", incremental)
    table.execute("SELECT promote('m', 2)")
    for call in ("retire('m', 1)", "delete_model('m', 1)", "delete_model('m', cascade => true)"):
        hint = refusal(table, f"SELECT {call}", VersionInUse, "public.p")
        assert "refresh_predictions" in hint
    with table.transaction(force_rollback=True):
        run(table, "refresh_predictions('p')")
        table.execute("SELECT retire('m', 1)")
    with table.transaction(force_rollback=True):
        table.execute("SELECT drop_predictions('p'); SELECT retire('m', 1)")


def test_a_retired_version_is_no_longer_refreshed(table: psycopg.Connection) -> None:
    run(table, "create_predictions('p', 'm/2', 't', 'id')")
    with table.transaction(force_rollback=True):
        table.execute("UPDATE modeldb.model_version SET retired_at = now() WHERE model = 'm' AND version = 2")
        table.execute("SELECT modeldb._publish('retire', 'm', 2, NULL)")
        assert run(table, "refresh_predictions('p')")["sqlstate"] == VersionRetired.sqlstate
