"""What attach_scorer() makes has known names, in one schema: nobody else makes anything there, or is led to run it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from support.answers import answer, answers
from support.roles import Login
from support.scorers import attach, wait_for_lock


@pytest.fixture
def table(admin: psycopg.Connection) -> psycopg.Connection:
    """Alice's table, which is empty, and to which bob writes; as a superuser."""
    admin.execute("DELETE FROM modeldb.scorer; TRUNCATE private.t")
    admin.execute("GRANT USAGE ON SCHEMA private TO test_bob; GRANT ALL ON private.t TO test_bob")
    return admin


def test_nobody_makes_anything_where_scorers_are_made(table: psycopg.Connection, login: Login) -> None:
    """Neither before, nor while somebody attaches, nor in the transaction that has attached, nor after it."""
    alice, bob, name = login("alice"), login("bob"), "modeldb_scorers.queue_1"
    other = login("alice")

    def refused(connection: psycopg.Connection) -> None:
        for statement in (
            f"CREATE TABLE {name} ()",
            f"CREATE VIEW {name} AS SELECT 1",
            "CREATE FUNCTION modeldb_scorers._1() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE PROCEDURE modeldb_scorers._1() LANGUAGE sql AS ''",
            "CREATE TYPE modeldb_scorers.taken AS (x int)",
        ):
            with pytest.raises(InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())

    for connection in (alice, bob):
        refused(connection)
    alice.execute("BEGIN")
    attach(alice, "private.t", enrich="SELECT 1 AS one", where="a > 0")
    attach(alice, "private.t", into="later", mode="async")
    for connection in (alice, other, bob):
        refused(connection)
    alice.execute("COMMIT")
    for connection in (alice, other, bob):
        refused(connection)
    acl = "SELECT nspacl::text FROM pg_namespace WHERE nspname = 'modeldb_scorers'"
    assert "test_alice" not in answer(table, acl)


def test_an_attempt_that_fails_leaves_no_right_behind(table: psycopg.Connection, login: Login) -> None:
    alice = login("alice")
    alice.execute("BEGIN")
    alice.execute("""DO $$ BEGIN
        PERFORM attach_scorer('private.t', 'm', "where" => 'no_such_column > 0');
    EXCEPTION WHEN SQLSTATE 'MD603' THEN NULL; END $$""")
    with pytest.raises(InsufficientPrivilege):
        alice.execute("CREATE TABLE modeldb_scorers.mine ()")
    alice.execute("ROLLBACK")


def test_who_attaches_while_another_transaction_has_attached_waits(table: psycopg.Connection, login: Login) -> None:
    alice, bob = login("alice"), login("bob")
    bob.execute("CREATE TABLE shared.mine (a float8, b float8)")
    alice.execute("BEGIN")
    attach(alice, "private.t")
    with ThreadPoolExecutor(1) as pool:
        attached = pool.submit(attach, bob, "shared.mine")
        wait_for_lock(table, bob.info.backend_pid)
        bob_holds = "SELECT count(*) FROM pg_locks WHERE pid = %s AND relation = 'shared.mine'::regclass"
        assert answer(table, bob_holds + " AND mode <> 'AccessShareLock'", bob.info.backend_pid) == 0
        alice.execute("COMMIT")
        attached.result(timeout=30)
    bob.execute("INSERT INTO shared.mine VALUES (1, 1)")
    assert answers(bob, "SELECT score FROM shared.mine") == [3]


@pytest.mark.parametrize("kind", ["FUNCTION {}() RETURNS int", "PROCEDURE {}()", "FUNCTION {}(int) RETURNS int"])
def test_a_name_that_was_taken_is_taken_back(table: psycopg.Connection, login: Login, kind: str) -> None:
    newest = answer(table, "SELECT last_value FROM modeldb.scorer_id_seq")
    for name in (f"_{newest + 1}", f"_{newest + 1}_enrich"):
        made = kind.format(f"modeldb_scorers.{name}")
        table.execute(f"CREATE {made} LANGUAGE sql AS 'SELECT 1'".encode())
    found = attach(login("alice"), "private.t", enrich="SELECT 1 AS one")
    assert found["id"] == newest + 1
    bob = login("bob")
    bob.execute("INSERT INTO private.t VALUES (1, 1, 1)")
    assert answers(bob, "SELECT score FROM private.t") == [3]


@pytest.mark.parametrize(
    "made",
    [
        "VIEW {} AS SELECT now() AS queue_time, 1/(random() * 0)::int AS x",
        "TABLE {} (queue_time timestamptz)",
        "MATERIALIZED VIEW {} AS SELECT now() AS queue_time",
    ],
)
def test_the_view_asks_nothing_but_the_owners_queue(table: psycopg.Connection, login: Login, made: str) -> None:
    alice = login("alice")
    attach(alice, "private.t")
    later = attach(alice, "private.t", into="later", mode="async")["id"]
    table.execute(f"DROP TABLE modeldb_scorers.queue_{later}".encode())
    for id_ in (later - 1, later):
        name = f"modeldb_scorers.queue_{id_}"
        table.execute(f"CREATE {made.format(name)}; GRANT SELECT ON {name} TO PUBLIC".encode())
    assert answers(table, "SELECT queued FROM modeldb.scorers") == [None, None]


def test_what_hangs_on_a_queue_keeps_nobody_from_attaching(table: psycopg.Connection, login: Login) -> None:
    """Neither a view over the queue of a table that is gone, nor somebody who reads it."""
    alice, bob = login("alice"), login("bob")
    bob.execute("CREATE TABLE shared.gone (id int PRIMARY KEY, a float8, b float8)")
    viewed = attach(bob, "shared.gone", into="x", mode="async")["id"]
    read = attach(bob, "shared.gone", into="y", mode="async")["id"]
    plain = attach(bob, "shared.gone", into="z")["id"]
    bob.execute(f"CREATE VIEW shared.waits AS SELECT count(*) FROM modeldb_scorers.queue_{viewed}")
    bob.execute("DROP TABLE shared.gone")
    bob.execute(f"BEGIN; SELECT FROM modeldb_scorers.queue_{read}")
    alice.execute("SET statement_timeout = '20s'")
    attach(alice, "private.t")
    ids = "SELECT id FROM modeldb.scorer WHERE id BETWEEN %s AND %s ORDER BY id"
    assert [row[0] for row in table.execute(ids, [viewed, plain]).fetchall()] == [viewed, read]
    assert answer(bob, "SELECT count(*) FROM shared.waits") == 1
    bob.execute("COMMIT; DROP VIEW shared.waits")
    attach(alice, "private.t", into="second")
    assert table.execute(ids, [viewed, plain]).fetchall() == []
    assert answer(table, "SELECT to_regclass(%s)", f"modeldb_scorers.queue_{viewed}") is None
