"""modeldb's ways: predictions that are created and refreshed by a new connection, and the program `modeldb score`."""

from __future__ import annotations

import subprocess
import sys

import modeldb
from batching.subject import POSITIVE, Subject

VIEW, SCORED = "view", "scored"
CREATE = """
SELECT (made).error FROM modeldb.create_predictions(
    %s, %s, %s, 'id', class => %s, incremental => %s, changed_at => %s) AS made
"""


def create(subject: Subject, *, changed_at: str | None = None) -> None:
    """Make the views and score for the first time; with the time of the last change, incrementally from then on."""
    values = (subject.target(VIEW), subject.model, subject.table, POSITIVE, changed_at is not None, changed_at)
    _succeeded(subject.run(CREATE, *values))


def drop(subject: Subject) -> None:
    subject.run("SELECT modeldb.drop_predictions(%s)", subject.target(VIEW))


def refresh(subject: Subject, *, full: bool = False) -> None:
    """Refresh as readers read on."""
    query = "SELECT (made).error FROM modeldb.refresh_predictions(%s, %s) AS made"
    _succeeded(subject.run(query, subject.target(VIEW), full))


def refresh_plainly(subject: Subject, stored: str) -> None:
    """Refresh without REFRESH MATERIALIZED VIEW's CONCURRENTLY."""
    subject.run(f"REFRESH MATERIALIZED VIEW {stored}")


def stored(subject: Subject) -> str:
    """The materialized view, or the table of incremental predictions."""
    query = "SELECT stored FROM modeldb.prediction_set WHERE name = modeldb._predictions(%s)"
    return str(subject.run(query, subject.target(VIEW))[0])


def score(subject: Subject, jobs: int = 2) -> None:
    """Score into a table that is not there yet, as `modeldb score` does once it has started."""
    db = modeldb.connect(subject.url)
    db.score(subject.table, model=subject.model, key="id", into=subject.target(SCORED), class_=POSITIVE, jobs=jobs)
    db.engine.dispose()


def score_by_command(subject: Subject, jobs: int = 2) -> None:
    """The same as a process of its own."""
    command = [sys.executable, "-m", "modeldb.cli", "score", subject.table, "--url", subject.url]
    options = ["--model", subject.model, "--key", "id", "--into", subject.target(SCORED), "--class", POSITIVE]
    subprocess.run([*command, *options, "--jobs", str(jobs)], check=True, stdout=subprocess.DEVNULL)


def _succeeded(row: tuple[object, ...] | None) -> None:
    if row is None or row[0] is not None:
        raise RuntimeError(f"the run failed: {row and row[0]}")
