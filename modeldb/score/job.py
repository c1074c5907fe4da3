"""A run from its beginning to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg
from sqlalchemy import Engine

from modeldb.errors import ConnectionFailed, InvalidSource, ModeldbError
from modeldb.score import resume, source, target
from modeldb.score.parts import Parts
from modeldb.score.sessions import RESUME, Session, await_stragglers, claim, join, one, rows, sessions, translated
from modeldb.score.source import Part, Source
from modeldb.score.target import Job
from modeldb.score.task import Progress, Report, Scored, Task

_ROUTE = "SELECT model, version, pg_catalog.clock_timestamp() AS began FROM modeldb._route(%s)"


@dataclass(frozen=True)
class Begun:
    """When a run began, by this machine's monotonic clock and by the server's, and whom it tells of its progress."""

    started: float
    at: datetime
    report: Report


def run(engine: Engine, task: Task, report: Report) -> Scored:
    """Score a table into another one. Raises what db.score() says."""
    started = time.monotonic()
    with translated(task.key), sessions(engine, 1) as [main]:
        found = source.find(main, task.table)
        name = target.target_name(main, task.into)
        claim(main, name)
        [route] = rows(main, _ROUTE, [task.model])
        wanted = target.new_job(task, found, route["version"], name)
        job = target.find(main, wanted)
        if job is not None:
            await_stragglers(main, name)
            if job.version != wanted.version:
                note = f"{task.model} means version {wanted.version} by now; the run goes on with {job.pinned}"
                report(Progress("preparing", note=note))
        with sessions(engine, task.jobs) as workers:
            job = _ready(workers, job or wanted)
            return Run(main, workers, job, found, Begun(started, route["began"], report)).finish()


def _ready(workers: Sequence[Session], job: Job) -> Job:
    """Create the target if it is not there, while the other backends load what they need to score."""
    for worker in workers:
        join(worker, job.target)
        worker.execute("SET synchronous_commit = off")  # the last commit, which is waited for, comes after all others
    with ThreadPoolExecutor(len(workers)) as pool:
        first = pool.submit(target.create if not job.relation else _load, workers[0], job)
        loading = [pool.submit(_load, worker, job) for worker in workers[1:]]
        made = first.result()
        for future in loading:
            future.result()
    return made


def _load(worker: Session, job: Job) -> Job:
    job.statement(worker, None)
    return job


class Run:
    """One attempt at a job. ``main`` holds the claim on the target, and the transaction of the snapshot."""

    def __init__(self, main: Session, workers: Sequence[Session], job: Job, source: Source, begun: Begun) -> None:
        self.main, self.workers, self.job, self.source, self.begun = main, workers, job, source, begun
        self.scored = self.blocks = self.total = 0

    def finish(self) -> Scored:
        """Score what remains and make the target whole; record the run, or why it failed."""
        try:
            with translated(self.job.key):
                rows = self._complete()
        except BaseException as error:
            self._record_failure(error)
            raise
        seconds = time.monotonic() - self.begun.started
        return Scored(self.job.target, self.job.pinned, rows, self.scored, seconds, self.job.snapshot is not None)

    def _complete(self) -> int:
        if self.job.snapshot is not None:
            self._tell("preparing")
            self._unique_rows()
        remainder = self._score()
        self._tell("indexing")
        return self._conclude(remainder)

    def _unique_rows(self) -> None:
        """Build the key of what an earlier run left; rows that were not unique then may be so by now."""
        try:
            target.ensure_key(self.main, self.job)
        except InvalidSource:
            target.delete_repeated(self.main, self.job)
            target.ensure_key(self.main, self.job)

    def _score(self) -> resume.Remainder:
        with self._snapshot() as exported:
            sizes = source.leaf_sizes(self.main, self.source)
            self.total = sum(sizes)
            remainder = resume.settle(self.workers[0], self.job, self.source, exported)
            self._tell("scoring", remainder.note)
            parts = source.parts(sizes, len(self.workers))
            Parts(self.job, exported, remainder.condition, parts).run(self.workers, self._part_done)
        return remainder

    @contextmanager
    def _snapshot(self) -> Iterator[str]:
        """A snapshot for other sessions to use. The table is locked first, and stays so as long as it is used."""
        while True:
            self.main.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if source.lock(self.main, self.source):
                break
            self.main.execute("ROLLBACK")
        yield one(self.main, "SELECT pg_catalog.pg_export_snapshot()")
        self.main.execute("COMMIT")

    def _conclude(self, remainder: resume.Remainder) -> int:
        """Key and the end of the job in one transaction; the rows of the target."""
        job, session = self.job, self.workers[0]  # which has loaded what _score_end() needs
        with session.transaction():
            session.execute("SET LOCAL synchronous_commit = on")
            target.ensure_key(session, job)
            total = self.scored
            if remainder.rows is not None:
                total = int(one(session, f"SELECT pg_catalog.count(*) FROM {job.target}"))
                if total != remainder.rows:
                    raise InvalidSource(
                        f"the key ({', '.join(job.key)}) is not unique in the source",
                        detail=f"{self.source.name} has {remainder.rows} rows, and {total} different keys.",
                    )
            self._record(session, total, None, None)
        return total

    def _part_done(self, part: Part, rows: int) -> None:
        self.scored += rows
        self.blocks += part.blocks
        self._tell("scoring")

    def _tell(self, phase: str, note: str = "") -> None:
        seconds = time.monotonic() - self.begun.started
        self.begun.report(Progress(phase, self.scored, self.blocks, self.total, seconds, note))

    def _record(self, session: Session, rows: int | None, error: str | None, sqlstate: str | None) -> None:
        values = [self.job.relation, self.begun.at, rows, self.scored, error, sqlstate]
        session.execute("SELECT modeldb._score_end(%s, %s, %s, %s, %s, %s)", values)

    def _record_failure(self, error: BaseException) -> None:
        """Note down why the run ended, if there still is a connection to do so."""
        if isinstance(error, psycopg.Error):
            message = error.diag.message_primary or str(error)
        else:
            message = error.message if isinstance(error, ModeldbError) else f"ended by {type(error).__name__}"
        with suppress(psycopg.Error):
            self.main.rollback()
            self._record(self.main, None, message, getattr(error, "sqlstate", "57014"))
        if self.main.broken and isinstance(error, Exception):  # which makes the workers' errors what they are
            raise ConnectionFailed("the connection that holds the snapshot was lost", hint=RESUME) from error
