"""Schedules with nobody's action: by pg_cron in the private cluster's database, by `modeldb worker` in another one.

Both wait for a minute to begin, so they wait together; what else there is to see of pg_cron is looked at meanwhile.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest
from support.answers import answer, answers
from support.workers import WorkerProcess, schedule_missed, until, until_it_sleeps, worker

import modeldb
from modeldb.cluster import Cluster
from modeldb.demo import flights
from modeldb.doctor import check_database
from modeldb.doctor.check import Check

SOURCE = "SELECT * FROM flights WHERE id % 500 = 0"
JOBS = "SELECT jobname FROM cron.job WHERE username = 'modeldb_cron' ORDER BY 1"
DIFFERENT = f"""
    SELECT count(*) FROM (SELECT id, predict('late', f) AS now FROM ({SOURCE}) f) AS f
    FULL JOIN delays AS d USING (id) WHERE f.now IS DISTINCT FROM d.prediction
"""


@dataclass(frozen=True)
class Place:
    """A database with the flights, predictions delays that are due every minute, and a worker."""

    db: modeldb.Database
    sql: psycopg.Connection
    runner: str
    worker: WorkerProcess


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.temporary() as running:
        yield running


def with_flights(cluster: Cluster, database: str) -> modeldb.Database:
    """modeldb and the demo's flights in a database."""
    db = cluster.connect(database)
    db.install()
    flights.load_flights(db)
    return db


@pytest.fixture(scope="module")
def places(cluster: Cluster) -> Iterator[dict[str, Place]]:
    """By runner: the database that pg_cron serves, and one that it does not."""
    dbs = [with_flights(cluster, database) for database in ("modeldb", "shop")]
    rows = flights.read_flights(dbs[0], "arr_delay IS NOT NULL AND id % 200 = 1")
    features = [*flights.CATEGORIES, *flights.NUMBERS]
    estimator = flights.pipeline(flights.NUMBERS, trees=5).fit(rows[features], flights.is_late(rows))
    sample = flights.read_flights(dbs[0], flights.SAMPLE)[features]
    made: dict[str, Place] = {}
    with worker(cluster.url("modeldb")) as beside, worker(cluster.url("shop")) as alone:
        for db, process in zip(dbs, (beside, alone), strict=True):
            db.register("late", estimator, sample=sample)
            sql = psycopg.connect(cluster.url(db.engine.url.database or ""), autocommit=True)
            sql.execute("SELECT create_predictions('delays', 'late', %s, 'id')", [SOURCE])
            runner = answer(sql, "SELECT schedule_predictions('delays', '* * * * *')")
            sql.execute("UPDATE flights SET dep_delay = 200 - dep_delay WHERE id % 1000 = 0")
            made[runner] = Place(db, sql, runner, process)
        yield made
        for place in made.values():
            place.sql.close()
            place.db.engine.dispose()


@pytest.fixture
def cron(places: dict[str, Place]) -> Place:
    return places["pg_cron"]


def test_schedule_predictions_tells_who_runs_it(places: dict[str, Place]) -> None:
    found = {runner: place.db.engine.url.database for runner, place in places.items()}
    assert found == {"pg_cron": "modeldb", "worker": "shop"}
    for runner, place in places.items():
        until(partial(_runs, place, runner), f"{runner} runs the schedules")
        assert schedules_of(place).status == "ok"


def _runs(place: Place, runner: str) -> bool:
    return runner in schedules_of(place).found


def schedules_of(place: Place) -> Check:
    """What the doctor says of the schedules; a worker that has just begun may not lead yet."""
    with place.db.transaction() as connection:
        [check] = [check for check in check_database(connection) if check.name == "schedules"]
    return check


def test_a_job_of_pg_cron_runs_as_a_role_that_can_do_nothing_else(cron: Place) -> None:
    assert answers(cron.sql, JOBS) == ["modeldb public.delays"]
    query = """SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
               FROM pg_roles WHERE rolname = 'modeldb_cron'"""
    assert answer(cron.sql, query) is False
    assert answer(cron.sql, "SELECT count(*) FROM pg_auth_members WHERE roleid = 'modeldb_cron'::regrole") == 0


def test_a_job_goes_with_the_schedule_and_the_predictions(cron: Place) -> None:
    for name in ("one", "two"):
        cron.sql.execute("SELECT create_predictions(%s, 'late', %s, 'id')", [name, SOURCE])
        cron.sql.execute("SELECT schedule_predictions(%s, '0 0 1 1 *')", [name])
    assert len(answers(cron.sql, JOBS)) == 3
    cron.sql.execute("SELECT schedule_predictions('one', '0 0 2 1 *')")
    assert answer(cron.sql, "SELECT schedule FROM cron.job WHERE jobname = 'modeldb public.one'") == "0 0 2 1 *"
    cron.sql.execute("SELECT unschedule_predictions('one'), drop_predictions('two')")
    cron.sql.execute("SELECT drop_predictions('one')")
    assert answers(cron.sql, JOBS) == ["modeldb public.delays"]


