"""create_predictions(), refresh_predictions(), drop_predictions() and what is seen of them."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from support.answers import answer, answers
from support.batch import Connect, differences, run, stored_rows, wrong_rows
from support.flowers import Garden
from support.models import Trained
from support.tables import write_table

import modeldb
from modeldb.errors import InvalidSource

TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, a float8, b float8, note text);
    INSERT INTO t SELECT i, i * 0.1, -i, 'n' || i FROM generate_series(1, 100) AS i"""
CREATE = "create_predictions('p', 'm', 't', 'id')"
KINDS = pytest.mark.parametrize("incremental", [False, True], ids=["materialized", "incremental"])


@pytest.fixture
def made(clean: psycopg.Connection) -> psycopg.Connection:
    """A table t of 100 rows, and predictions p of it."""
    clean.execute(TABLE.encode())
    run(clean, CREATE)
    return clean


def refreshed(connection: psycopg.Connection, name: str = "p") -> tuple[Any, Any]:
    """(rows, scored) of a refresh without an error."""
    found = run(connection, "refresh_predictions(%s)", name)
    assert (found["error"], found["sqlstate"]) == (None, None)
    return found["rows"], found["scored"]


def columns(connection: psycopg.Connection, relation: str) -> list[tuple[str, str]]:
    query = """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
    return connection.execute(query.encode(), [relation]).fetchall()


# --- what they hold ------------------------------------------------------------------------------------------------

REST = [("model", "text"), ("model_version", "integer"), ("scored_at", "timestamp with time zone")]
SHAPES = {
    "prediction": ("prediction", "double precision"),
    "label": ("label", "text"),
    "probability": ("probability", "double precision"),
}
TASKS = [
    ("width", "flowers", ["prediction"]),
    ("species", "flowers", ["label", "probability"]),
    ("mixed", "mixed", ["prediction", "label", "probability"]),
    ("gaps", "gaps", ["prediction", "label", "probability"]),
]


@pytest.fixture(scope="module")
def models(module_db: modeldb.Database, garden: Garden, mixed: Trained, gaps: Trained) -> None:
    for name, trained in (("mixed", mixed), ("gaps", gaps)):
        module_db.register(name, trained.estimator, sample=trained.X)
        write_table(module_db, name, trained.X)


@KINDS
@pytest.mark.parametrize(("model", "table", "outputs"), TASKS)
def test_the_view_has_what_the_task_gives(
    models: None, clean: psycopg.Connection, model: str, table: str, outputs: list[str], incremental: bool
) -> None:
    found = run(clean, f"create_predictions('p', '{model}', '{table}', 'row_id', incremental => {incremental})")
    rows = answer(clean, f"SELECT count(*) FROM {table}")
    assert (found["predictions"], found["model"], found["version"]) == ("public.p", model, 1)
    assert (found["rows"], found["scored"], found["error"], found["runner"]) == (rows, rows, None, "session")
    assert columns(clean, "p") == [("row_id", "bigint"), *(SHAPES[name] for name in outputs), *REST]
    assert wrong_rows(clean, "p", table, model, "row_id") == []
    assert clean.execute("SELECT DISTINCT model, model_version FROM p").fetchall() == [(model, 1)]
    again = run(clean, "refresh_predictions('p')")
    assert (again["rows"], again["scored"]) == (rows, 0 if incremental else rows)
    assert wrong_rows(clean, "p", table, model, "row_id") == []


@pytest.mark.parametrize("rows", [0, 1, 100, 501])
@KINDS
def test_sources_of_any_length(clean: psycopg.Connection, rows: int, incremental: bool) -> None:
    clean.execute(f"CREATE TABLE t AS SELECT i AS id, i AS a, -i AS b FROM generate_series(1, {rows}) AS i".encode())
    found = run(clean, f"create_predictions('p', 'm', 't', 'id', incremental => {incremental})")
    assert (found["rows"], found["scored"]) == (rows, rows)
    assert answers(clean, "SELECT id FROM p WHERE prediction = id") == list(range(1, rows + 1))
    clean.execute("INSERT INTO t VALUES (0, 0, 0)")
    assert refreshed(clean)[0] == rows + 1
    clean.execute("TRUNCATE t")
    assert refreshed(clean)[0] == 0
    assert answer(clean, "SELECT count(*) FROM p") == 0


CARRIED = {
    "int2": "'7'",
    "numeric(10,2)": "'7.10'",
    "numeric": "'1.500'",
    "real": "'0.1'",
    "double precision": "'0.1', '1e-320', '-0', 'NaN', '-Infinity'",
    "character(5)": "'ab'",
    "character varying(9)": "'a,\"b\\'",
    "text": "'', 'NULL', '{', '\\', 'é😀'",
    '"char"': "'x'",
    "name": "'x'",
    "boolean": "'t'",
    "date": "'2020-02-03', 'infinity', '0044-03-15 BC'",
    "time(3) without time zone": "'01:02:03.004'",
    "time with time zone": "'01:02:03+05:30'",
    "timestamp without time zone": "'2020-02-03 04:05:06.789'",
    "timestamp(0) with time zone": "'2020-02-03 04:05:06+01'",
    "timestamp with time zone": "'2020-12-03 04:05:06.789+05:30', '-infinity'",
    "interval": "'1 year -2 days 03:04:05.678', '-1 day +02:03', '00:00:00.000001'",
    "interval(3)": "'-1 day -02:03:04.567'",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "json": """'{"b": 1,  "a": [null]}'""",
    "jsonb": """'{"b": 1,  "a": [null]}', '"x"', 'null'""",
    "bytea": "'\\x00ff5c22'",
    "bit(3)": "'101'",
    "bit varying(9)": "'10101'",
    "inet": "'10.0.0.1/8'",
    "cidr": "'10.0.0.0/8'",
    "macaddr": "'08:00:2b:01:02:03'",
    "money": "'12.34'",
    "oid": "'4000000000'",
    "point": "'(0.1,2)'",
    "box": "'(1,2),(0.1,0)'",
    "polygon": "'((0,0),(1,1.1),(1,0))'",
    "xml": "'<a>b</a>'",
    "tsvector": "'a:1 b:2'",
    "pg_lsn": "'16/B374D848'",
    "int4range": "'[1,5)'",
    "tstzrange": "'[2020-01-01,)'",
    "int4multirange": "'{[1,5),[7,9)}'",
    "integer[]": "'{1,NULL,3}', '{}', '[0:1]={1,2}', '{{1,2},{3,4}}'",
    "text[]": """'{NULL,"NULL","a,b","\\"",""}'""",
    "numeric(5,1)[]": "'{1.5}'",
    "jsonb[]": """'{"{\\"a\\": 1}"}'""",
    "mood": "'so so'",
    "mood[]": "'{\"so so\",bad}'",
    "amount": "'1.50'",
    "numbers": "'{1,2}'",
    "pair": '\'(1,"a,""b")\'',
    "pair[]": "'{\"(1,x)\"}'",
    "regclass": "'pg_class'",
}


def make_types(connection: psycopg.Connection) -> None:
    if answer(connection, "SELECT to_regtype('mood') IS NULL"):
        connection.execute(
            """CREATE TYPE mood AS ENUM ('bad', 'so so'); CREATE DOMAIN amount AS numeric(10, 2) CHECK (value > 0);
            CREATE TYPE pair AS (x int, y text); CREATE DOMAIN numbers AS int[]"""
        )


@pytest.mark.parametrize("settings", [False, True], ids=["", "settings"])
@KINDS
def test_columns_of_every_type_are_carried_along(clean: psycopg.Connection, incremental: bool, settings: bool) -> None:
    """Whatever way the session writes values, they arrive as they were, and so do the types."""
    make_types(clean)
    names = [f"c{number}" for number in range(len(CARRIED))]
    listed = ", ".join(f"{name} {kind}" for name, kind in zip(names, CARRIED, strict=True))
    clean.execute(f"CREATE TABLE t (id serial PRIMARY KEY, a int DEFAULT 1, b int DEFAULT 2, {listed})".encode())
    clean.execute("INSERT INTO t (a) VALUES (1), (2)")  # all NULL
    for name, (kind, values) in zip(names, CARRIED.items(), strict=True):
        for value in values.replace("', '", "'\n'").split("\n"):
            clean.execute(f"INSERT INTO t ({name}) VALUES ({value}::{kind})".encode())
    if settings:
        clean.execute(
            """SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'; SET extra_float_digits = -5;
            SET bytea_output = 'escape'; SET TimeZone = 'Asia/Kolkata'; SET xmlbinary = 'hex';
            SET standard_conforming_strings = off; SET quote_all_identifiers = on"""
        )
    create = "SELECT FROM create_predictions('p', 'm', 't', 'id', columns => %s, incremental => %s)"
    clean.execute(create.encode(), [names, incremental])
    assert columns(clean, "p")[1 : len(names) + 1] == columns(clean, "t")[3:]
    clean.execute("UPDATE t SET b = 3 WHERE id % 3 = 0")
    scored = answer(clean, "SELECT scored FROM refresh_predictions('p')")
    assert scored == answer(clean, f"SELECT count(*) FROM t WHERE id % 3 = 0 OR NOT {incremental}")
    clean.execute("RESET ALL")
    same = "ROW(t.{0})::record *= ROW(p.{0})::record"
    for name, kind in zip(names, CARRIED, strict=True):
        assert answers(clean, f"SELECT id FROM t JOIN p USING (id) WHERE NOT {same.format(name)}") == [], kind
    assert wrong_rows(clean, "p", "t", "m", "id") == []


KEYS = {
    "text": ["a", "A", "", " ", "NULL", "a,b", 'a"b', "a\\b", "a'b", "{}", "ä😀", "a\nb", "(1)"],
    "character varying(5)": ["a", "A", "NULL"],
    "character(5)": ["a", "b"],
    "bigint": ["9223372036854775807", "-1"],
    "numeric": ["1.50", "-0.000001", "NaN", "1e40"],
    "double precision": ["0.1", "1e-320", "NaN", "Infinity"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "date": ["2020-02-03", "infinity"],
    "timestamp with time zone": ["2020-02-03 04:05:06.789+05:30"],
    "interval": ["-1 day +02:03", "1 year"],
    "bytea": ["\\x00ff", "\\x"],
    "boolean": ["t", "f"],
    "inet": ["10.0.0.1/8"],
    "int4range": ["[1,5)", "empty"],
    "jsonb": ['{"a": 1}', '"x"'],
    "integer[]": ["{1,2}", "{}"],
    "mood": ["bad", "so so"],
    "amount": ["1.50", "2"],
    "citext": ["a", "B"],
}


@KINDS
@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type(clean: psycopg.Connection, kind: str, incremental: bool) -> None:
    make_types(clean)
    clean.execute("CREATE EXTENSION IF NOT EXISTS citext")
    clean.execute(f"CREATE TABLE t (k {kind} PRIMARY KEY, a float8, b float8)".encode())
    for number, value in enumerate(KEYS[kind]):
        clean.execute(f"INSERT INTO t VALUES (%s::text::{kind}, %s, 1)".encode(), [value, number])
    run(clean, f"create_predictions('p', 'm', 't', 'k', incremental => {incremental})")
    for statement in ("UPDATE t SET a = a + 1 WHERE a = 0", "DELETE FROM t WHERE a = 0"):
        clean.execute(statement.encode())
        refreshed(clean)
        assert wrong_rows(clean, "p", "t", "m", "k") == []


@KINDS
def test_a_key_of_several_columns(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(
        """CREATE TABLE t ("Day" date, "select" text, n int, a float8, b float8, PRIMARY KEY (n, "Day", "select"));
        INSERT INTO t SELECT date '2020-01-01' + i % 3, 'x' || i % 5, i % 7, i, i FROM generate_series(0, 104) AS i"""
    )
    key = ["Day", "select", "n"]
    run(clean, "create_predictions('p', 'm', 't', %s::text[], incremental => %s)", key, incremental)
    assert [name for name, _ in columns(clean, "p")] == [*key, "prediction", "model", "model_version", "scored_at"]
    clean.execute("UPDATE t SET a = 0 WHERE n = 3; DELETE FROM t WHERE \"select\" = 'x1'")
    assert refreshed(clean)[0] == 84
    assert wrong_rows(clean, "p", "t", "m", '"Day"', '"select"', "n") == []


# --- where they come from ------------------------------------------------------------------------------------------

SOURCES = {
    "a view": "CREATE VIEW {} AS {}",
    "a materialized view": "CREATE MATERIALIZED VIEW {} AS {}",
    "a table": "CREATE TABLE {} AS {}",
    "a partitioned table": "CREATE TABLE {0} (id int, a float8, b float8) PARTITION BY LIST (id);"
    " CREATE TABLE part PARTITION OF {0} DEFAULT; INSERT INTO {0} {1}",
}
ROWS = "SELECT i AS id, i * 0.5 AS a, i AS b FROM generate_series(1, 9) AS i"


@KINDS
@pytest.mark.parametrize("statement", SOURCES.values(), ids=SOURCES)
def test_kinds_of_sources(clean: psycopg.Connection, statement: str, incremental: bool) -> None:
    source = '"My Schema"."A Source"'
    clean.execute('DROP SCHEMA IF EXISTS "My Schema" CASCADE; CREATE SCHEMA "My Schema"')
    clean.execute(statement.format(source, ROWS).encode())
    run(clean, f"create_predictions('\"My Schema\".\"P.q\"', 'm', '{source}', 'id', incremental => {incremental})")
    assert refreshed(clean, '"My Schema"."P.q"')[0] == 9
    assert wrong_rows(clean, '"My Schema"."P.q"', source, "m", "id") == []
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        clean.execute(f"DROP {' '.join(statement.split(' {')[0].split()[1:])} {source}".encode())
    clean.execute('SELECT drop_predictions(\'"My Schema"."P.q"\')')


@KINDS
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t;",
        "-- which\nSELECT id, a, b FROM t -- and why",
        "WITH x AS (SELECT * FROM t WHERE id <= 50) SELECT * FROM x UNION ALL SELECT * FROM t WHERE id > 50 ;",
        "TABLE t",
        "(SELECT * FROM t ORDER BY a LIMIT 1000)",
    ],
)
def test_a_query_is_kept_as_a_view(clean: psycopg.Connection, query: str, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    run(clean, "create_predictions('p', 'm', %s, 'id', incremental => %s)", query, incremental)
    clean.execute("UPDATE t SET a = 7 WHERE id = 3; DELETE FROM t WHERE id = 4")
    assert refreshed(clean)[0] == 99
    assert wrong_rows(clean, "p", "t", "m", "id") == []
    assert "FROM" in answer(clean, "SELECT describe_predictions('p') ->> 'query'")
    clean.execute("ALTER TABLE t RENAME TO u")  # the view knows it by its oid
    assert refreshed(clean)[0] == 99
    clean.execute("ALTER TABLE u RENAME TO t; SELECT drop_predictions('p')")
    assert answer(clean, "SELECT to_regclass('p_source')") is None


@pytest.mark.parametrize("source", ["t", "SELECT * FROM t"])
def test_names_keep_the_meaning_that_they_had(clean: psycopg.Connection, source: str) -> None:
    """A refresh in a session of another search_path reads the same table."""
    clean.execute(TABLE.encode())
    clean.execute("CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE IF NOT EXISTS other.t (LIKE t)")
    run(clean, "create_predictions('p', 'm', %s, 'id')", source)
    clean.execute("SET search_path = other, modeldb")
    assert refreshed(clean, "public.p")[0] == 100
    clean.execute("SET search_path = ''")
    assert answer(clean, "SELECT rows FROM modeldb.refresh_predictions('public.p')") == 100


NAMES = ["p", "P", "public.p", "PUBLIC . P", '"p"', '"public"."p"', ' "public" . p ']


@pytest.mark.parametrize("name", NAMES)
def test_spellings_of_a_name(made: psycopg.Connection, name: str) -> None:
    assert refreshed(made, name)[0] == 100
    assert answer(made, "SELECT describe_predictions(%s) ->> 'name'", name) == "public.p"
    made.execute("DROP VIEW p")
    made.execute("SELECT drop_predictions(%s)", [name])
    assert answer(made, "SELECT count(*) FROM modeldb.predictions") == 0


@pytest.mark.parametrize("name", ["My Predictions", "select", "a.b", "x-y", "ÄÖ", "é'x'", "a" * 56])
def test_names_that_have_to_be_quoted(clean: psycopg.Connection, name: str) -> None:
    clean.execute(TABLE.encode())
    quoted = '"' + name + '"'
    assert run(clean, "create_predictions(%s, 'm', 't', 'id')", quoted)["rows"] == 100
    assert refreshed(clean, quoted)[0] == 100
    assert answer(clean, f"SELECT count(*) FROM {quoted}") == 100
    if "." not in name:
        assert refreshed(clean, name)[0] == 100
    clean.execute("SELECT drop_predictions(%s)", [quoted])
    assert answers(clean, "SELECT relname FROM pg_class WHERE relname LIKE %s", name + "%") == []


# --- models and versions -------------------------------------------------------------------------------------------


@KINDS
def test_a_refresh_follows_the_alias(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    for name, model in (("p", "m"), ("q", "m@champion"), ("r", "m/1")):
        run(clean, f"create_predictions('{name}', '{model}', 't', 'id', incremental => {incremental})")
    clean.execute("SELECT promote('m', 2)")
    behind = "SELECT behind FROM modeldb.predictions ORDER BY name"
    assert answers(clean, behind) == [True, True, False]
    for name, version in (("p", 2), ("q", 2), ("r", 1)):
        refreshed(clean, name)
        assert clean.execute(f"SELECT DISTINCT model, model_version FROM {name}".encode()).fetchall() == [
            ("m", version)
        ]
        assert wrong_rows(clean, name, "t", f"m/{version}", "id") == []
    assert answers(clean, behind) == [False] * 3
    assert answers(clean, "SELECT version FROM modeldb.batch_runs ORDER BY id") == [1, 1, 1, 2, 2, 1]


def test_a_promotion_in_the_same_transaction(made: psycopg.Connection) -> None:
    with made.transaction(force_rollback=True):
        made.execute("SELECT promote('m', 2)")
        assert run(made, "refresh_predictions('p')")["version"] == 2
        assert wrong_rows(made, "p", "t", "m/2", "id") == []
    made.execute("DO $$ BEGIN PERFORM promote('m', 2); PERFORM refresh_predictions('p'); END $$")
    assert wrong_rows(made, "p", "t", "m/2", "id") == []
    assert answers(made, "SELECT DISTINCT model_version FROM p") == [2]


def test_the_probability_of_a_class(models: None, clean: psycopg.Connection) -> None:
    run(clean, "create_predictions('p', 'species', 'flowers', 'row_id', class => 'virginica')")
    one = "SELECT row_id, predict_proba('species', f, 'virginica') AS probability FROM flowers f"
    assert differences(clean, one, "SELECT row_id, probability FROM p", "row_id", "probability") == []


@KINDS
def test_errors_in_a_column(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    clean.execute("UPDATE t SET a = 'NaN' WHERE id = 7; UPDATE t SET b = NULL WHERE id = 8")
    found = run(clean, f"create_predictions('p', 'm', 't', 'id', on_error => 'null', incremental => {incremental})")
    assert (found["rows"], found["error"]) == (100, None)
    assert [name for name, _ in columns(clean, "p")][:3] == ["id", "prediction", "error"]
    bad = "SELECT id, prediction, error FROM p WHERE error IS NOT NULL OR prediction IS NULL ORDER BY id"
    assert clean.execute(bad.encode()).fetchall() == [
        (7, None, "feature 'a' is NaN, and was never missing in the sample"),
        (8, None, "feature 'b' is NULL, and was never missing in the sample"),
    ]
    clean.execute("UPDATE t SET a = 0, b = 0")
    refreshed(clean)
    assert clean.execute(bad.encode()).fetchall() == []
    assert wrong_rows(clean, "p", "t", "m", "id") == []


# --- what a refresh leaves alone -----------------------------------------------------------------------------------


def test_an_unchanged_prediction_is_an_unchanged_row(made: psycopg.Connection) -> None:
    made.execute("INSERT INTO t SELECT i, i, i FROM generate_series(101, 10000) AS i")
    refreshed(made)
    before, at = stored_rows(made, "p_stored"), answer(made, "SELECT max(scored_at) FROM p")
    made.execute(
        "UPDATE t SET a = a + 1 WHERE id % 100 = 0; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (0, 0, 0)"
    )
    assert refreshed(made) == (10000, 10000)
    after = stored_rows(made, "p_stored")
    assert {int(key) for key in after if before.get(key) != after[key]} == {0, *range(100, 10001, 100)}
    assert answer(made, "SELECT min(scored_at) FROM p") > at
    assert wrong_rows(made, "p", "t", "m", "id") == []
    refreshed(made)
    assert stored_rows(made, "p_stored") == after


def test_the_run_is_what_scored_at_and_the_record_say(made: psycopg.Connection) -> None:
    found = run(made, "refresh_predictions('p')")
    assert answers(made, "SELECT DISTINCT scored_at FROM p") == answers(
        made, "SELECT scored_at FROM modeldb.predictions"
    )
    assert found["started_at"] <= answer(made, "SELECT max(scored_at) FROM p") <= found["finished_at"]
    assert found["rows_per_second"] > 0
    assert (found["run_by"], found["runner"], found["rows"]) == ("postgres", "session", 100)
    [row] = made.execute("SELECT * FROM modeldb.batch_runs ORDER BY id DESC LIMIT 1").fetchall()
    assert row == tuple(found.values())


def test_old_runs_are_forgotten(made: psycopg.Connection) -> None:
    made.execute("UPDATE modeldb.settings SET keep_runs = 3; SELECT create_predictions('q', 'm', 't', 'id')")
    try:
        ids = [run(made, "refresh_predictions('p')")["id"] for _ in range(5)]
        assert answers(made, "SELECT id FROM modeldb.batch_runs WHERE predictions = 'public.p' ORDER BY id") == ids[-3:]
        assert answer(made, "SELECT count(*) FROM modeldb.batch_runs WHERE predictions = 'public.q'") == 1
    finally:
        made.execute("UPDATE modeldb.settings SET keep_runs = 1000")


def test_a_schema_change_that_does_not_concern_the_model(made: psycopg.Connection) -> None:
    made.execute("ALTER TABLE t ADD more text DEFAULT 'x', ALTER note TYPE varchar(20), ADD CHECK (id > 0)")
    made.execute("ALTER TABLE t DROP note")
    assert refreshed(made) == (100, 100)
    made.execute("ALTER TABLE t ALTER a TYPE real, ALTER b TYPE numeric(10, 2)")
    assert refreshed(made) == (100, 100)
    assert wrong_rows(made, "p", "t", "m", "id") == []


# --- transactions --------------------------------------------------------------------------------------------------


@KINDS
def test_in_transactions_and_savepoints(clean: psycopg.Connection, connect: Connect, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    other = connect()
    with clean.transaction():
        run(clean, f"create_predictions('p', 'm', 't', 'id', incremental => {incremental})")
        clean.execute("UPDATE t SET a = 0 WHERE id = 1")
        clean.execute("SAVEPOINT s; UPDATE t SET a = 1")
        refreshed(clean)
        clean.execute("ROLLBACK TO s")
        assert wrong_rows(clean, "p", "t", "m", "id") != []
        refreshed(clean)
        assert wrong_rows(clean, "p", "t", "m", "id") == []
        assert answer(other, "SELECT to_regclass('p')") is None
    assert wrong_rows(other, "p", "t", "m", "id") == []
    assert answer(other, "SELECT count(*) FROM modeldb.batch_runs") == 2
    before = clean.execute("SELECT * FROM p ORDER BY id").fetchall()
    with clean.transaction(force_rollback=True):
        clean.execute("UPDATE t SET a = 99; SELECT promote('m', 2)")
        refreshed(clean)
        assert wrong_rows(clean, "p", "t", "m/2", "id") == []
    assert clean.execute("SELECT * FROM p ORDER BY id").fetchall() == before
    with clean.transaction(force_rollback=True):
        clean.execute("SELECT drop_predictions('p')")
    assert clean.execute("SELECT * FROM p ORDER BY id").fetchall() == before


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@KINDS
def test_in_an_older_snapshot(clean: psycopg.Connection, connect: Connect, level: str, incremental: bool) -> None:
    """All of it is of that snapshot: rows and version; after somebody else's refresh there is nothing to be had."""
    clean.execute(TABLE.encode())
    run(clean, f"create_predictions('p', 'm', 't', 'id', incremental => {incremental})")
    other = connect()
    with other.transaction():
        other.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        assert answer(other, "SELECT count(*) FROM t") == 100
        clean.execute("UPDATE t SET a = 0 WHERE id <= 10; SELECT promote('m', 2)")
        found = run(other, "refresh_predictions('p')")
        assert (found["version"], found["error"]) == (1, None)
        assert wrong_rows(other, "p", "t", "m/1", "id") == []
    refreshed(clean)
    assert wrong_rows(clean, "p", "t", "m/2", "id") == []
    with other.transaction(force_rollback=True):
        other.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        assert answer(other, "SELECT count(*) FROM t") == 100
        refreshed(clean)
        with pytest.raises(psycopg.errors.SerializationFailure):
            run(other, "refresh_predictions('p')")


