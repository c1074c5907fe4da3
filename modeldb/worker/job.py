"""One due run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from modeldb.errors import RunLost
from modeldb.worker.session import connect

log = logging.getLogger("modeldb.worker")


class Job:
    """Refreshes predictions once, in a thread with a connection of its own; calls ``ended`` when it is over.

    settled tells then whether the run is done, well or badly; otherwise it is still due.
    """

    def __init__(self, target: str, predictions: str, ended: Callable[[], None]) -> None:
        self.predictions = predictions
        self.settled = False
        self._target = target
        self._ended = ended
        self._connection: psycopg.Connection | None = None
        self._cancelled = False
        self._thread = threading.Thread(target=self._work, name=predictions, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def running(self) -> bool:
        return self._thread.is_alive()

    def cancel(self, patience: float) -> None:
        """Let the server cancel the run, and wait for at most so many seconds until it has.

        A cancellation that comes before the statement has begun is lost: to be called until the job runs no more.
        """
        self._cancelled = True
        if (connection := self._connection) is not None:
            try:
                connection.cancel_safe(timeout=patience)
            except psycopg.Error as error:
                log.debug("cannot cancel %s: %s", self.predictions, error)
        self._thread.join(patience)

    def _work(self) -> None:
        try:
            with connect(self._target) as connection:
                self._connection = connection
                self._attempt(connection)
        except psycopg.Error as error:
            log.warning("%s: the connection was lost: %s", self.predictions, one_line(error))
        finally:
            self._connection = None
            self._ended()

    def _attempt(self, connection: psycopg.Connection) -> None:
        """Takes note that the run begins, and runs it; an error that leaves the connection whole is recorded."""
        state = _value(connection, "SELECT modeldb._attempt(%s)", self.predictions)
        self.settled = state in ("handled", "lost")
        if state == "lost":
            log.error("%s: %s It is not tried again before its next time.", self.predictions, RunLost().message)
        if state != "run":
            return
        try:
            if not self._cancelled:
                self._refresh(connection)
        except psycopg.Error as error:
            if connection.closed:
                raise
            if not self._cancelled:
                self._record(connection, error)
        if self._cancelled and not self.settled:
            connection.execute("SELECT modeldb._take_back_attempt(%s)", [self.predictions])
            log.info("%s: interrupted; it is still due", self.predictions)

    def _refresh(self, connection: psycopg.Connection) -> None:
        cursor = connection.cursor(row_factory=namedtuple_row)
        row = cursor.execute("SELECT * FROM modeldb._run_scheduled(%s, 'worker')", [self.predictions]).fetchone()
        self.settled = row is not None
        if row is not None:
            _report(self.predictions, row)

    def _record(self, connection: psycopg.Connection, error: psycopg.Error) -> None:
        """An error that the run could not record itself, such as an administrator's cancellation."""
        log.error("%s: %s (%s)", self.predictions, one_line(error), error.sqlstate)
        values = [self.predictions, error.sqlstate, one_line(error)]
        connection.execute("SELECT modeldb._fail_scheduled(%s, 'worker', %s, %s)", values)
        self.settled = True


def one_line(error: psycopg.Error) -> str:
    """What an error says first."""
    return error.diag.message_primary or " ".join(str(error).split())


def _value(connection: psycopg.Connection, query: str, *values: Any) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


def _report(predictions: str, run: Any) -> None:
    """A line on what a run did; run: a row of batch_runs."""
    seconds = (run.finished_at - run.started_at).total_seconds()
    if run.error is not None:
        log.error("%s: failed after %.1f s: %s (%s)", predictions, seconds, run.error, run.sqlstate)
        return
    log.info("%s: %s rows, %s scored, by version %s in %.1f s", predictions, run.rows, run.scored, run.version, seconds)
