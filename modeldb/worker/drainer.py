"""The rows of asynchronous scorers, scored by every worker, in small batches."""

from __future__ import annotations

import logging
import threading
import time

import psycopg
from psycopg.rows import dict_row

from modeldb.database import translate
from modeldb.worker.job import one_line
from modeldb.worker.session import connect

log = logging.getLogger("modeldb.worker")

MOST = 5000  # entries of a batch
POLL_SECONDS = 0.05  # between looks at the queues, which add to the time from a commit to its NOTIFY
IDLE_SECONDS = 1.0  # between looks at whether there are queues
FORGET_SECONDS = 600.0  # between deletions of old events
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # after an error, of a scorer or of the connection
BATCH_SECONDS = 60  # a batch that takes longer is cancelled, and smaller ones are tried
STUCK_SECONDS = 0.5  # a batch that takes longer shall not keep the rows of other scorers waiting
_AT_ONCE = ("40001", "40P01", "57014")  # a row moved between partitions, a deadlock, a batch that was too large


class Drainer:
    """Drains the queues of a database, in a thread with a connection of its own.

    What is in a queue and what has been done is in the database: a worker may be killed at any moment, and any number
    of them share the work. A scorer that cannot work is tried again at longer and longer intervals.
    beside: work only while that drainer is stuck in a batch, on the other scorers' queues.
    """

    def __init__(self, target: str, beside: Drainer | None = None) -> None:
        self._target = target
        self._beside = beside
        self._batch_of: tuple[int, float] | None = None
        """The scorer that is at work, and since when."""
        self._most: dict[int, int] = {}
        """By scorer that takes long: the entries of a batch."""
        self._stopping = threading.Event()
        self._connection: psycopg.Connection | None = None
        self._pauses: dict[int, tuple[float, float]] = {}
        """By scorer that failed: not before this time, and the pause that this was."""
        self._forget_at = 0.0
        self._thread = threading.Thread(target=self._work, name="drainer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self, patience: float) -> None:
        """Take nothing new, and wait for at most about so many seconds until the batch at hand is done.

        After half of that time it is cancelled: its entries are still in the queue.
        """
        self._stopping.set()
        self._thread.join(patience / 2)
        if self._thread.is_alive() and (connection := self._connection) is not None:
            try:
                connection.cancel_safe(timeout=patience / 4)
            except psycopg.Error as error:
                log.debug("cannot cancel a batch: %s", error)
            self._thread.join(patience / 4)

    def stuck_in(self) -> int | None:
        """The scorer whose batch takes long, if one does."""
        at_work = self._batch_of
        return at_work[0] if at_work is not None and time.monotonic() - at_work[1] > STUCK_SECONDS else None

    # --- the thread ------------------------------------------------------------------------------------------------

    def _idle(self) -> bool:
        """Whether there is nothing to do beside the other drainer."""
        return self._beside is not None and self._beside.stuck_in() is None

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            if self._idle():
                self._stopping.wait(STUCK_SECONDS / 2)
                continue
            try:
                with connect(self._target) as connection:
                    connection.execute("SET default_transaction_isolation = 'read committed'")
                    connection.execute(f"SET statement_timeout = '{BATCH_SECONDS}s'")
                    self._connection, pause = connection, FIRST_PAUSE
                    self._drain(connection)
            except psycopg.Error as error:
                log.warning("queues: %s; trying again in %.1f s", one_line(error), pause)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            finally:
                self._connection = None

    def _drain(self, connection: psycopg.Connection) -> None:
        cursor = connection.cursor(row_factory=dict_row)
        while not self._stopping.is_set() and not self._idle():
            found = cursor.execute("SELECT scorer, name, due FROM modeldb._waiting()").fetchall()
            now = time.monotonic()
            other = None if self._beside is None else self._beside.stuck_in()
            due = [
                row
                for row in found
                if row["due"] and row["scorer"] != other and self._pauses.get(row["scorer"], (0.0, 0.0))[0] <= now
            ]
            more = [self._batch(connection, row["scorer"], row["name"]) for row in due if not self._stopping.is_set()]
            if not any(more):
                self._forget(connection)
                self._stopping.wait(POLL_SECONDS if found else IDLE_SECONDS)

    def _batch(self, connection: psycopg.Connection, scorer: int, name: str) -> bool:
        """Score some rows; whether there may be more at once. An error is that of the scorer alone."""
        cursor = connection.cursor(row_factory=dict_row)
        most = self._most.get(scorer, MOST)
        self._batch_of = (scorer, time.monotonic())
        try:
            done = cursor.execute("SELECT * FROM modeldb._drain(%s, %s)", [scorer, most]).fetchone()
        except psycopg.Error as error:
            if connection.closed:
                raise
            if self._stopping.is_set():
                return False
            if error.sqlstate == "57014":
                self._most[scorer] = max(1, most // 10)
            if error.sqlstate in _AT_ONCE and (most > 1 or error.sqlstate != "57014"):
                log.info("%s: %s (%s); trying again", name, one_line(error), error.sqlstate)
                return True
            self._put_off(scorer, name, error)
            return False
        finally:
            self._batch_of = None
        assert done is not None
        if most < MOST:
            self._most[scorer] = min(MOST, 2 * most)
        if self._pauses.pop(scorer, None):
            log.info("%s: rows are scored again", name)
        if done["parked"]:
            log.warning("%s: %s rows could not be scored; see scorer_failures", name, done["parked"])
        return bool(done["more"])

    def _put_off(self, scorer: int, name: str, error: psycopg.Error) -> None:
        pause = min(2 * self._pauses.get(scorer, (0.0, FIRST_PAUSE / 2))[1], LONGEST_PAUSE)
        self._pauses[scorer] = (time.monotonic() + pause, pause)
        known = translate(error)
        why = one_line(error) if known is None else known.message
        log.error("%s: %s (%s); trying again in %.1f s", name, why, error.sqlstate, pause)

    def _forget(self, connection: psycopg.Connection) -> None:
        """Now and then, when there is nothing else to do, delete events that nobody can ask for any more."""
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + FORGET_SECONDS
            connection.execute("SELECT modeldb._forget_events()")
