"""db.score()."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from modeldb.errors import InvalidArgument
from modeldb.score.task import Progress, Scored, Task

MOST_JOBS = 4  # unless more are asked for: each is a backend that is busy all the time


def default_jobs() -> int:
    return min(os.cpu_count() or 1, MOST_JOBS)


class Scoring:
    """score of ``modeldb.connect(...)``."""

    engine: Engine
    _connection: Connection | None

    def score(
        self,
        table: str,
        *,
        model: str,
        key: str | Sequence[str],
        into: str,
        jobs: int | None = None,
        columns: Sequence[str] = (),
        class_: Any = None,
        on_error: str = "raise",
        progress: Callable[[Progress], None] | None = None,
    ) -> Scored:
        """Score all rows of a table over several connections into a new table, by one version and one snapshot.

        table: a table, partitioned or not, or a materialized view. key: the columns that identify a row: they become
        the new table's primary key. columns: more of the source's columns to carry along.
        into: the new table, with the key, the columns, and those of prediction, label and probability (of class_) that
        the model has. on_error: "raise", or "null" for rows without a prediction and a reason in a column ``error``.
        jobs: connections that score; by default one per CPU of this machine, at most 4.
        progress: called with a Progress, in the calling thread, a few times a second or less.

        A run that was interrupted, however hard, leaves ``into`` incomplete and without its primary key. The same call
        goes on from there, with the version that the run began with, and the result is that of the table's rows as
        they are then. Raises InvalidSource (MD503), ScoreConflict (MD506), ConnectionFailed (MD906) when a connection
        is lost, InvalidArgument (MD108), and the errors of predictions.
        """
        from modeldb.score.job import run

        if self._connection is not None:
            raise InvalidArgument(
                "score() works over several connections, so it cannot be part of one connection's transaction",
                hint="Use modeldb.connect(url).score(...) or modeldb.connect(engine).score(...).",
            )
        chosen = default_jobs() if jobs is None else jobs
        if chosen < 1:
            raise InvalidArgument(f"jobs is {jobs}; at least one connection is needed")
        if on_error not in ("raise", "null"):
            raise InvalidArgument(f"on_error is {on_error!r}; it is 'raise' or 'null'")
        keys = (key,) if isinstance(key, str) else tuple(key)
        if not keys:
            raise InvalidArgument("key names no column", hint="Name the columns that identify a row of the table.")
        label = None if class_ is None else str(class_)
        task = Task(table, model, keys, into, chosen, tuple(columns), label, on_error)
        return run(self.engine, task, progress or (lambda _: None))
