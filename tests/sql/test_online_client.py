"""Scorers from Python: the typed client, and the events that programs follow."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import psycopg
import pytest
from support.answers import answers
from support.online import drain
from support.registering import Register
from support.workers import until

import modeldb
from modeldb.errors import EventsForgotten, InvalidScorer, NotInstalled, ScorerConflict, UnknownScorer
from modeldb.online import ScoredRow

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE '%_scored(%'"


@pytest.fixture
def online(db: modeldb.Database, sql: psycopg.Connection, register: Register) -> modeldb.Database:
    """A database with a table t, and the model m."""
    register(2.0)
    sql.execute("CREATE TABLE t (id int, k text, a float8, b float8, note text, PRIMARY KEY (k, id))")
    return db


@pytest.fixture
def later(online: modeldb.Database, sql: psycopg.Connection) -> int:
    """The scorer of t, an asynchronous one."""
    return int(online.attach_scorer("t", "m", mode="async")["id"])


def write(connection: psycopg.Connection, scorer: int, *rows: int) -> None:
    """Insert rows, and have them scored."""
    for row in rows:
        connection.execute("INSERT INTO t VALUES (%s, 'k', %s, 0)", [row, row])
    drain(connection, scorer)


def test_scorers_are_attached_listed_and_detached(online: modeldb.Database, sql: psycopg.Connection) -> None:
    attached = online.attach_scorer(
        "t",
        "m",
        into="s",
        label="label",
        model_version="version",
        scored_at="at",
        columns={"b": "b"},
        where="note IS NULL",
        on_error="null",
        reject_if="score > 100",
        enrich="SELECT new.b * 10 AS tens",
    )
    assert (attached["into"], attached["mode"], attached["key"]) == ("s", "sync", ["k", "id"])
    sql.execute("INSERT INTO t VALUES (1, 'k', 1, 2)")
    assert answers(sql, "SELECT s FROM t") == [4]
    [shown] = online.scorers()
    assert (shown["into"], shown["model"], shown["version"], shown["rows"]) == ("s", "m", 1, 1)
    with pytest.raises(ScorerConflict):
        online.attach_scorer("t", "m", into="s")
    online.detach_scorer("t")
    assert online.scorers() == []
    with pytest.raises(UnknownScorer):
        online.detach_scorer("t", "s")


def test_a_key_is_one_name_or_several(online: modeldb.Database, sql: psycopg.Connection) -> None:
    sql.execute("ALTER TABLE t ADD u int UNIQUE NOT NULL GENERATED ALWAYS AS IDENTITY")
    assert online.attach_scorer("t", "m", mode="async", key="u")["key"] == ["u"]
    assert online.attach_scorer("t", "m", mode="async", into="two", key=("id", "k"))["key"] == ["id", "k"]
    with pytest.raises(InvalidScorer, match="not the key"):
        online.attach_scorer("t", "m", mode="async", into="three", key=["id"])


def test_the_query_that_enrich_means(online: modeldb.Database, sql: psycopg.Connection) -> None:
    sql.execute("INSERT INTO t VALUES (1, 'k', 1, 2)")
    query = online.enriched("t", "SELECT new.b * 10 AS tens")
    assert answers(sql, f"SELECT tens FROM ({query}) AS q") == [20]


def test_failures_are_retried(online: modeldb.Database, sql: psycopg.Connection, later: int) -> None:
    write(sql, later)
    sql.execute("INSERT INTO t VALUES (1, 'k', NULL, 1)")
    for _ in range(5):
        sql.execute(f"UPDATE modeldb_scorers.queue_{later} SET queue_due = now()".encode())
        drain(sql, later)
    assert online.retry_failures("t") == 1
    assert online.retry_failures("t", "score") == 0


def test_events_come_as_rows_are_scored(online: modeldb.Database, sql: psycopg.Connection, later: int) -> None:
    write(sql, later, 1)
    rows = online.scored("t")
    write(sql, later, 2, 3)
    two, three = itertools.islice(rows, 2)
    assert isinstance(two, ScoredRow)
    assert (two.position, two.key, two.score, two.label, two.version) == (2, ("k", 2), 4.0, None, 1)
    assert three.key == ("k", 3)
    rows.close()
    assert [row.position for row in itertools.islice(online.scored("t", "score", after=0), 3)] == [1, 2, 3]
    assert next(online.scored("t", after=2)).key == ("k", 3)


def test_events_arrive_while_somebody_waits(online: modeldb.Database, sql: psycopg.Connection, later: int) -> None:
    rows = online.scored("t")
    came: list[ScoredRow] = []
    thread = threading.Thread(target=lambda: came.extend(itertools.islice(rows, 20)), daemon=True)
    thread.start()
    for number in range(20):
        write(sql, later, number)
    thread.join(20)
    assert [row.position for row in came] == list(range(1, 21))


def test_nothing_is_missed_when_the_connection_is_lost(
    online: modeldb.Database, sql: psycopg.Connection, later: int
) -> None:
    came: list[ScoredRow] = []

    def follow(rows: Iterator[ScoredRow]) -> None:
        came.extend(itertools.islice(rows, 6))

    thread = threading.Thread(target=follow, args=[online.scored("t")], daemon=True)
    thread.start()
    for number in range(3):
        write(sql, later, number)
        until(lambda: answers(sql, f"{LISTENERS} AND pid <> pg_backend_pid()"), "somebody listens")
        sql.execute(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS} AND pid <> pg_backend_pid()) AS l".encode())
        write(sql, later, 100 + number)
    thread.join(30)
    assert [(row.position, row.key[1]) for row in came] == [(1, 0), (2, 100), (3, 1), (4, 101), (5, 2), (6, 102)]


def test_events_end_when_they_cannot_go_on(online: modeldb.Database, sql: psycopg.Connection, later: int) -> None:
    write(sql, later, 1, 2)
    sql.execute("UPDATE modeldb.scored_batch SET scored_at = now() - interval '1 year'")
    sql.execute("SELECT modeldb._forget_events()")
    with pytest.raises(EventsForgotten, match="position 0"):
        next(online.scored("t", after=0))
    rows = online.scored("t")
    online.detach_scorer("t")
    with pytest.raises(UnknownScorer):
        next(rows)
    with pytest.raises(UnknownScorer):
        online.scored("t")


def test_events_of_a_caller_who_gave_a_connection(
    online: modeldb.Database, sql: psycopg.Connection, later: int
) -> None:
    with online.engine.connect() as connection:
        rows = modeldb.connect(connection).scored("t", after=0)
        write(sql, later, 1)
        assert next(rows).key == ("k", 1)
        rows.close()


def test_an_error_of_postgresqls_own_leaves_as_one_of_modeldbs(
    online: modeldb.Database, sql: psycopg.Connection, later: int
) -> None:
    rows = online.scored("t", after=0)
    sql.execute("ALTER FUNCTION modeldb._scored(integer, bigint, integer) RENAME TO _scored_elsewhere")
    with pytest.raises(NotInstalled, match="_scored"):
        next(rows)