def test_install_makes_missing_jobs_and_removes_those_of_another_database(cron: Place) -> None:
    for name in ("lost", "kept"):
        cron.sql.execute("SELECT create_predictions(%s, 'late', %s, 'id')", [name, SOURCE])
        cron.sql.execute("SELECT schedule_predictions(%s, '0 0 1 1 *')", [name])
    cron.sql.execute("SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = 'modeldb public.lost'")
    cron.sql.execute("UPDATE cron.job SET database = 'postgres' WHERE jobname = 'modeldb public.kept'")
    before = answer(cron.sql, "SELECT jobid FROM cron.job WHERE jobname = 'modeldb public.delays'")
    cron.db.install()
    jobs = "SELECT ARRAY[jobname, database, username] FROM cron.job ORDER BY jobname"
    names = ["modeldb public." + name for name in ("delays", "kept", "lost")]
    assert answers(cron.sql, jobs) == [[name, "modeldb", "modeldb_cron"] for name in names]
    assert answer(cron.sql, "SELECT jobid FROM cron.job WHERE jobname = 'modeldb public.delays'") == before
    cron.sql.execute("SELECT drop_predictions('lost'), drop_predictions('kept')")


def test_a_schema_that_is_only_called_cron_is_not_taken_for_pg_cron(places: dict[str, Place]) -> None:
    other = places["worker"].sql
    other.execute("CREATE SCHEMA cron; GRANT USAGE ON SCHEMA cron TO modeldb_cron")
    assert answer(other, "SELECT modeldb._cron_ready()") is False
    other.execute("DROP SCHEMA cron")


def test_a_worker_steps_in_where_pg_cron_is_late(cron: Place) -> None:
    """Not for delays, whose job is on time; for what pg_cron missed, which it does not catch up."""
    cron.sql.execute("SELECT create_predictions('rare', 'late', %s, 'id')", [SOURCE])
    schedule_missed(cron.sql, "rare")
    runner = "SELECT runner FROM modeldb.batch_runs WHERE predictions = 'public.rare' AND runner <> 'session'"
    until(lambda: answers(cron.sql, runner) == ["worker"], "the worker runs it")
    cron.sql.execute("SELECT drop_predictions('rare')")


@pytest.mark.parametrize("runner", ["pg_cron", "worker"])
def test_predictions_are_refreshed_without_anyone(places: dict[str, Place], runner: str) -> None:
    place = places[runner]
    query = "SELECT runner FROM modeldb.batch_runs WHERE predictions = 'public.delays' AND runner <> 'session'"
    until(lambda: answers(place.sql, query), f"a run by {runner}", 75)
    assert set(answers(place.sql, query)) == {runner}
    assert answer(place.sql, DIFFERENT) == 0
    minutes = answers(place.sql, query.replace("runner FROM", "date_trunc('minute', started_at) FROM"))
    assert len(set(minutes)) == len(minutes)


def test_a_backend_that_is_killed_takes_the_server_down_and_the_run_is_made_up_for(
    cluster: Cluster, places: dict[str, Place]
) -> None:
    """kill -9 of a backend restarts the server: the worker connects again, and tries the run once more."""
    place = places["worker"]
    place.sql.execute("SELECT unschedule_predictions('delays')")
    place.sql.execute("CREATE TABLE pace AS SELECT 60::float8 AS seconds")
    slow = "(SELECT pg_sleep(seconds)::text = '' AS slept FROM pace OFFSET 0) s WHERE s.slept"
    place.sql.execute(f"CREATE VIEW slow AS SELECT f.* FROM ({SOURCE}) f, {slow}".encode())
    place.sql.execute("UPDATE pace SET seconds = 0")
    place.sql.execute("SELECT create_predictions('slow_delays', 'late', 'slow', 'id')")
    place.sql.execute("UPDATE pace SET seconds = 60")
    schedule_missed(place.sql, "slow_delays")
    query = "SELECT count(*) FROM modeldb.batch_runs WHERE runner = 'worker'"
    before = answer(place.sql, query)
    pid = until_it_sleeps(place.sql)
    place.sql.execute("UPDATE pace SET seconds = 0; UPDATE flights SET dep_delay = 500 WHERE id % 1500 = 0")
    os.kill(pid, signal.SIGKILL)
    until(lambda: place.worker.log().count("this worker leads") == 2, "the server and the worker are up again")
    with psycopg.connect(cluster.url("shop"), autocommit=True) as sql:
        until(lambda: answer(sql, query) == before + 1, "the run")
        assert answer(sql, "SELECT last_error FROM predictions WHERE name = 'public.slow_delays'") is None
        assert answer(sql, DIFFERENT.replace("delays", "slow_delays")) == 0
    assert place.worker.terminate() == 0
