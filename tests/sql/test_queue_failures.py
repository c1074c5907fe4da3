"""Rows that an asynchronous scorer cannot score: tried again, given up, and queued once more; others do not wait."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.online import drain, due_now, queued
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import MissingPrivilege, UnknownScorer

ATTEMPTS = 5
FAILURES = "SELECT key, error, attempts FROM modeldb.scorer_failures ORDER BY key"


@pytest.fixture
def later(work: psycopg.Connection) -> psycopg.Connection:
    """An empty table t that is scored by m, asynchronously."""
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", model_version="version")
    return work


def the(connection: psycopg.Connection) -> int:
    """The id of the scorer of t."""
    return int(answer(connection, "SELECT id FROM modeldb.scorer WHERE relation = 't'::regclass"))


def drained(connection: psycopg.Connection) -> dict[str, int]:
    """What a drain does of all that is in the queue, now or later."""
    due_now(connection, the(connection))
    return drain(connection, the(connection))


def give_up(connection: psycopg.Connection) -> dict[str, int]:
    """Drain as often as a row is tried; what the last drain did."""
    for _ in range(ATTEMPTS - 1):
        drained(connection)
    return drained(connection)


def test_a_row_that_fails_is_tried_again_at_longer_and_longer_intervals_and_then_parked(
    later: psycopg.Connection,
) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1), (2, NULL, 2), (3, 3, 3)")
    pauses = []
    assert drain(later, the(later)) == {"taken": 3, "scored": 2, "failed": 1, "retried": 1}
    pause = f"SELECT queue_due - clock_timestamp() FROM modeldb_scorers.queue_{the(later)}"
    error = f"SELECT queue_error FROM modeldb_scorers.queue_{the(later)}"
    for _ in range(ATTEMPTS - 2):
        pauses.append(answer(later, pause).total_seconds())
        assert drain(later, the(later)) == {}, "not before its time"
        assert drained(later) == {"taken": 1, "failed": 1, "retried": 1}
    assert [0.1 < pause < 10 for pause in pauses] == [True] * 3
    assert pauses == sorted(pauses)
    assert "'a' is NULL" in answer(later, error)
    assert drained(later) == {"taken": 1, "failed": 1, "parked": 1}
    assert later.execute(FAILURES.encode()).fetchall() == [
        ([2], "feature 'a' is NULL, and was never missing in the sample", ATTEMPTS)
    ]
    assert queued(later, the(later)) == 0
    assert (scorer(later)["errors"], scorer(later)["failures"]) == (ATTEMPTS, 1)
    assert answers(later, "SELECT score FROM t ORDER BY id") == [3, None, 9]


def test_failures_are_queued_once_more(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, NULL, 1), (2, NULL, 2)")
    assert give_up(later)["parked"] == 2
    assert answer(later, "SELECT retry_failures('t')") == 2
    assert (answers(later, FAILURES), queued(later, the(later))) == ([], 2)
    later.execute("ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET a = 5; ALTER TABLE t ENABLE TRIGGER ALL")
    assert drained(later) == {"taken": 2, "scored": 2}
    assert wrong_scores(later) == 0
    assert answer(later, "SELECT retry_failures('t', 'score')") == 0


def test_a_row_that_was_given_up_and_is_corrected_is_no_failure_any_more(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, NULL, 1), (2, NULL, 2)")
    give_up(later)
    later.execute("UPDATE t SET a = 1 WHERE id = 1")
    assert drained(later) == {"taken": 1, "scored": 1}
    assert answers(later, FAILURES) == [[2]]


def test_a_row_whose_new_values_fail_loses_the_score_of_the_old_ones(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1)")
    drained(later)
    later.execute("UPDATE t SET a = NULL")
    assert drained(later)["failed"] == 1
    assert later.execute("SELECT score, version FROM t").fetchone() == (None, None)


def test_a_row_that_has_gone_is_not_parked(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, NULL, 1)")
    drained(later)
    later.execute("DELETE FROM t")
    assert drained(later) == {"taken": 1, "gone": 1}


def test_with_on_error_null_the_reason_is_in_the_row(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", on_error="null", where="note IS NULL")
    work.execute("INSERT INTO t VALUES (1, 1, 1), (2, NULL, 2)")
    assert drained(work) == {"taken": 2, "scored": 1, "failed": 1}
    reason = "feature 'a' is NULL, and was never missing in the sample"
    rows = "SELECT score, score_error FROM t ORDER BY id"
    assert work.execute(rows.encode()).fetchall() == [(3, None), (None, reason)]
    assert (scorer(work)["errors"], scorer(work)["failures"]) == (1, 0)
    work.execute("UPDATE t SET a = NULL WHERE id = 1; UPDATE t SET a = 0 WHERE id = 2")
    drained(work)
    assert work.execute(rows.encode()).fetchall() == [(None, reason), (2, None)]
    work.execute("UPDATE t SET note = 'x'")
    drained(work)
    assert work.execute(rows.encode()).fetchall() == [(None, None), (None, None)]


REFUSALS = {
    "a check": "ALTER TABLE t ADD CONSTRAINT low CHECK (score <= 100)",
    "a trigger": """CREATE FUNCTION work.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.score > 100 THEN RAISE EXCEPTION 'low: no'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION work.refuse()""",
    "a trigger that says nothing": """CREATE FUNCTION work.low() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.score > 100 THEN RETURN NULL; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION work.low()""",
    "a deferred trigger": """CREATE FUNCTION work.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.score > 100 THEN RAISE EXCEPTION 'low: no'; END IF; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION work.refuse()""",
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_table_that_refuses_a_score_parks_that_row_alone(later: psycopg.Connection, kind: str) -> None:
    later.execute(REFUSALS[kind].encode())
    later.execute("INSERT INTO t SELECT i, i, 0 FROM generate_series(1, 60) AS i")
    assert drained(later) == {"taken": 60, "scored": 50, "failed": 10, "retried": 10}
    for _ in range(ATTEMPTS - 1):
        done = drained(later)
    assert done == {"taken": 10, "failed": 10, "parked": 10}
    assert all(
        "low" in error or "keeps the score" in error for _, error, _ in later.execute(FAILURES.encode()).fetchall()
    )
    assert answer(later, "SELECT count(score) FROM t WHERE id <= 50") == 50
    assert answer(later, "SELECT count(score) FROM t WHERE id > 50") == 0


def test_an_error_that_is_no_rows_fault_leaves_the_queue_as_it_is(later: psycopg.Connection) -> None:
    later.execute("INSERT INTO t VALUES (1, 1, 1); ALTER TABLE t RENAME score TO other")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        drained(later)
    later.execute("ALTER TABLE t RENAME other TO score")
    assert drained(later) == {"taken": 1, "scored": 1}


def test_an_expression_that_fails_for_a_row_fails_that_row(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async", enrich="SELECT 1 / new.b AS c", columns={"b": "c"})
    work.execute("INSERT INTO t SELECT i, i, i FROM generate_series(-3, 3) AS i")
    assert drained(work) == {"taken": 7, "scored": 6, "failed": 1, "retried": 1}
    assert answers(work, "SELECT id FROM t WHERE score IS NULL") == [0]


def test_who_may_retry_and_see_failures(later: psycopg.Connection) -> None:
    refusal(later, "SELECT retry_failures('t', 'other')", UnknownScorer, "other")
    refusal(later, "SELECT retry_failures('missing')", UnknownScorer, "missing")
    later.execute("INSERT INTO t VALUES (1, NULL, 1)")
    give_up(later)
    later.execute("DROP ROLE IF EXISTS test_stranger; CREATE ROLE test_stranger; GRANT modeldb_user TO test_stranger")
    later.execute("GRANT USAGE ON SCHEMA work TO test_stranger; SET ROLE test_stranger")
    assert answers(later, FAILURES) == []
    refusal(later, "SELECT retry_failures('t')", MissingPrivilege, "test_stranger")
    later.execute("RESET ROLE; DROP OWNED BY test_stranger; DROP ROLE test_stranger")
