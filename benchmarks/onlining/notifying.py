"""From the commit of a row to the NOTIFY with its key, at a steady rate of single inserts, with one worker.

The writers are a process of their own, with several connections and a thread for each; the clock is the machine's.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import psycopg

from onlining import scorers, tables, workers
from onlining.copying import Progress

TABLE = "notified"
WRITERS = 4
WARM_ROWS = 200
Commits = list[tuple[int, float]]  # keys and when their commits had returned


def measure(url: str, rate: int, seconds: float, progress: Progress) -> tuple[dict[str, float], dict[str, float]]:
    """The 99th percentile in milliseconds; and the median, the largest, and the rate that was reached."""
    with psycopg.connect(url, autocommit=True) as listener:
        tables.make(listener, TABLE)
        scorers.attach(listener, TABLE, "async")
        listener.execute("LISTEN modeldb_scored")
        with workers.running(url, 1):
            _run(url, listener, rate, range(WARM_ROWS))
            commits, arrivals = _run(url, listener, rate, range(WARM_ROWS, WARM_ROWS + round(rate * seconds)))
    delays = [(arrivals[key] - committed) * 1e3 for key, committed in commits]
    times = [committed for _, committed in commits]
    p50, p99, largest = np.percentile(delays, (50, 99, 100)).tolist()
    reached = (len(times) - 1) / (max(times) - min(times))
    progress(f"notify: {reached:.0f} inserts per second, p50 {p50:.0f} ms, p99 {p99:.0f} ms, at most {largest:.0f} ms")
    return {"notify_p99_ms": p99}, {"p50": p50, "p99": p99, "largest": largest, "inserts per second": reached}


def _run(url: str, listener: psycopg.Connection, rate: int, keys: range) -> tuple[Commits, dict[int, float]]:
    """Insert rows at a rate, and listen until all are scored: when they were committed, and when the news came."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=write, args=(url, rate, keys, sender), daemon=True)
    process.start()
    arrivals = _listen(listener, len(keys))
    commits = receiver.recv()
    process.join()
    return commits, arrivals


def _listen(listener: psycopg.Connection, rows: int) -> dict[int, float]:
    """When each key's first notification arrived. Raises TimeoutError where some do not."""
    arrivals: dict[int, float] = {}
    while len(arrivals) < rows:
        waited = True
        for notification in listener.notifies(timeout=workers.LONGEST, stop_after=1):
            arrived, waited = time.perf_counter(), False
            for key in _keys(notification.payload):
                arrivals.setdefault(key, arrived)
        if waited:
            raise TimeoutError(f"{len(arrivals)} of {rows} rows were notified")
    return arrivals


def _keys(payload: str) -> Iterator[int]:
    for (key,) in json.loads(payload)["keys"]:
        yield key


def write(url: str, rate: int, keys: range, sender: multiprocessing.connection.Connection) -> None:
    """The writers' process: inserts the keys, each in a transaction of its own, and sends when they were committed."""
    begin = time.perf_counter() + 1.0  # when all are connected
    commits: list[Commits] = [[] for _ in range(WRITERS)]
    threads = [
        threading.Thread(target=_insert, args=(url, begin, rate, keys[number::WRITERS], number, commits[number]))
        for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.send([commit for found in commits for commit in found])


def _insert(url: str, begin: float, rate: int, keys: Sequence[int], number: int, commits: Commits) -> None:
    """One writer, which inserts every WRITERSth row when it is its turn, or at once when it is late."""
    statement = tables.insert(TABLE)
    X = tables.rows(len(keys), seed=number).tolist()
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        for position, (key, features) in enumerate(zip(keys, X, strict=True)):
            time.sleep(max(0.0, begin + (position * WRITERS + number) / rate - time.perf_counter()))
            cursor.execute(statement, [key, *features], prepare=True)
            commits.append((key, time.perf_counter()))
