"""`modeldb worker` as real processes: who leads, what is caught up, and what a kill at any moment leaves."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql as sql_text
from support.answers import answer, answers
from support.fixtures import execute
from support.registering import Register
from support.server import in_database, plain
from support.workers import (
    RUNS,
    SLEEPS,
    TABLES,
    is_current,
    schedule_missed,
    set_pace,
    until,
    until_it_sleeps,
    until_runs,
    worker,
)

LONG = 60.0  # seconds that a run sleeps which is to be ended in the middle


@pytest.fixture
def due(sql: psycopg.Connection, register: Register) -> psycopg.Connection:
    """A session in a database where predictions scores, of slow_points, have missed two times of their schedule."""
    sql.execute(TABLES)
    register(2.0)
    sql.execute("SELECT create_predictions('scores', 'm', 'SELECT * FROM slow_points', 'id')")
    schedule_missed(sql, "scores")
    sql.execute("UPDATE points SET a = a + 10")
    return sql


@pytest.fixture
def reader(make_role: Callable[..., str], url: str) -> str:
    """A role that may log in and predict."""
    name = make_role("modeldb_user")
    execute(url, sql_text.SQL("ALTER ROLE {} LOGIN").format(sql_text.Identifier(name)))
    return name


def handled(connection: psycopg.Connection) -> bool:
    """Whether nothing is due any more."""
    return not answers(connection, "SELECT predictions FROM modeldb._due()")


def test_missed_times_are_caught_up_once(due: psycopg.Connection, url: str) -> None:
    due.execute("SELECT create_predictions('more', 'm', 'points', 'id')")
    with worker(url) as started:
        until_runs(due, 1)
        schedule_missed(due, "more")  # seen while the worker runs
        until_runs(due, 2)
        assert "INFO public.scores: 5 rows" in started.log()
        assert started.terminate() == 0
    assert sorted(answers(due, "SELECT predictions FROM modeldb.batch_runs WHERE runner = 'worker'")) == [
        "public.more",
        "public.scores",
    ]
    assert is_current(due, "scores")


def test_when_the_leader_is_killed_another_worker_leads(due: psycopg.Connection, url: str) -> None:
    due.execute("SELECT unschedule_predictions('scores')")
    with worker(url) as first:
        first.says("this worker leads")
        with worker(url) as second:
            second.says("another worker leads")
            first.kill()
            second.says("this worker leads")
            schedule_missed(due, "scores")
            until_runs(due, 1)
            assert second.terminate(signal.SIGINT) == 0


def test_when_the_leader_loses_its_connection_one_leads_again(due: psycopg.Connection, url: str) -> None:
    with worker(url) as only:
        until_runs(due, 1)
        due.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        until(lambda: only.log().count("this worker leads") == 2, "it leads again")
        schedule_missed(due, "scores")
        until_runs(due, 2)
        assert only.terminate() == 0


def test_a_worker_that_is_told_to_stop_leaves_nothing_half_done(due: psycopg.Connection, url: str) -> None:
    set_pace(due, LONG)
    with worker(url) as stopped:
        until_it_sleeps(due)
        begun = time.monotonic()
        assert stopped.terminate() == 0
        assert time.monotonic() - begun < 5
        assert "it is still due" in stopped.log()
    assert answers(due, SLEEPS) == []
    assert not handled(due)
    assert answer(due, RUNS) == 0
    assert answer(due, "SELECT attempts FROM modeldb.prediction_schedule") == 0
    set_pace(due, 0)
    with worker(url):
        until_runs(due, 1)
    assert is_current(due, "scores")


def test_a_worker_that_is_killed_in_the_middle_of_a_run(due: psycopg.Connection, url: str) -> None:
    """The server ends the run, or not: either way it is done once, and nobody runs it beside the orphan."""
    set_pace(due, 3)
    with worker(url) as killed:
        until_it_sleeps(due)
        killed.kill()
    set_pace(due, 0)
    with worker(url) as started:
        until_runs(due, 1)
        assert started.terminate() == 0
    assert answer(due, RUNS) == 1
    assert is_current(due, "scores")


def test_a_run_whose_connection_is_lost_is_tried_once_more(due: psycopg.Connection, url: str) -> None:
    set_pace(due, LONG)
    with worker(url) as started:
        for _ in range(2):
            due.execute("SELECT pg_terminate_backend(%s)", [until_it_sleeps(due)])
            until(lambda: not answers(due, SLEEPS), "the run ends")
        until_runs(due, 1)
        started.says("not tried again")
        assert started.terminate() == 0
    assert answer(due, "SELECT sqlstate FROM modeldb.batch_runs ORDER BY id DESC LIMIT 1") == "MD507"
    assert handled(due)


def test_a_run_that_an_administrator_cancels_is_recorded(due: psycopg.Connection, url: str) -> None:
    set_pace(due, LONG)
    with worker(url):
        due.execute("SELECT pg_cancel_backend(%s)", [until_it_sleeps(due)])
        until_runs(due, 1)
    assert answer(due, "SELECT sqlstate FROM modeldb.batch_runs ORDER BY id DESC LIMIT 1") == "57014"
    assert handled(due)


def test_a_run_that_fails_keeps_no_other_from_being_run(due: psycopg.Connection, url: str) -> None:
    due.execute("CREATE TABLE twice AS SELECT * FROM points")
    due.execute("SELECT create_predictions('broken', 'm', 'twice', 'id')")
    due.execute("INSERT INTO twice SELECT id, a + 1, b FROM points")
    schedule_missed(due, "broken")
    with worker(url, "--jobs", "1") as started:
        until_runs(due, 2)
        started.says("ERROR public.broken: failed after")
        assert started.terminate() == 0
    assert "is not unique" in answer(due, "SELECT last_error FROM predictions WHERE name = 'public.broken'")
    assert is_current(due, "scores")


def test_as_many_runs_at_a_time_as_there_are_jobs(due: psycopg.Connection, url: str) -> None:
    for name in ("second", "third"):
        due.execute("SELECT create_predictions(%s, 'm', 'slow_points', 'id')", [name])
        schedule_missed(due, name)
    set_pace(due, LONG)
    with worker(url, "--jobs", "2"):
        until(lambda: len(answers(due, SLEEPS)) == 2, "two runs")
        time.sleep(2.5)  # more than a look at what is due
        assert len(answers(due, SLEEPS)) == 2


@pytest.mark.parametrize(
    ("database", "role", "words"),
    [
        ("postgres", "postgres", ["MD901", "modeldb install"]),
        (None, "{reader}", ["MD907", 'GRANT modeldb_worker TO "{reader}"']),
        ("missing_database", "postgres", ["MD906", "missing_database"]),
    ],
)
def test_a_worker_that_could_never_work_says_why(
    url: str, db: object, reader: str, database: str | None, role: str, words: list[str]
) -> None:
    there = url if database is None else in_database(url, database)
    with worker(plain(there).replace("//postgres@", f"//{role.format(reader=reader)}@")) as refused:
        assert refused.process.wait(timeout=20) == 1
        assert [word for word in words if word.format(reader=reader) not in refused.log()] == [], refused.log()


def test_the_role_modeldb_worker_is_enough(due: psycopg.Connection, url: str) -> None:
    with worker(plain(url).replace("//postgres@", "//modeldb_worker@")):
        until_runs(due, 1)
    assert answer(due, "SELECT run_by FROM modeldb.batch_runs ORDER BY id DESC LIMIT 1") == "modeldb_worker"
    assert is_current(due, "scores")
