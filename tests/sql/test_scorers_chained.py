"""Several scorers of a table, of which one reads what another one writes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.online import drain, due_now
from support.scorers import LINEAR, attach

from modeldb.errors import InvalidScorer, ScorerConflict

STALE = """SELECT id FROM t WHERE score IS DISTINCT FROM 2 * a + b OR second IS DISTINCT FROM 2 * score + b
    OR third IS DISTINCT FROM 2 * second + b"""
PARTITIONED = """CREATE TABLE t (id int, a float8, b float8, score float8, second float8) PARTITION BY LIST (id);
    CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)"""


@pytest.mark.parametrize("reading", ["feature", "where", "reject_if", "enrich"])
def test_an_update_of_the_firsts_features_scores_all_anew(scored: psycopg.Connection, reading: str) -> None:
    chained: dict[str, dict[str, Any]] = {
        "feature": {"columns": {"a": "score"}},
        "where": {"columns": {"a": "score"}, "where": "score IS NOT NULL"},
        "reject_if": {"columns": {"a": "score"}, "reject_if": "new.score > 1000"},
        "enrich": {"columns": {"a": "x"}, "enrich": "SELECT new.score AS x"},
    }
    attach(scored, "t", into="second", **chained[reading])
    attach(scored, "t", into="third", columns={"a": "second"})
    scored.execute("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
    assert answers(scored, STALE) == []
    scored.execute("UPDATE t SET a = 5 WHERE id = 1")
    assert answers(scored, STALE) == []
    scored.execute("INSERT INTO t VALUES (2, 7, 7) ON CONFLICT (id) DO UPDATE SET a = excluded.a")
    assert answers(scored, STALE) == []
    assert answers(scored, "SELECT score FROM t ORDER BY id") == [11, 16]


def test_an_asynchronous_scorer_heeds_what_the_first_one_reads(scored: psycopg.Connection) -> None:
    later = attach(scored, "t", into="second", mode="async", columns={"a": "score"})["id"]
    scored.execute("INSERT INTO t VALUES (1, 1, 1)")
    drain(scored, later)
    scored.execute("UPDATE t SET a = 2 WHERE id = 1")
    drain(scored, later)
    assert answers(scored, "SELECT ARRAY[score, second] FROM t") == [[5, 11]]


def test_a_synchronous_scorer_cannot_read_what_is_written_later(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    first = attach(work, "t", mode="async")["id"]
    second = """SELECT attach_scorer('t', 'm', "into" => 'second', columns => '{"a": "score"}'%s)"""
    refusal(work, second % "", InvalidScorer, "'score' is written by an asynchronous scorer")
    later = answer(work, f"SELECT ({second.removeprefix('SELECT ')}).id" % ", mode => 'async'")
    work.execute("INSERT INTO t VALUES (1, 1, 1)")
    for number in (first, later):
        due_now(work, number)
        drain(work, number)
    assert answers(work, "SELECT ARRAY[score, second] FROM t") == [[3, 7]]


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("first", ["sync", "async"])
def test_what_a_scorer_reads_is_not_to_be_written_after_it(work: psycopg.Connection, first: str, mode: str) -> None:
    work.execute(f"{LINEAR}; ALTER TABLE t ADD x float8".encode())
    attach(work, "t", into="score", mode=first, where="x > 0")
    call = f"""SELECT attach_scorer('t', 'm', "into" => 'x', mode => '{mode}')"""
    refusal(work, call, InvalidScorer, "reads 'x' before it would be written: detach_scorer('work.t', 'score')")
    work.execute("SELECT detach_scorer('t')")
    attach(work, "t", into="x", mode=mode)
    if (mode, first) != ("async", "sync"):
        attach(work, "t", into="score", mode=first, where="x > 0")


def test_scorers_of_a_partition_and_of_its_table(work: psycopg.Connection) -> None:
    work.execute(PARTITIONED.encode())
    attach(work, "t1", into="score")
    hint = refusal(work, "SELECT attach_scorer('t', 'm')", ScorerConflict, "'score'")
    assert "detach_scorer('work.t1', 'score')" in hint
    attach(work, "t", into="second", columns={"a": "score"}, on_error="null")
    refusal(work, "SELECT attach_scorer('t2', 'm')", InvalidScorer, "of work.t reads 'score'")
    work.execute("INSERT INTO t VALUES (1, 1, 1)")
    work.execute("UPDATE t SET a = 2")
    assert answers(work, "SELECT ARRAY[score, second] FROM t") == [[5, 11]]
