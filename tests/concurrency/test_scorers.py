"""Asynchronous scorers under fire: random writers, workers that are killed, promotions; and what comes of it all."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from support.answers import answer, answers
from support.online import attach, until_drained, wrong_scores
from support.registering import Register
from support.server import plain
from support.workers import WorkerProcess, until, worker

import modeldb
from modeldb.online import ScoredRow
from modeldb.worker import Worker, drainer

SECONDS = float(os.environ.get("MODELDB_TEST_SCORERS_SECONDS", "15"))
KILL_SECONDS = min(5.0, SECONDS / 4)
WRITERS, WORKERS, VERSIONS = 8, 3, 3
WHERE = "a >= 0"
LAST = -1
SOME = "id = (SELECT id FROM payments WHERE id >= %s ORDER BY id LIMIT 1)"


class Task(threading.Thread):
    """Does something again and again until it is told to stop; raises in the end what went wrong."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.act, self.stopping = act, threading.Event()
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.act()
        except (psycopg.Error, OSError) as error:
            self.error = error

    def finish(self) -> None:
        self.stopping.set()
        self.join(30)
        assert not self.is_alive()
        if self.error:
            raise self.error


class Writer:
    """Writes to payments at random, in transactions of which some are rolled back."""

    def __init__(self, number: int, connection: psycopg.Connection) -> None:
        self.random = random.Random(number)
        self.number, self.connection = number, connection
        self.ids = self.committed = 0
        self.never: list[int] = []
        """Ids of rows that never were: what wrote them was rolled back."""

    def transaction(self) -> None:
        made: list[int] = []
        keep = self.random.random() < 0.75
        try:
            with self.connection.transaction(force_rollback=not keep):
                for _ in range(self.random.randint(1, 4)):
                    self.statement(made)
        except psycopg.errors.DeadlockDetected:  # among the writers, who change the same rows
            keep = False
        self.committed += keep
        self.never += [] if keep else made

    def statement(self, made: list[int]) -> None:
        dice, a, b = self.random.random(), self.random.uniform(-1, 9), self.random.uniform(-5, 5)
        near = self.random.randrange(WRITERS) * 1_000_000 + self.random.randrange(max(self.ids, 1))
        if dice < 0.45:
            fresh = [self.fresh() for _ in range(self.random.randint(1, 20))]
            made += fresh
            query = "INSERT INTO payments (id, a, b) SELECT unnest(%s::bigint[]), %s, %s"
            self.connection.execute(query, [fresh, a, b])
        elif dice < 0.75:
            self.connection.execute(f"UPDATE payments SET a = %s, b = %s WHERE {SOME}".encode(), [a, b, near])
        elif dice < 0.85:
            self.connection.execute(f"UPDATE payments SET note = 'n' WHERE {SOME}".encode(), [near])
        elif dice < 0.9:
            made.append(self.fresh())
            self.connection.execute(f"UPDATE payments SET id = %s WHERE {SOME}".encode(), [made[-1], near])
        else:
            self.connection.execute(f"DELETE FROM payments WHERE {SOME}".encode(), [near])

    def fresh(self) -> int:
        """An id that no row has had."""
        self.ids += 1
        return self.number * 1_000_000 + self.ids


