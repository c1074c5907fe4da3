"""What is put into the queue of an asynchronous scorer, and what comes of it when it is drained."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import Connect
from support.online import drain, drained, due_now, queued, the
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import InvalidArgument, MissingPrivilege

ROWS = "INSERT INTO t SELECT i, i * 0.5, -i, 'n' || i FROM generate_series(1, 50) AS i"


@pytest.fixture
def later(work: psycopg.Connection) -> psycopg.Connection:
    """An empty table t that is scored by m, asynchronously."""
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", model_version="version", scored_at="at")
    return work


def test_rows_are_scored_when_the_queue_is_drained(later: psycopg.Connection) -> None:
    later.execute(ROWS.encode())
    assert answer(later, "SELECT count(score) FROM t") == 0
    assert (scorer(later)["queued"], scorer(later)["rows"], scorer(later)["mode"]) == (50, 0, "async")
    assert drained(later) == {"taken": 50, "scored": 50}
    assert wrong_scores(later) == 0
    assert answers(later, "SELECT DISTINCT version FROM t WHERE at > now() - interval '1 minute'") == [1]
    found = scorer(later)
    assert (found["queued"], found["oldest_waiting"], found["rows"], found["errors"]) == (0, None, 50, 0)
    assert 0 < found["p50_ms"] <= found["p99_ms"] < 60_000
    assert drained(later) == {}


WRITES = [
    ("an insert", "INSERT INTO t VALUES (101, 1, 1), (102, 2, 2)", 2),
    ("an update of what is read", "UPDATE t SET a = a + 1 WHERE id <= 7", 7),
    ("an update to what it was", "UPDATE t SET a = a + 0, b = b WHERE id <= 7", 0),
    ("an update of another column", "UPDATE t SET note = 'other'", 0),
    ("an update of the score", "UPDATE t SET score = 5, version = 7", 0),
    ("an update of the key", "UPDATE t SET id = id + 1000 WHERE id <= 3", 3),
    ("to NULL and from it", "UPDATE t SET a = 0 WHERE id = 1", 1),
    ("a delete", "DELETE FROM t WHERE id < 10", 0),
    ("an insert on conflict", "INSERT INTO t VALUES (1, 9, 9), (200, 1, 1) ON CONFLICT (id) DO UPDATE SET a = 9", 2),
    ("a merge", "MERGE INTO t USING generate_series(49, 52) AS s (i) ON t.id = s.i WHEN MATCHED THEN UPDATE SET b = 77 "
     "WHEN NOT MATCHED THEN INSERT (id, a, b) VALUES (i, i, i)", 4),
    ("a rolled back insert", "BEGIN; INSERT INTO t VALUES (300, 1, 1); ROLLBACK", 0),
]  # fmt: skip


@pytest.mark.parametrize(("write", "entries"), [case[1:] for case in WRITES], ids=[case[0] for case in WRITES])
def test_what_is_enqueued(later: psycopg.Connection, write: str, entries: int) -> None:
    later.execute(ROWS.encode())
    drained(later)
    later.execute(write.encode())
    assert queued(later, the(later)) == entries
    assert drained(later) == ({"taken": entries, "scored": entries} if entries else {})
    later.execute("UPDATE t SET score = predict('m', t) WHERE score = 5")
    assert wrong_scores(later) == 0


def test_a_copy_is_enqueued(later: psycopg.Connection) -> None:
    with later.cursor().copy("COPY t (id, a, b) FROM STDIN") as copy:
        for i in range(7000):
            copy.write_row((i, i * 0.25, -i))
    assert drained(later) == {"taken": 5000, "scored": 5000}
    assert drained(later) == {"taken": 2000, "scored": 2000}
    assert wrong_scores(later) == 0


def test_a_row_that_changed_meanwhile_is_scored_once_on_its_newest_values(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2); UPDATE t SET a = 10 WHERE id = 1")
    assert drained(later) == {"taken": 3, "scored": 2}
    assert answers(later, "SELECT score FROM t ORDER BY id") == [21, 6]


def test_rows_get_their_own_scores_in_whatever_order_they_are_stored_and_queued(later: psycopg.Connection) -> None:
    later.execute("SET enable_nestloop = off; SET enable_mergejoin = off")  # so that they come as they are stored
    for order in ("id", "-id", "id % 7, id", "md5(id::text)"):
        later.execute("TRUNCATE t; INSERT INTO t SELECT i, i * 0.5, i FROM generate_series(1, 50) AS i")
        drained(later)
        later.execute("UPDATE t SET a = a + 1")
        queue = f"modeldb_scorers.queue_{the(later)}"
        later.execute(
            f"""
            UPDATE {queue} AS q SET queue_due = now() - n * interval '1 second'
            FROM (SELECT id, row_number() OVER (ORDER BY {order}) AS n FROM t) AS o WHERE o.id = q.key_1""".encode()
        )
        assert drained(later) == {"taken": 50, "scored": 50}
        assert wrong_scores(later) == 0


def test_rows_that_are_gone_are_dropped(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3); DELETE FROM t WHERE id = 1")
    later.execute("UPDATE t SET id = 30 WHERE id = 3")
    assert drained(later) == {"taken": 4, "scored": 2, "gone": 2}
    assert wrong_scores(later) == 0
    assert queued(later, the(later)) == 0
    later.execute(ROWS.replace("SELECT i,", "SELECT i + 50,").encode())
    later.execute("TRUNCATE t")
    assert drained(later) == {"taken": 50, "gone": 50}


def test_rows_that_others_have_locked_are_put_off_and_the_rest_is_scored(
    later: psycopg.Connection, connect: Connect
) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)")
    other = connect()
    with other.transaction():
        other.execute("UPDATE work.t SET a = 5 WHERE id = 1; DELETE FROM work.t WHERE id = 2")
        assert drained(later) == {"taken": 3, "scored": 1, "busy": 2}
        assert drained(later) == {}, "not at once"
    due_now(later, the(later))
    assert drained(later) == {"taken": 3, "scored": 1, "gone": 1}
    assert answers(later, "SELECT score FROM t ORDER BY id") == [11, 9]


def test_entries_that_another_worker_has_taken_are_passed_over(later: psycopg.Connection, connect: Connect) -> None:
    later.execute(ROWS.encode())
    other = connect()
    with other.transaction():
        other.execute(f"SELECT FROM modeldb_scorers.queue_{the(later)} LIMIT 20 FOR UPDATE".encode())
        assert drained(later) == {"taken": 30, "scored": 30}
    assert drained(later) == {"taken": 20, "scored": 20}
    assert wrong_scores(later) == 0


def test_a_drain_that_is_rolled_back_leaves_everything(later: psycopg.Connection, connect: Connect) -> None:
    later.execute(ROWS.encode())
    other = connect()
    with other.transaction(force_rollback=True):
        assert drain(other, the(later))["scored"] == 50
    assert queued(later, the(later)) == 50
    assert answer(later, "SELECT position FROM modeldb.scorer") == 0
    assert drained(later) == {"taken": 50, "scored": 50}


def test_a_promotion_counts_from_the_next_batch_on(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1)")
    drained(later)
    later.execute("SELECT promote('m', 2); INSERT INTO t VALUES (2, 1, 1)")
    drained(later)
    assert answers(later, "SELECT ARRAY[score, version] FROM t ORDER BY id") == [[3, 1], [4, 2]]


def test_a_row_that_where_excludes_has_no_score(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", where="a > 10 AND note IS DISTINCT FROM 'no'", model_version="version")
    work.execute("INSERT INTO t VALUES (1, 5, 5, ''), (2, 20, 5, ''), (3, NULL, 5, ''), (4, 30, 5, 'no')")
    assert drained(work) == {"taken": 1, "scored": 1}
    work.execute("UPDATE t SET a = 1 WHERE id = 2; UPDATE t SET note = 'yes' WHERE id = 4")
    assert drained(work) == {"taken": 2, "scored": 1}
    assert answers(work, "SELECT ARRAY[score, version] FROM t ORDER BY id") == [
        [None, None], [None, None], [None, None], [65, 1]]  # fmt: skip
    work.execute("INSERT INTO t (id, a, b, score) VALUES (9, 0, 0, 99)")
    drained(work)
    assert answer(work, "SELECT score FROM t WHERE id = 9") is None


def test_features_from_a_query_are_those_of_the_newest_row(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE people (name text PRIMARY KEY, b float8); INSERT INTO people VALUES ('x', 30)")
    work.execute("CREATE TABLE t (id int PRIMARY KEY, a float8, who text)")
    attach(work, "t", mode="async", enrich="SELECT p.b FROM people p WHERE p.name = new.who", where="who IS NOT NULL")
    work.execute("INSERT INTO t VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 1, NULL)")
    work.execute("UPDATE people SET b = 40; UPDATE t SET a = 2 WHERE id = 1")
    assert drained(work) == {"taken": 3, "scored": 1, "failed": 1, "retried": 1}
    work.execute("INSERT INTO people VALUES ('y', 5)")
    due_now(work, the(work))
    assert drained(work) == {"taken": 1, "scored": 1}
    assert answers(work, "SELECT score FROM t ORDER BY id") == [44, 7, None]


def test_reject_if_is_refused(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    query = "SELECT attach_scorer('t', 'm', mode => 'async', reject_if => 'score > 1')"
    refusal(work, query, InvalidArgument, "reject_if")


def test_a_detached_scorer_leaves_no_queue(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1)")
    number = the(later)
    later.execute("SELECT detach_scorer('t'); INSERT INTO t VALUES (2, 1, 1)")
    assert answer(later, "SELECT to_regclass(%s)", f"modeldb_scorers.queue_{number}") is None
    assert drain(later, number) == {}


def test_who_may_drain(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1)")
    later.execute("DROP ROLE IF EXISTS test_stranger; CREATE ROLE test_stranger; GRANT modeldb_user TO test_stranger")
    number = the(later)
    later.execute("SET ROLE test_stranger")
    refusal(later, "SELECT modeldb._drain(%s, 1)", MissingPrivilege, "test_stranger", values=(number,))
    later.execute("RESET ROLE; DROP OWNED BY test_stranger; DROP ROLE test_stranger; SET ROLE modeldb_worker")
    assert answers(later, "SELECT due FROM modeldb._waiting()") == [True]
    assert drain(later, number) == {"taken": 1, "scored": 1}
