"""`modeldb score` whose client, backend or patience ends in the middle: the same command goes on, and all is right.

A lock on the target holds a run still in its middle, so that nothing depends on how fast the machine is.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg.types.json import Jsonb
from support.answers import answer, answers
from support.onnx_models import described, linear
from support.server import plain

import modeldb
from modeldb.errors import ConnectionFailed

ROWS = 100_000
SECONDS = 30
POINTS = f"""
    CREATE TABLE points (id int PRIMARY KEY, a float8, b float8) WITH (fillfactor = 10);
    INSERT INTO points SELECT i, i, i % 10 FROM generate_series(1, {ROWS}) AS i
"""
COMMAND = (
    *(sys.executable, "-m", "modeldb.cli", "score", "points"),
    *("--model", "m", "--key", "id", "--into", "scored", "--jobs", "2"),
)


@pytest.fixture
def watcher(db: modeldb.Database, url: str) -> Iterator[psycopg.Connection]:
    """A connection to a database with the table points and the model m, which predicts 2 a + b."""
    with closing(psycopg.connect(plain(url), autocommit=True)) as connection:
        connection.execute(POINTS.encode())
        connection.execute("SELECT modeldb.register_model('m', %s, %s)", [linear(2.0, 1.0), Jsonb(described("a", "b"))])
        yield connection


@pytest.fixture
def start(url: str) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the command in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def popen() -> subprocess.Popen[str]:
        environment = {**os.environ, "MODELDB_URL": url}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(COMMAND, env=environment, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield popen
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


SCORING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'modeldb score'"
HELD = f"{SCORING} AND wait_event_type = 'Lock' AND query LIKE 'INSERT%'"
AWAITING = f"{SCORING} AND wait_event = 'advisory' AND pg_blocking_pids(pid) @> %s::int[]"


@contextmanager
def held_in_the_middle(url: str, earlier: str | None = None) -> Iterator[psycopg.Connection]:
    """A run that now waits, in all its backends, to write more rows; of another snapshot than an earlier one."""
    with closing(psycopg.connect(plain(url), autocommit=True)) as connection:
        wait_for(lambda: snapshot(connection) not in (None, earlier))
        wait_for(lambda: answer(connection, "SELECT EXISTS (SELECT FROM scored)"))
        connection.execute("BEGIN; LOCK TABLE scored IN SHARE MODE")
        with closing(psycopg.connect(plain(url), autocommit=True)) as other:
            wait_for(lambda: len(answers(other, HELD)) == 2)
        yield connection


@contextmanager
def stopped(backends: list[int]) -> Iterator[None]:
    """Backends that do nothing, so that they do not notice that their client died, as they do within a second."""
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)


def snapshot(connection: psycopg.Connection) -> str | None:
    """By which snapshot the rows in the target are right; None while there are none."""
    return next(iter(answers(connection, "SELECT snapshot::text FROM modeldb.score_job")), None)


def change(watcher: psycopg.Connection) -> None:
    """What users do between two runs."""
    chosen = random.Random(3)
    for _ in range(20):
        low = chosen.randrange(ROWS)
        rows = f"id BETWEEN {low} AND {low + 2000}"
        watcher.execute(f"UPDATE points SET a = -a WHERE {rows}".encode())
        watcher.execute(f"DELETE FROM points WHERE {rows} AND id % 7 = 0".encode())
    watcher.execute("INSERT INTO points SELECT id + 1000000, a, b FROM points WHERE id % 5 = 0")


def assert_right(watcher: psycopg.Connection) -> None:
    """The target has what a full scoring of the table's rows gives, each row once."""
    wanted = "SELECT id, 2 * a + b FROM points"
    differing = (
        f"SELECT count(*) FROM ((TABLE scored EXCEPT ALL {wanted}) UNION ALL ({wanted} EXCEPT ALL TABLE scored)) d"
    )
    assert answer(watcher, differing) == 0
    assert answer(watcher, "SELECT indisprimary FROM pg_index WHERE indrelid = 'scored'::regclass")


def finish(process: subprocess.Popen[str]) -> str:
    printed, complaint = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, complaint
    return printed + complaint


def test_the_client_is_killed(
    watcher: psycopg.Connection, url: str, start: Callable[[], subprocess.Popen[str]]
) -> None:
    """The next run begins while backends of the killed one are still about to write."""
    first = start()
    with held_in_the_middle(url) as lock:
        stragglers = answers(watcher, HELD)
        with stopped(stragglers):
            first.kill()
            first.wait()
            before = snapshot(watcher)
            change(watcher)
            second = start()
            wait_for(lambda: answers(watcher, AWAITING, stragglers))
            lock.execute("COMMIT")
    with held_in_the_middle(url, before):
        second.kill()
        second.wait()
        watcher.execute("UPDATE points SET b = b + 1 WHERE id % 10 = 0")
    said = finish(start())
    assert "going on with m/1" in said
    assert_right(watcher)
    assert answer(watcher, "SELECT count(*) FROM modeldb.batch_runs") == 1


def test_a_backend_is_killed(db: modeldb.Database, watcher: psycopg.Connection, url: str) -> None:
    """The server ends all of its backends then, and recovers."""
    errors: list[ConnectionFailed] = []

    def lose() -> None:
        with pytest.raises(ConnectionFailed) as caught:
            db.score("points", model="m", key="id", into="scored", jobs=2)
        errors.append(caught.value)

    thread = threading.Thread(target=lose)
    thread.start()
    with held_in_the_middle(url):
        os.kill(answers(watcher, HELD)[0], signal.SIGKILL)
        thread.join(SECONDS)
    assert "The same command goes on from there." in str(errors[0].hint)
    wait_for(lambda: accepts(url))
    with psycopg.connect(plain(url), autocommit=True) as again:
        assert 0 < answer(again, "SELECT count(*) FROM scored") < ROWS
        change(again)
        db.engine.dispose()
        assert db.score("points", model="m", key="id", into="scored", jobs=2).resumed
        assert_right(again)


def accepts(url: str) -> bool:
    try:
        psycopg.connect(plain(url)).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_is_told_to_end(
    watcher: psycopg.Connection,
    url: str,
    start: Callable[[], subprocess.Popen[str]],
    number: signal.Signals,
    code: int,
) -> None:
    process = start()
    with held_in_the_middle(url):
        process.send_signal(number)
        _, complaint = process.communicate(timeout=SECONDS)
        assert (process.returncode, "goes on from there" in complaint) == (code, True)
        wait_for(lambda: not answers(watcher, SCORING))
    change(watcher)
    finish(start())
    assert_right(watcher)
    runs = answers(watcher, "SELECT sqlstate FROM modeldb.batch_runs ORDER BY id")
    assert runs == ["57014", None]