@KINDS
def test_two_refreshes_at_once(clean: psycopg.Connection, connect: Connect, incremental: bool) -> None:
    """The second waits for the first, and sees what was committed since."""
    clean.execute(TABLE.encode())
    run(clean, f"create_predictions('p', 'm', 't', 'id', incremental => {incremental})")
    second, found = connect(), []
    waiting = f"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = {second.info.backend_pid}"
    with clean.transaction():
        clean.execute("UPDATE t SET a = -1 WHERE id <= 10")
        refreshed(clean)
        thread = threading.Thread(target=lambda: found.append(run(second, "refresh_predictions('p')")))
        thread.start()
        while answer(clean, waiting) is not True:
            assert thread.is_alive()
            clean.execute("SELECT pg_stat_clear_snapshot()")
    thread.join(30)
    assert [(run["rows"], run["error"]) for run in found] == [(100, None)]
    assert wrong_rows(clean, "p", "t", "m", "id") == []


@KINDS
def test_a_reader_is_not_disturbed(clean: psycopg.Connection, connect: Connect, incremental: bool) -> None:
    """A cursor reads on in the rows that it began with, while refreshes come and go without waiting for it."""
    clean.execute(TABLE.encode())
    run(clean, f"create_predictions('p', 'm', 't', 'id', incremental => {incremental})")
    before = clean.execute("SELECT id, prediction, model_version FROM p ORDER BY id").fetchall()
    reader = connect()
    with reader.transaction():
        reader.execute("DECLARE walk CURSOR FOR SELECT id, prediction, model_version FROM p ORDER BY id")
        found = reader.execute("FETCH 10 FROM walk").fetchall()
        clean.execute("SET lock_timeout = '2s'; UPDATE t SET a = -1; SELECT promote('m', 2)")
        refreshed(clean)
        found += reader.execute("FETCH ALL FROM walk").fetchall()
        assert found == before
        assert answers(reader, "SELECT DISTINCT model_version FROM p") == [2]
    assert wrong_rows(clean, "p", "t", "m/2", "id") == []


