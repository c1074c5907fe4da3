"""Who leads, and what the leader does."""

from __future__ import annotations

import logging
import threading
import time

import psycopg

from modeldb.schema import WORKER_LOCK
from modeldb.worker.drainer import Drainer
from modeldb.worker.job import Job, one_line
from modeldb.worker.session import check, connect

log = logging.getLogger("modeldb.worker")

LOOK_SECONDS = 2.0  # between looks at what is due, at whether there is a leader, and at what could not be run before
LONGEST_PAUSE = 5.0  # between attempts to connect


class Worker:
    """Runs what is due in a database, at most ``jobs`` runs at a time, while it leads the database's workers.

    Whether it leads or not, it scores the rows that wait in the queues of asynchronous scorers.
    target: a URL or conninfo string. The leader holds a session advisory lock on a connection of its own; when that is
    lost, the others' next look makes one of them the leader. A session lock is no lock through pgbouncer in transaction
    mode, but nothing is run twice even then: each run locks its row in the database.
    """

    def __init__(self, target: str, *, jobs: int = 2) -> None:
        self._target = target
        self._limit = jobs
        self._jobs: dict[str, Job] = {}
        self._not_before: dict[str, float] = {}
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._drainer = Drainer(target)
        self._beside = Drainer(target, self._drainer)
        self._thread = threading.Thread(target=self._work, name="leader", daemon=True)

    def start(self) -> None:
        """Begin, in a thread. Raises ConnectionFailed (MD906), NotInstalled (MD901), MissingPrivilege (MD907)."""
        check(self._target)
        self._thread.start()
        self._drainer.start()
        self._beside.start()

    def running(self) -> bool:
        """Whether all of it works: it does until it is stopped."""
        return self._thread.is_alive() and self._drainer.running() and self._beside.running()

    def join(self, seconds: float) -> None:
        """Wait, for so many seconds or until it runs no more."""
        self._thread.join(seconds)

    def stop(self, *, patience: float = 5.0) -> None:
        """Take nothing new, cancel what runs, and wait for at most about so many seconds until it has ended.

        What was cancelled is still due. A run that the server does not cancel in time is left to the server.
        """
        deadline = time.monotonic() + patience
        self._stopping.set()
        self._wake.set()
        self._drainer.stop(patience / 4)
        self._beside.stop(patience / 4)
        self._thread.join(patience / 4)
        while (running := self._running()) and time.monotonic() < deadline:
            for job in running:
                job.cancel(patience / 10)

    # --- the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                with connect(self._target) as connection:
                    pause = 0.1
                    self._wait_for_the_lead(connection)
                    self._lead(connection)
            except psycopg.Error as error:
                log.warning("%s; trying again in %.1f s", one_line(error), pause)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _wait_for_the_lead(self, connection: psycopg.Connection) -> None:
        said = False
        while not self._stopping.is_set():
            if connection.execute("SELECT pg_try_advisory_lock(%s)", [WORKER_LOCK]).fetchone() == (True,):
                log.info("this worker leads: process %s of the server", connection.info.backend_pid)
                return
            if not said:
                log.info("another worker leads; standing by")
            said = True
            self._stopping.wait(LOOK_SECONDS)

    def _lead(self, connection: psycopg.Connection) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            due = connection.execute("SELECT predictions FROM modeldb._due()").fetchall()
            self._begin([predictions for (predictions,) in due])
            self._wake.wait(LOOK_SECONDS)

    def _begin(self, due: list[str]) -> None:
        """Start as many of the due runs as there is room for."""
        for job in [job for job in self._jobs.values() if not job.running()]:
            del self._jobs[job.predictions]
            if not job.settled:
                self._not_before[job.predictions] = time.monotonic() + LOOK_SECONDS
        for predictions in due:
            if len(self._jobs) >= self._limit or self._stopping.is_set():
                return
            if predictions not in self._jobs and self._not_before.get(predictions, 0.0) < time.monotonic():
                self._jobs[predictions] = Job(self._target, predictions, self._wake.set)
                self._jobs[predictions].start()

    def _running(self) -> list[Job]:
        return [job for job in list(self._jobs.values()) if job.running()]
