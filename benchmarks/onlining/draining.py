"""Two workers drain a queue, against `modeldb score --jobs 2` of the same rows and one plain UPDATE.

The rows are inserted by one COPY, in a transaction that is committed when the workers are connected and idle: the time
begins with the commit. The floor's rows are inserted by the same COPY and their time begins with the commit, too. The
starts of the programs are in neither; a worker's takes about as long as that of `modeldb score`.
"""

from __future__ import annotations

import time
from functools import partial
from statistics import median

import numpy as np
import psycopg

import modeldb
from onlining import scorers, tables, workers
from onlining.copying import Progress

DRAINED, FLOOR, SCORES = "drained", "scored_and_updated", "scores"
UPDATE = f"UPDATE {FLOOR} AS t SET score = s.prediction FROM {SCORES} AS s WHERE s.id = t.id".encode()
POSITION = "SELECT position FROM modeldb.scorer WHERE relation = %s::regclass"
WORKERS = 2


def measure(url: str, rows: int, pairs: int, progress: Progress) -> tuple[dict[str, float], dict[str, float]]:
    """The ratio, and the seconds of each part."""
    X, found = tables.rows(rows), []
    for number in range(pairs):
        seconds = _floor(url, X) | _drain(url, X)
        found.append(seconds)
        progress(f"drain {number + 1}/{pairs}: {', '.join(f'{way} {s:.2f} s' for way, s in seconds.items())}")
        with psycopg.connect(url) as connection:
            tables.require_scores(connection, DRAINED, FLOOR)
    ratio = median(s["drain"] / (s["modeldb score --jobs 2"] + s["UPDATE"]) for s in found)
    return {"drain_vs_floor": ratio}, {way: median(seconds[way] for seconds in found) for way in found[0]}


def _floor(url: str, X: np.ndarray) -> dict[str, float]:
    db = modeldb.connect(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {SCORES}".encode())
        tables.make(connection, FLOOR)
        with connection.transaction():
            _fill(connection, FLOOR, X)
        score = _timed(partial(db.score, FLOOR, model=tables.MODEL, key="id", into=SCORES, jobs=2))
        update = _timed(partial(connection.execute, UPDATE))
    db.engine.dispose()
    return {"modeldb score --jobs 2": score, "UPDATE": update}


def _drain(url: str, X: np.ndarray) -> dict[str, float]:
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass(%s)", [DRAINED]).fetchone() != (None,):
            scorers.detach(connection, DRAINED)
        tables.make(connection, DRAINED)
        scorers.attach(connection, DRAINED, "async", class_=None)
        with workers.running(url, WORKERS) as start:
            with connection.transaction():
                _fill(connection, DRAINED, X)
            drain = _timed(partial(workers.until, partial(_is_drained, connection, len(X)), "the queue is drained"))
    return {"start of the workers": start, "drain": drain}


def _fill(connection: psycopg.Connection, table: str, X: np.ndarray) -> None:
    """COPY all rows, and leave to neither way to write them to disk or to find out how many there are."""
    tables.copy(connection, table, tables.blocks(X))
    connection.execute(f"ANALYZE {table}".encode())
    connection.execute("CHECKPOINT")


def _is_drained(connection: psycopg.Connection, rows: int) -> bool:
    return connection.execute(POSITION, [DRAINED]).fetchone()[0] >= rows


def _timed(action: partial) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