class Workers:
    """Some workers, of which one is killed now and then, and replaced."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self.stack, self.killed = url, stack, 0
        self.running = [self.begin() for _ in range(WORKERS)]
        self.next_kill = time.monotonic() + KILL_SECONDS

    def begin(self) -> WorkerProcess:
        return self.stack.enter_context(worker(self.url))

    def kill_one(self) -> None:
        time.sleep(0.05)
        if time.monotonic() >= self.next_kill:
            self.next_kill += KILL_SECONDS
            self.running.pop(0).kill()
            self.killed += 1
            self.running.append(self.begin())


class Follower(threading.Thread):
    """Collects the events of payments from the first one on, until the row LAST is scored."""

    def __init__(self, db: modeldb.Database) -> None:
        super().__init__(daemon=True)
        self.events: list[ScoredRow] = []
        self.rows = db.scored("payments", after=0)
        self.start()

    def run(self) -> None:
        for row in self.rows:
            self.events.append(row)
            if row.key == (LAST,):
                break


@pytest.fixture
def scorer(sql: psycopg.Connection, register: Register) -> int:
    """The scorer of payments, by three versions of m."""
    for weight in range(1, VERSIONS + 1):
        register(float(weight))
    return attach(sql, f"\"where\" => '{WHERE}'")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_every_committed_row_gets_its_score_whoever_is_killed(
    db: modeldb.Database, sql: psycopg.Connection, url: str, scorer: int, stack: ExitStack
) -> None:
    def connect() -> psycopg.Connection:
        return stack.enter_context(psycopg.connect(plain(url), autocommit=True))

    versions, promoting = random.Random(0), connect()

    def promote() -> None:
        promoting.execute("SELECT promote('m', %s)", [versions.randint(1, VERSIONS)])
        time.sleep(0.2)

    follower = Follower(db)
    workers = Workers(url, stack)
    writers = [Writer(number, connect()) for number in range(WRITERS)]
    tasks = [Task(writer.transaction) for writer in writers]
    others = [Task(workers.kill_one), Task(promote)]
    time.sleep(SECONDS)
    for task in [*tasks, *others]:
        task.finish()
    assert workers.killed >= 3
    assert min(writer.committed for writer in writers) > 10

    until_drained(sql, scorer, 60)
    sql.execute("INSERT INTO payments VALUES (%s, 1, 1)", [LAST])
    until_drained(sql, scorer)
    assert answer(sql, f"SELECT count(*) FROM payments WHERE {WHERE}") > 100
    assert wrong_scores(sql, WHERE) == []
    assert answers(sql, "SELECT error FROM modeldb.scorer_failures") == []

    follower.join(60)
    newest = answer(sql, "SELECT position FROM modeldb.scorer")
    assert [event.position for event in follower.events] == list(range(1, newest + 1))
    last = {event.key[0]: event for event in follower.events}
    assert set(last) & {row for writer in writers for row in writer.never} == set()
    assert len({event.version for event in follower.events}) > 1
    query = f"SELECT id, score, version, scored_at FROM payments WHERE {WHERE}"
    told = {key: (event.score, event.version) for key, event in last.items()}
    assert [row for row in sql.execute(query.encode()).fetchall() if told.get(row[0]) != row[1:3]] == []


def test_a_worker_that_is_told_to_stop_while_it_drains_leaves_the_rest_in_the_queue(
    sql: psycopg.Connection, url: str, scorer: int
) -> None:
    with worker(url) as started:
        started.says("this worker leads")
        sql.execute("INSERT INTO payments SELECT i, i, 1 FROM generate_series(1, 60000) AS i")
        until(lambda: answer(sql, "SELECT count(*) FROM payments WHERE score IS NOT NULL") > 0, "it has begun")
        begun = time.monotonic()
        assert started.terminate() == 0
        assert time.monotonic() - begun < 5
    scored = answer(sql, "SELECT count(*) FROM payments WHERE score IS NOT NULL")
    assert scored + answer(sql, "SELECT queued FROM modeldb._queue_state(%s)", scorer) == 60000
    with worker(url):
        until_drained(sql, scorer, 60)
    assert wrong_scores(sql, WHERE) == []


def test_scorers_that_go_or_break_do_not_keep_a_worker_from_others(
    sql: psycopg.Connection, url: str, scorer: int
) -> None:
    for name in ("dropped", "detached", "broken"):
        sql.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, a float8, b float8)".encode())
        sql.execute("SELECT attach_scorer(%s, 'm', mode => 'async')", [name])
        sql.execute(f"INSERT INTO {name} VALUES (1, 2, 3)".encode())
    sql.execute("ALTER TABLE broken DROP score CASCADE")
    with worker(url) as started:
        started.says("(42703); trying again")
        sql.execute("SELECT detach_scorer('detached'); DROP TABLE dropped")
        sql.execute("INSERT INTO payments VALUES (1, 2, 3)")
        until_drained(sql, scorer)
        sql.execute("ALTER TABLE broken ADD score float8")
        until(lambda: answers(sql, "SELECT score FROM broken") != [None], "the table is whole again")
        started.says("rows are scored again")
        assert started.terminate() == 0
    assert wrong_scores(sql, WHERE) == []


def test_a_row_that_somebody_has_locked_for_long_waits_alone(sql: psycopg.Connection, url: str, scorer: int) -> None:
    with psycopg.connect(plain(url)) as writer, worker(url):
        sql.execute("INSERT INTO payments VALUES (1, 2, 3)")
        until_drained(sql, scorer)
        writer.execute("UPDATE payments SET a = 5 WHERE id = 1")
        sql.execute("INSERT INTO payments SELECT i, i, 1 FROM generate_series(2, 9) AS i")
        sql.execute("UPDATE payments SET note = 'n' WHERE id > 1")
        until(lambda: answer(sql, "SELECT count(score) FROM payments") == 9, "the others are scored")
        writer.execute("UPDATE payments SET a = 6 WHERE id = 1")
        writer.commit()
        until_drained(sql, scorer)
    assert wrong_scores(sql, WHERE) == []
    assert answer(sql, "SELECT score FROM payments WHERE id = 1") == 9


def test_a_scorer_that_takes_long_keeps_no_other_waiting(
    sql: psycopg.Connection, url: str, scorer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is cancelled in the end, and tried with fewer rows; until then a second session scores the others'."""
    monkeypatch.setattr(drainer, "BATCH_SECONDS", 4)
    sql.execute(
        """CREATE TABLE slow (id int PRIMARY KEY, a float8, b float8);
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(least(new.id, 1)); RETURN new; END $$;
        CREATE TRIGGER dawdle BEFORE UPDATE ON slow FOR EACH ROW EXECUTE FUNCTION dawdle();
        SELECT attach_scorer('slow', 'm', mode => 'async');
        INSERT INTO slow SELECT i, i, 1 FROM generate_series(1, 8) AS i"""
    )
    working = Worker(plain(url))
    working.start()
    try:
        busy = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%_drain%'"
        until(lambda: answer(sql, busy) == 1, "the slow one is at work")
        for i in range(5):
            begun = time.monotonic()
            sql.execute("INSERT INTO payments VALUES (%s, 2, 3)", [i])
            until_drained(sql, scorer)
            assert time.monotonic() - begun < 3
        assert answer(sql, "SELECT count(score) FROM slow") == 0
        until(lambda: answer(sql, "SELECT count(score) FROM slow") == 8, "fewer at a time are scored", 60)
    finally:
        working.stop()
    assert wrong_scores(sql, WHERE) == []
