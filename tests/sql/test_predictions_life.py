"""Predictions in transactions, beside others at work, and until they are dropped."""

from __future__ import annotations

import threading

import psycopg
import pytest
from support.answers import answer, answers
from support.batch import CREATE, KINDS, TABLE, Connect, refreshed, run, wrong_rows

from modeldb.errors import InvalidSource


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