@KINDS
def test_cancellation_in_the_middle(clean: psycopg.Connection, connect: Connect, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    source = "SELECT *, CASE WHEN a < 0 THEN pg_sleep(0.01) END::text AS slow FROM t"
    create = "create_predictions('p', 'm', %s, 'id', columns => '{slow}', incremental => %s)"
    run(clean, create, source, incremental)
    before = clean.execute("SELECT * FROM p ORDER BY id").fetchall()
    clean.execute("UPDATE t SET a = -a")
    session = connect()
    session.execute("SET statement_timeout = '150ms'")
    for _ in range(2):
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("SELECT refresh_predictions('p')")
    assert clean.execute("SELECT * FROM p ORDER BY id").fetchall() == before
    assert answer(session, "SELECT count(*) FROM modeldb.batch_runs") == 1
    clean.execute("UPDATE t SET a = 1")
    refreshed(session)
    assert wrong_rows(clean, "p", "t", "m", "id") == []


# --- seeing and dropping them --------------------------------------------------------------------------------------


@KINDS
def test_what_is_told_of_them(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    create = """create_predictions('p', 'm@champion', 't', ARRAY['id'], columns => ARRAY['note'], on_error => 'null',
                incremental => {})"""
    run(clean, create.format(incremental))
    cursor = clean.execute("SELECT * FROM modeldb.predictions")
    [row] = cursor.fetchall()
    listed = dict(zip([column.name for column in cursor.description or []], row, strict=True))
    fixed = {"name": "public.p", "owner": "postgres", "model": "m@champion", "source": "public.t", "rows": 100}
    fixed |= {"incremental": incremental, "version": 1, "current_version": 1, "behind": False, "broken": False}
    assert {name: listed[name] for name in fixed} == fixed
    assert (listed["schedule"], listed["last_error"], listed["last_runner"]) == (None, None, "session")
    assert 0 <= listed["age"].total_seconds() < 60
    card = answer(clean, "SELECT describe_predictions('p')")
    fixed = {"key": ["id"], "columns": ["note"], "outputs": ["prediction"], "class": None, "on_error": "null"}
    fixed |= {
        "changed_at": None,
        "stored": "public.p_stored",
        "query": None,
        "created_by": "postgres",
        "model": "m@champion",
    }
    assert {name: card[name] for name in fixed} == fixed
    assert [(run["rows"], run["error"], run["version"]) for run in card["runs"]] == [(100, None, 1)]
    assert "m@champion" in answer(clean, "SELECT obj_description('p'::regclass)")
    for _ in range(12):
        refreshed(clean)
    assert len(answer(clean, "SELECT describe_predictions('p')")["runs"]) == 10


@KINDS
def test_dropping_leaves_the_runs_and_nothing_else(clean: psycopg.Connection, incremental: bool) -> None:
    clean.execute(TABLE.encode())
    relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    before = answer(clean, relations)
    for _ in range(2):
        run(clean, f"create_predictions('p', 'm', 'SELECT * FROM t', 'id', incremental => {incremental})")
        assert answer(clean, "SELECT drop_predictions('p')") == ""
        assert answer(clean, relations) == before
    assert answer(clean, "SELECT count(*) FROM modeldb.predictions") == 0
    assert answer(clean, "SELECT count(*) FROM modeldb.batch_runs") == 2


def test_what_depends_on_them_is_in_the_way(made: psycopg.Connection) -> None:
    made.execute("CREATE VIEW report AS SELECT avg(prediction) FROM p")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        made.execute("SELECT drop_predictions('p')")
    assert answer(made, "SELECT rows FROM modeldb.predictions") == 100
    refreshed(made)
    made.execute("SELECT drop_predictions('p', true)")
    assert answer(made, "SELECT to_regclass('report')") is None


@pytest.mark.parametrize("dropped", ["VIEW p", "VIEW p; DROP MATERIALIZED VIEW p_stored"])
def test_relations_that_were_dropped_by_hand(made: psycopg.Connection, dropped: str) -> None:
    made.execute(f"DROP {dropped}".encode())
    found = answer(made, "SELECT broken FROM modeldb.predictions")
    assert found
    made.execute("SELECT drop_predictions('p')")
    assert run(made, CREATE)["rows"] == 100
    assert wrong_rows(made, "p", "t", "m", "id") == []


def test_they_can_be_made_again_when_all_was_dropped_by_hand(made: psycopg.Connection) -> None:
    made.execute("DROP VIEW p; DROP MATERIALIZED VIEW p_stored")
    assert run(made, CREATE)["rows"] == 100
    assert answer(made, "SELECT count(*) FROM modeldb.predictions") == 1


def test_a_dropped_source(made: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        made.execute("DROP TABLE t")
    made.execute("DROP TABLE t CASCADE")
    assert answer(made, "SELECT to_regclass('p')") is None
    made.execute("SELECT drop_predictions('p')")
    assert answers(made, "SELECT relname FROM pg_class WHERE relname LIKE 'p\\_%' AND relkind = 'm'") == []


def test_duplicates_that_come_later(made: psycopg.Connection) -> None:
    made.execute("SELECT drop_predictions('p'); ALTER TABLE t DROP CONSTRAINT t_pkey")
    run(made, CREATE)
    made.execute("INSERT INTO t VALUES (7, 1, 1)")
    found = run(made, "refresh_predictions('p')")
    assert found["sqlstate"] == InvalidSource.sqlstate
    assert "(id)=(7)" in found["error"]
    assert answer(made, "SELECT count(*) FROM p") == 100
