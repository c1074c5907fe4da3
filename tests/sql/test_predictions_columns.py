"""Keys and carried columns of every type."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers
from support.batch import KINDS, columns, refreshed, run, wrong_rows

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
