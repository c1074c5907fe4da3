"""Tables that make it hard for their scorers: triggers, conditions that fail, locks, keys of many kinds."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import Connect
from support.online import drain, due_now, queued, the
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import InvalidScorer

SIBLING = """
    CREATE TABLE t (id int PRIMARY KEY, parent int, a float8, b float8, touched int DEFAULT 0, score float8);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN UPDATE work.t SET touched = touched + 1 WHERE id = new.parent; RETURN new; END $$;
    CREATE TRIGGER touch {} UPDATE OF score ON t FOR EACH ROW EXECUTE FUNCTION touch()"""


def emptied(connection: psycopg.Connection) -> None:
    """Drain until nothing is left, due or not."""
    number = the(connection)
    for _ in range(50):
        due_now(connection, number)
        drain(connection, number)
        if not queued(connection, number):
            return
    raise AssertionError(f"{queued(connection, number)} entries stay in the queue")


@pytest.mark.parametrize("when", ["BEFORE", "AFTER"])
def test_a_trigger_that_updates_other_rows_costs_none_its_score(work: psycopg.Connection, when: str) -> None:
    work.execute(SIBLING.format(when).encode())
    attach(work, "t", mode="async")
    work.execute("ALTER TABLE t ADD CHECK (score < 100)")
    work.execute("INSERT INTO t (id, parent, a, b) VALUES (1, 3, 1, 1), (2, 4, 2, 2), (3, 2, 3, 3), (4, NULL, 50, 1)")
    emptied(work)
    assert work.execute("SELECT id, score FROM t ORDER BY id").fetchall() == [(1, 3.0), (2, 6.0), (3, 9.0), (4, None)]
    assert answers(work, "SELECT key ->> 0 FROM scorer_failures") == ["4"]


def test_where_that_fails_for_a_row_refuses_no_writer(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", where="1 / a > 0")
    work.execute("INSERT INTO t VALUES (1, 1, 1), (2, 0, 2), (3, -3, 3)")
    work.execute("UPDATE t SET b = b + 1")
    emptied(work)
    assert work.execute("SELECT id, score FROM t ORDER BY id").fetchall() == [(1, 4.0), (2, None), (3, None)]
    assert work.execute("SELECT key, error FROM scorer_failures").fetchall() == [([2], "division by zero")]
    work.execute("UPDATE t SET a = 2 WHERE id = 2")
    emptied(work)
    assert answer(work, "SELECT score FROM t WHERE id = 2") == 7.0
    assert answers(work, "SELECT key FROM scorer_failures") == []


@pytest.mark.parametrize("state", ["55006", "XX000", "40002"])
def test_a_trigger_that_refuses_a_row_with_any_code_fails_that_row(work: psycopg.Connection, state: str) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async")
    work.execute(
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF new.id = 2 THEN RAISE 'closed' USING ERRCODE = '{state}'; END IF; RETURN new; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION refuse()""".encode()
    )
    work.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)")
    emptied(work)
    assert answers(work, "SELECT score FROM t ORDER BY id") == [3.0, None, 9.0]
    assert [error.split(";")[0] for error in answers(work, "SELECT error FROM scorer_failures")] == ["closed"]


def test_a_failure_goes_with_its_row(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", where="note IS NULL")
    work.execute("INSERT INTO t VALUES (1, NULL, 1), (2, NULL, 2), (3, NULL, 3)")
    emptied(work)
    assert scorer(work)["failures"] == 3
    work.execute("UPDATE t SET a = 1, note = 'excluded' WHERE id = 1")
    work.execute("UPDATE t SET a = 1 WHERE id = 2; DELETE FROM t WHERE id = 2; UPDATE t SET a = 5 WHERE id = 3")
    emptied(work)
    assert answers(work, "SELECT key FROM scorer_failures") == []
    assert answers(work, "SELECT score FROM t ORDER BY id") == [None, 13.0]


def test_a_key_of_times_means_the_same_in_every_time_zone(work: psycopg.Connection) -> None:
    work.execute("CREATE TABLE t (at timestamptz, span interval, a float8, b float8, PRIMARY KEY (at, span))")
    attach(work, "t", mode="async")
    work.execute("INSERT INTO t VALUES ('2026-01-01 00:00Z', '1 day', NULL, 1)")
    emptied(work)
    assert scorer(work)["failures"] == 1
    work.execute("SET timezone = 'Asia/Tokyo'; SET intervalstyle = 'iso_8601'; UPDATE t SET a = 1")
    emptied(work)
    assert (scorer(work)["failures"], answers(work, "SELECT score FROM t")) == (0, [3.0])


def test_row_level_security_that_is_forced_upon_the_owner_is_refused(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    work.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY")
    refusal(work, "SELECT attach_scorer('t', 'm', mode => 'async')", InvalidScorer, "row-level security", "forced")
    attach(work, "t")


def test_a_queue_that_somebody_has_locked_keeps_nobody_waiting(work: psycopg.Connection, connect: Connect) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async")
    number = the(work)
    work.execute("INSERT INTO t VALUES (1, 1, 1)")
    other = connect()
    other.execute(f"BEGIN; LOCK TABLE modeldb_scorers.queue_{number}".encode())
    work.execute("SET statement_timeout = '5s'")
    assert (scorer(work)["queued"], scorer(work)["mode"]) == (None, "async")
    assert work.execute("SELECT due FROM modeldb._waiting() WHERE scorer = %s", [number]).fetchall() == [(False,)]
    other.execute("ROLLBACK")
    work.execute("RESET statement_timeout")
    assert drain(work, number) == {"taken": 1, "scored": 1}
    assert wrong_scores(work) == 0
