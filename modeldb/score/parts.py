"""The parts of a run, scored by one thread and one connection for each job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue

import psycopg

from modeldb.score.sessions import Session
from modeldb.score.source import Part
from modeldb.score.target import Job

Done = tuple[Part, int]
CANCEL_SECONDS = 0.2


class Parts:
    """What remains of a run: each part is a transaction of its own, and all of them see one exported snapshot."""

    def __init__(self, job: Job, exported: str, condition: str | None, parts: Iterator[Part]) -> None:
        self.job, self.exported, self.condition, self.parts = job, exported, condition, parts
        self._taking = threading.Lock()
        self._stopped = False
        self._events: SimpleQueue[Done | Future[None]] = SimpleQueue()

    def run(self, sessions: Sequence[Session], report: Callable[[Part, int], None]) -> None:
        """Score all parts; ``report`` is called in this thread with each and its rows. Raises the first error.

        An error, or an interrupt of this thread, ends what the other sessions do; what they finished stays.
        """
        with ThreadPoolExecutor(len(sessions), "modeldb-score") as pool:
            working = [pool.submit(self._work, session) for session in sessions]
            try:
                for future in working:
                    future.add_done_callback(self._events.put)
                self._follow(len(working), report)
            finally:
                self._stop(working, sessions)

    def _follow(self, running: int, report: Callable[[Part, int], None]) -> None:
        while running:
            event = self._events.get()
            if isinstance(event, Future):
                event.result()
                running -= 1
            else:
                report(*event)

    def _stop(self, working: Sequence[Future[None]], sessions: Sequence[Session]) -> None:
        """End the sessions' statements; again and again, because a statement may begin after it was cancelled."""
        self._stopped = True
        while wait(working, timeout=0).not_done:
            for session in sessions:
                with suppress(psycopg.Error):  # a connection that is lost has nothing to be cancelled
                    session.cancel_safe(timeout=5)
            wait(working, timeout=CANCEL_SECONDS)

    def _take(self) -> Part | None:
        with self._taking:
            return None if self._stopped else next(self.parts, None)

    def _work(self, session: Session) -> None:
        while (part := self._take()) is not None:
            self._events.put((part, self._score(session, part)))

    def _score(self, session: Session, part: Part) -> int:
        session.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{self.exported}'".encode())
        condition = part.condition if self.condition is None else f"{part.condition} AND {self.condition}"
        statement = self.job.statement(session, condition)
        rows = session.execute(f"INSERT INTO {self.job.target} {statement}".encode()).rowcount
        session.execute("COMMIT")
        return rows
