"""Queues of tables of all kinds: keys of several columns and of odd types, partitions, and tables that are altered."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.online import drained, due_now, the
from support.scorers import LINEAR, attach, wrong_scores

from modeldb.errors import InvalidScorer


def test_other_columns_may_be_added_dropped_and_the_table_renamed(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async")
    work.execute('INSERT INTO t VALUES (1, 1, 1); ALTER TABLE t RENAME TO "Other Table"')
    work.execute('ALTER TABLE "Other Table" ADD extra int; ALTER TABLE "Other Table" DROP note')
    work.execute('UPDATE "Other Table" SET b = 2, extra = 1')
    assert drained(work, '"Other Table"') == {"taken": 2, "scored": 1}
    assert wrong_scores(work, '"Other Table"') == 0
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        work.execute('ALTER TABLE "Other Table" DROP a')


TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a composite key": ("id int, k text, PRIMARY KEY (k, id)", "i, 'k' || i", {}),
    "an identity key": ("id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "", {}),
    "another key": ("id int PRIMARY KEY, k text NOT NULL UNIQUE", "i, 'k' || i", {"key": ["k"]}),
    "a key of uuid": ("k uuid PRIMARY KEY DEFAULT gen_random_uuid()", "", {}),
    "a key of time": ("k timestamptz PRIMARY KEY", "'2026-01-01'::timestamptz + i * interval '0.001 ms'", {}),
    "a key of bytes": ("k bytea PRIMARY KEY", "i::text::bytea", {}),
    "a key of an array": ("k int[] PRIMARY KEY", "ARRAY[i, -i]", {}),
    "a key of an enum": ("k work.mood PRIMARY KEY", "(ARRAY['ok', 'very \"bad\"'])[i]::work.mood", {}),
    "a generated column": ("id int PRIMARY KEY, a float8 GENERATED ALWAYS AS (id * 2.0) STORED", "i", {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_all_kinds(work: psycopg.Connection, kind: str) -> None:
    columns, values, options = TABLES[kind]
    work.execute("CREATE TYPE mood AS ENUM ('ok', 'very \"bad\"')")
    generated = "a float8" in columns
    names = "" if generated else ", a float8"
    work.execute(f'CREATE TABLE "Odd ""Table" (b float8{names}, {columns})'.encode())
    table = '"Odd ""Table"'
    attach(work, table, mode="async", **options)
    given = [name.split()[0] for name in columns.split(", PRIMARY")[0].split(", ")] if values else []
    given = [name for name in given if name != "a" or not generated]
    target = ", ".join([*given, "b"] + ([] if generated else ["a"]))
    source = ", ".join(([values] if values else []) + ["i"] + ([] if generated else ["-i"]))
    work.execute(f"INSERT INTO {table} ({target}) SELECT {source} FROM generate_series(1, 2) AS i".encode())
    assert drained(work, table) == {"taken": 2, "scored": 2}
    assert wrong_scores(work, table) == 0
    work.execute(f"UPDATE {table} SET b = b + 1".encode())
    assert drained(work, table) == {"taken": 2, "scored": 2}
    assert wrong_scores(work, table) == 0


def test_partitions(work: psycopg.Connection) -> None:
    work.execute("""
        CREATE TABLE t (id int, part int, a float8, b float8, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
        CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
        CREATE TABLE t2 (b float8, gone text, id int NOT NULL, a float8, part int NOT NULL);
        ALTER TABLE t2 DROP COLUMN gone; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES IN (2)""")
    attach(work, "t", mode="async", where="a < 100")
    work.execute("INSERT INTO t (id, part, a, b) SELECT i, 1 + i % 2, i, -i FROM generate_series(1, 20) AS i")
    work.execute("INSERT INTO t1 (id, part, a, b) VALUES (21, 1, 5, 5); INSERT INTO t2 (id, part, a) VALUES (22, 2, 6)")
    assert drained(work) == {"taken": 22, "scored": 21, "failed": 1, "retried": 1}
    work.execute("UPDATE t2 SET b = 1 WHERE id = 22; UPDATE t SET part = 2 WHERE id = 21")
    due_now(work, the(work))
    assert drained(work)["scored"] == 2
    work.execute("UPDATE t SET part = 1, a = 1000 WHERE id = 22")
    drained(work)
    assert answer(work, "SELECT count(score) FROM t WHERE id <> 22") == 21
    assert answers(work, "SELECT id FROM t WHERE score IS DISTINCT FROM predict('m', t)") == [22]
    assert answer(work, "SELECT score FROM t WHERE id = 22") is None


def test_a_partition_can_have_a_queue_of_its_own(work: psycopg.Connection) -> None:
    work.execute("""
        CREATE TABLE t (id int PRIMARY KEY, a float8, b float8, score float8) PARTITION BY RANGE (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t2 PARTITION OF t DEFAULT""")
    attach(work, "t1", mode="async")
    work.execute("INSERT INTO t VALUES (1, 1, 1), (101, 1, 1); INSERT INTO t1 VALUES (2, 2, 2)")
    assert drained(work, "t1") == {"taken": 2, "scored": 2}
    assert answers(work, "SELECT score FROM t ORDER BY id") == [3, 6, None]


def test_rows_of_tables_that_inherit_are_not_the_tables(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    work.execute("CREATE TABLE child () INHERITS (t)")
    attach(work, "t", mode="async")
    work.execute("INSERT INTO child VALUES (1, 5, 5); INSERT INTO t VALUES (1, 1, 1)")
    assert drained(work) == {"taken": 1, "scored": 1}
    assert answers(work, "SELECT score FROM t ORDER BY score") == [3, None]


@pytest.mark.parametrize("table", ["id int, a float8, b float8", "id int UNIQUE, a float8, b float8"])
def test_what_is_no_key_is_refused(work: psycopg.Connection, table: str) -> None:
    work.execute(f"CREATE TABLE t ({table})".encode())
    refusal(work, "SELECT attach_scorer('t', 'm', mode => 'async')", InvalidScorer, "primary key")
    query = "SELECT attach_scorer('t', 'm', mode => 'async', key => '{id}')"
    refusal(work, query, InvalidScorer, "(id) is not the key")
