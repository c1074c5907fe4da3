"""What happens to a row when a condition or enrich fails for it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import DivisionByZero
from support.answers import answers, refusal
from support.scorers import LINEAR, attach, scorer

from modeldb.errors import RowRejected

ALL = {"label": "label", "model_version": "version", "scored_at": "at"}
FAILING = """
    CREATE FUNCTION work.fails(a float8, state text) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN
        IF a = 0 THEN RAISE EXCEPTION 'state %', state USING ERRCODE = state; END IF;
        RETURN a;
    END $$"""


@pytest.mark.parametrize("argument", ["where", "reject_if"])
def test_a_condition_that_fails_is_the_reason(work: psycopg.Connection, argument: str) -> None:
    work.execute(LINEAR.encode())
    condition = "1 / a > 0" if argument == "where" else "1 / a > 100"
    attach(work, "t", on_error="null", **{argument: condition}, **ALL)
    work.execute("INSERT INTO t VALUES (1, 1, 1), (2, 0, 1), (3, 2, 1)")
    assert answers(work, "SELECT score FROM t ORDER BY id") == [3, None, 5]
    assert answers(work, "SELECT num_nonnulls(label, version, at) FROM t ORDER BY id") == [3, 0, 3]
    assert answers(work, "SELECT score_error FROM t ORDER BY id") == [None, "division by zero", None]
    assert scorer(work)["errors"] == 1
    work.execute("UPDATE t SET a = 4 WHERE id = 2")
    assert answers(work, "SELECT score FROM t WHERE id = 2 AND score_error IS NULL") == [9]
    work.execute("UPDATE t SET a = 0 WHERE id = 1")
    assert answers(work, "SELECT num_nonnulls(score, label, version, at) FROM t WHERE id = 1") == [0]


@pytest.mark.parametrize("argument", ["where", "reject_if"])
def test_a_condition_that_fails_refuses_the_row_otherwise(work: psycopg.Connection, argument: str) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", **{argument: "1 / a > 100"})
    with pytest.raises(DivisionByZero):
        work.execute("INSERT INTO t VALUES (1, 0, 1)")


def test_what_is_rejected_is_not_accepted_with_a_reason(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", on_error="null", reject_if="score > 10")
    refusal(work, "INSERT INTO t VALUES (1, 9, 9)", RowRejected, "score > 10")


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "57014", "57P03", "53100", "53200"])
@pytest.mark.parametrize("argument", ["enrich", "where"])
def test_what_is_no_matter_of_the_row_fails_the_statement(work: psycopg.Connection, argument: str, state: str) -> None:
    work.execute(f"{LINEAR}; {FAILING}".encode())
    given = {"enrich": f"SELECT work.fails(new.a, '{state}') AS x", "where": f"work.fails(a, '{state}') > 0"}
    attach(work, "t", on_error="null", **{argument: given[argument]})
    with pytest.raises(psycopg.Error) as raised:
        work.execute("INSERT INTO t VALUES (1, 0, 1)")
    assert raised.value.sqlstate == state


def test_what_enrich_raises_of_the_row_is_the_reason(work: psycopg.Connection) -> None:
    work.execute(f"{LINEAR}; {FAILING}".encode())
    attach(work, "t", on_error="null", enrich="SELECT work.fails(new.a, 'P0001') AS x")
    work.execute("INSERT INTO t VALUES (1, 0, 1), (2, 1, 1)")
    assert answers(work, "SELECT ARRAY[score::text, score_error] FROM t ORDER BY id") == [
        [None, "state P0001"],
        ["3", None],
    ]
