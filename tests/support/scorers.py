"""Tables whose rows are scored as they are written."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import psycopg
import pytest

from support.answers import answer

LINEAR = "CREATE TABLE t (id int PRIMARY KEY, a float8, b float8, note text)"
"""A table for the model m, which predicts 2 a + b as version 1, and 3 a + b as version 2."""
WRONG = "SELECT count(*) FROM {} AS r WHERE r.score IS DISTINCT FROM predict('m', r)"


@pytest.fixture
def work(clean: psycopg.Connection) -> psycopg.Connection:
    """The module's connection with an empty schema work, and the model m."""
    clean.execute(
        "DELETE FROM modeldb.scorer; DROP SCHEMA IF EXISTS work CASCADE; CREATE SCHEMA work;"
        "SET search_path = work, public, modeldb"
    )
    return clean


@pytest.fixture
def scored(work: psycopg.Connection) -> psycopg.Connection:
    """An empty table t that is scored by m."""
    work.execute(LINEAR.encode())
    attach(work, "t")
    return work


def attach(connection: psycopg.Connection, table: str, model: str = "m", **options: Any) -> dict[str, Any]:
    """The row of a scorer that is attached; options as in Python: into, where, class_ and so on."""
    names = ", ".join(f'"{name.rstrip("_")}" => %s' for name in options)
    values = [json.dumps(value) if isinstance(value, dict) else value for value in options.values()]
    cast = ", ".join([f"'{table}'", f"'{model}'", *([names] if names else [])])
    cursor = connection.execute(f"SELECT * FROM attach_scorer({cast})".encode(), values or None)
    described = [column.name for column in cursor.description or []]
    [row] = cursor.fetchall()
    return dict(zip(described, row, strict=True))


def wrong_scores(connection: psycopg.Connection, table: str = "t") -> int:
    """The number of rows whose score is not what m predicts now."""
    return int(answer(connection, WRONG.format(table)))


def scorer(connection: psycopg.Connection, table: str = "t", into: str = "score") -> dict[str, Any]:
    """A row of the view scorers."""
    query = 'SELECT * FROM scorers WHERE "table" = %s::regclass AND "into" = %s'
    cursor = connection.execute(query.encode(), [table, into])
    names = [column.name for column in cursor.description or []]
    [row] = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def wait_for_lock(connection: psycopg.Connection, backend: int) -> None:
    """Until a session waits for a lock."""
    deadline = time.monotonic() + 30
    while not answer(connection, "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", backend):
        if time.monotonic() > deadline:
            pytest.fail("the session never waited for a lock")
        threading.Event().wait(0.02)
