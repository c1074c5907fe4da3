"""Rows are scored while champions are promoted and tables are altered; attaching and retiring wait for each other."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import Connect
from support.scorers import LINEAR, attach, wait_for_lock

from modeldb.errors import VersionInUse

SECONDS = 4.0
WRITERS = 3
WRONG = """
    SELECT id FROM t WHERE score IS DISTINCT FROM predict('m/' || version, t)
        OR label IS DISTINCT FROM predict_label('m/' || version, t)"""


def write(connection: psycopg.Connection, seed: int, until: float) -> int:
    """Random statements on rows of one's own, some rolled back; the number that were run."""
    chance, done = random.Random(seed), 0
    while time.monotonic() < until:
        first = seed + 1000 * chance.randrange(200)
        statements = [
            f"INSERT INTO t SELECT {first} + 1000000 * i, i, 0.5 FROM generate_series(1, 9) i ON CONFLICT DO NOTHING",
            f"INSERT INTO t VALUES ({first}, 1, 2) ON CONFLICT (id) DO UPDATE SET a = t.a + 1",
            f"UPDATE t SET b = b + 1 WHERE id % 1000 = {seed} AND random() < 0.1",
            f"DELETE FROM t WHERE id = {first}",
        ]
        with connection.transaction(force_rollback=chance.random() < 0.2):
            for statement in chance.choices(statements, k=3):
                connection.execute(statement.encode())
                done += 1
    return done


def test_every_row_has_the_score_of_the_version_that_it_names(work: psycopg.Connection, connect: Connect) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t", label="label", model_version="version")
    writers, until, promotions = [connect() for _ in range(WRITERS)], time.monotonic() + SECONDS, 0
    for writer in writers:
        writer.execute("SET search_path = work, public, modeldb")
    with ThreadPoolExecutor(WRITERS) as pool:
        done = [pool.submit(write, writer, seed, until) for seed, writer in enumerate(writers)]
        while time.monotonic() < until:
            promotions += 1
            work.execute("SELECT promote('m', %s)", [1 + promotions % 2])
        counts = [one.result() for one in done]
    assert min(counts) > 10
    assert promotions > 10
    assert answers(work, WRONG) == []
    assert answers(work, "SELECT version FROM t GROUP BY version ORDER BY version") == [1, 2]


def test_a_scorer_comes_and_goes_while_rows_are_written(work: psycopg.Connection, connect: Connect) -> None:
    work.execute(f"{LINEAR}; ALTER TABLE t ADD version int, ADD label text, ADD score float8".encode())
    writer, until = connect(), time.monotonic() + SECONDS / 2
    writer.execute("SET search_path = work, public, modeldb")
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(write, writer, 0, until)
        times = 0
        while time.monotonic() < until:
            attach(work, "t", label="label", model_version="version")
            work.execute("SELECT detach_scorer('t')")
            times += 1
        assert done.result() > 10
    assert times > 3
    assert answer(work, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass") == 0


@pytest.mark.parametrize(
    ("model", "taking"),
    [
        ("m/2", "retire('m', 2)"),
        ("m@second", "drop_alias('m', 'second')"),
        ("m/2", "delete_model('m', 2)"),
        ("m", "delete_model('m', cascade => true)"),
    ],
)
def test_nothing_is_taken_away_under_a_scorer_that_is_being_attached(
    work: psycopg.Connection, connect: Connect, model: str, taking: str
) -> None:
    work.execute(LINEAR.encode())
    work.execute("SELECT promote('m', 1, 'second')")
    other = connect()
    other.execute("SET search_path = work, public, modeldb")
    work.execute("BEGIN")
    attach(work, "t", model)
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(refusal, other, f"SELECT {taking}", VersionInUse, "work.t.score")
        wait_for_lock(connect(), other.info.backend_pid)
        work.execute("COMMIT")
        refused.result(timeout=30)


def test_promotions_do_not_wait_for_who_attaches(work: psycopg.Connection, connect: Connect) -> None:
    work.execute(LINEAR.encode())
    other = connect()
    other.execute("SET search_path = work, public, modeldb; SET lock_timeout = '10s'")
    work.execute("BEGIN")
    attach(work, "t", model_version="version")
    other.execute("SELECT promote('m', 2)")
    work.execute("INSERT INTO t VALUES (1, 1, 1); COMMIT; INSERT INTO t VALUES (2, 1, 1)")
    assert answers(work, "SELECT ARRAY[score, version] FROM t ORDER BY id") == [[4, 2], [4, 2]]


def test_a_cancelled_insert_leaves_a_session_that_works(work: psycopg.Connection) -> None:
    work.execute(LINEAR.encode())
    attach(work, "t")
    work.execute("SET statement_timeout = '30ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        work.execute("INSERT INTO t SELECT i, 1, 1 FROM generate_series(1, 10000000) AS i")
    work.execute("RESET statement_timeout; INSERT INTO t VALUES (1, 1, 1)")
    assert answers(work, "SELECT score FROM t") == [3]
