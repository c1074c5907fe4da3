"""Predictions that are due, and `modeldb worker` as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from support.answers import answer
from support.server import plain

SOON = 20.0  # seconds, on a busy machine

TABLES = """
CREATE TABLE points AS SELECT id, id::float8 AS a, 0.5::float8 AS b FROM generate_series(1, 5) AS id;
CREATE TABLE pace AS SELECT 0::float8 AS seconds;
CREATE VIEW slow_points AS  -- sleeps once for each time it is read
    SELECT p.* FROM points p, (SELECT pg_sleep(seconds)::text = '' AS slept FROM pace OFFSET 0) AS s WHERE s.slept
"""
RUNS = "SELECT count(*) FROM modeldb.batch_runs WHERE runner <> 'session'"
SLEEPS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


def until(condition: Callable[[], object], what: str, seconds: float = SOON) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def schedule_missed(connection: psycopg.Connection, name: str) -> None:
    """Give predictions an hourly schedule of which two times were missed; the next time is half an hour away."""
    minute = "date_part('minute', now() AT TIME ZONE 'UTC' - interval '30 minutes')::text"
    connection.execute(f"SELECT modeldb.schedule_predictions(%s, {minute} || ' * * * *')".encode(), [name])
    connection.execute(
        "UPDATE modeldb.prediction_schedule SET handled_until = now() - interval '2 hours' WHERE predictions = %s",
        [f"public.{name}"],
    )


def set_pace(connection: psycopg.Connection, seconds: float) -> None:
    """How long it takes to read slow_points from now on."""
    connection.execute("UPDATE pace SET seconds = %s", [seconds])


def until_it_sleeps(connection: psycopg.Connection) -> int:
    """Wait until a run is in the middle of reading slow_points; the process of its backend."""
    until(lambda: connection.execute(SLEEPS.encode()).fetchone(), "a run begins")
    return int(answer(connection, SLEEPS))


def until_runs(connection: psycopg.Connection, count: int, seconds: float = SOON) -> None:
    """Wait until so many runs that no session asked for are recorded."""
    until(lambda: answer(connection, RUNS) >= count, f"{count} runs", seconds)


def is_current(connection: psycopg.Connection, name: str) -> bool:
    """Whether the predictions of points are those of the rows and the model as they are now."""
    left_out = sql.SQL(
        "SELECT count(*) FROM (SELECT id, predict('m', p) AS now FROM points p) AS p FULL JOIN {} AS s USING (id)"
        " WHERE p.now IS DISTINCT FROM s.prediction"
    )
    return connection.execute(left_out.format(sql.Identifier(name))).fetchone() == (0,)


class WorkerProcess:
    """A process `modeldb worker`, and what it has written to stderr."""

    def __init__(self, url: str, log: Path, *options: str) -> None:
        self._log = log
        command = [sys.executable, "-m", "modeldb.cli", "worker", "--url", plain(url), *options]
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stderr=stream, cwd="/", env=os.environ | {"PYTHONUNBUFFERED": "1"})

    def log(self) -> str:
        return self._log.read_text()

    def says(self, words: str) -> None:
        """Wait until it has written the words."""
        until(lambda: words in self.log(), f"the worker says {words!r}; it says: {self.log()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal that asks for a clean end; the exit code, which has to come within seconds."""
        self.process.send_signal(number)
        return self.process.wait(timeout=10)


@contextmanager
def worker(url: str, *options: str) -> Iterator[WorkerProcess]:
    """A worker on a database, which is killed at the end unless it has ended."""
    with tempfile.TemporaryDirectory() as folder:
        started = WorkerProcess(url, Path(folder) / "log", *options)
        try:
            yield started
        finally:
            started.kill()
