"""Tables with scorers, and what their scores should be."""

from __future__ import annotations

from typing import Any

import psycopg

from support.answers import answer
from support.workers import until

PAYMENTS = "CREATE TABLE payments (id bigint PRIMARY KEY, a float8, b float8, note text)"
ASYNC = """SELECT (attach_scorer('payments', 'm', mode => 'async', model_version => 'version', scored_at => 'scored_at'
    {})).id"""


def attach(connection: psycopg.Connection, options: str = "", table: str = PAYMENTS) -> int:
    """The id of an asynchronous scorer of a new table payments by the model m. options: further arguments."""
    connection.execute(table.encode())
    return int(answer(connection, ASYNC.format(f", {options}" if options else "")))


def drain(connection: psycopg.Connection, scorer: int, most: int = 5000) -> dict[str, int]:
    """What one call of _drain() did, without the zeros."""
    cursor = connection.execute("SELECT * FROM modeldb._drain(%s, %s)", [scorer, most])
    [row] = cursor.fetchall()
    names = [column.name for column in cursor.description or []]
    return {name: count for name, count in zip(names, row, strict=True) if count and name != "more"}


def the(connection: psycopg.Connection, table: str = "t") -> int:
    """The id of the table's scorer."""
    return int(answer(connection, "SELECT id FROM modeldb.scorer WHERE relation = %s::regclass", table))


def drained(connection: psycopg.Connection, table: str = "t") -> dict[str, int]:
    """What a drain of the table's queue did."""
    return drain(connection, the(connection, table))


def until_drained(connection: psycopg.Connection, scorer: int, seconds: float = 20.0) -> None:
    """Wait until nothing is in a scorer's queue."""
    until(lambda: queued(connection, scorer) == 0, f"the queue of scorer {scorer} is empty", seconds)


def queued(connection: psycopg.Connection, scorer: int) -> int:
    return int(answer(connection, "SELECT queued FROM modeldb._queue_state(%s)", scorer))


def due_now(connection: psycopg.Connection, scorer: int) -> None:
    """Let everything in a queue be due, whatever it is waiting for."""
    connection.execute(f"UPDATE modeldb_scorers.queue_{scorer} SET queue_due = now() - interval '1 second'".encode())


def wrong_scores(connection: psycopg.Connection, where: str = "true") -> list[Any]:
    """The payments whose score is not predict() by the version that they name, or that have one and should not."""
    query = f"""
        SELECT id, a, b, score, version FROM payments AS p
        WHERE CASE WHEN {where} THEN score IS DISTINCT FROM predict('m/' || version, p) OR score IS NULL
            ELSE coalesce(score, version) IS NOT NULL END"""
    return connection.execute(query.encode()).fetchall()
