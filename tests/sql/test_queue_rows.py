"""All rows of a table queued at once, and tables that have no queue."""

from __future__ import annotations

import psycopg
from support.answers import answer, answers, refusal
from support.online import drained, queued, the
from support.scorers import LINEAR, attach, scorer, wrong_scores

from modeldb.errors import InvalidScorer

ROWS = "INSERT INTO t SELECT i, i, -i FROM generate_series(1, 9) AS i"


def test_rows_from_before_the_scorer_and_all_after_a_promotion(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    work.execute(ROWS.encode())
    attach(work, "t", mode="async", model_version="version", where="id < 9")
    assert queued(work, the(work)) == 0
    assert answer(work, "SELECT queue_rows('t')") == 9
    assert drained(work) == {"taken": 9, "scored": 8}
    work.execute("SELECT promote('m', 2)")
    assert answer(work, "SELECT queue_rows('t', 'score')") == 9
    drained(work)
    assert answers(work, "SELECT DISTINCT version FROM t WHERE id < 9") == [2]
    assert answers(work, "SELECT score FROM t WHERE id = 9") == [None]
    work.execute("DELETE FROM t WHERE id = 9")
    assert wrong_scores(work) == 0


def test_a_synchronous_scorer_has_neither_queue_nor_stream(scored: psycopg.Connection) -> None:
    for call in ("queue_rows('t')", "retry_failures('t', 'score')", "_scorer_of('t', NULL)"):
        refusal(scored, f"SELECT {call}", InvalidScorer, "as it is written")
    attach(scored, "t", into="later", mode="async")
    assert answer(scored, "SELECT _scorer_of('t', NULL)") == answer(scored, "SELECT max(id) FROM modeldb.scorer")


def test_scorers_of_dropped_tables_are_not_shown(scored: psycopg.Connection) -> None:
    scored.execute("DROP TABLE t")
    assert answers(scored, 'SELECT "into" FROM scorers') == []


def test_a_table_that_became_a_partition_and_one_that_lost_a_trigger_are_broken(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", mode="async")
    assert scorer(work)["broken"] is False
    work.execute("CREATE TABLE whole (LIKE t) PARTITION BY RANGE (id)")
    work.execute("ALTER TABLE whole ATTACH PARTITION t FOR VALUES FROM (0) TO (100)")
    assert scorer(work)["broken"] is True
    work.execute("ALTER TABLE whole DETACH PARTITION t")
    assert scorer(work)["broken"] is False
    name = answer(work, "SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname LIKE '%\\_upd'")
    work.execute(f'DROP TRIGGER "{name}" ON t'.encode())
    assert scorer(work)["broken"] is True
