"""One row at a time: an INSERT into a table with a scorer, against an INSERT, a call of a service, and an UPDATE."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median

import numpy as np
import psycopg

from onlining import rest, scorers, tables
from onlining.copying import Progress

SCORED, SERVED = "inserted_scored", "inserted_served"
UPDATE = f"UPDATE {SERVED} SET score = %b WHERE id = %b".encode()
WARM_ROWS, IN_TURN = 200, 100
Insert = Callable[[int, list[float]], None]
Millis = dict[str, np.ndarray]  # by way, of each row


def measure(url: str, artifact: bytes, rows: int, pairs: int, progress: Progress) -> tuple[dict[str, float], dict]:
    """The ratios of the percentiles, and the percentiles in milliseconds; ``rows`` rows for each pair."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(2))
        tables.make(first, SCORED, SERVED)
        scorers.attach(first, SCORED, "sync")
        client = stack.enter_context(rest.served(artifact))
        ways = {"scorer": scored(first.cursor()), "service": served(second.cursor(), client)}
        _pair(ways, tables.rows(WARM_ROWS), -WARM_ROWS)
        found = []
        for number in range(pairs):
            found.append(_pair(ways, tables.rows(rows, seed=number), number * rows))
            shown = ", ".join(f"{way} {np.median(millis):.3f} ms" for way, millis in found[-1].items())
            progress(f"insert {number + 1}/{pairs}: {shown}")
        tables.require_scores(first, SCORED, SERVED)
    return _figures(found)


def scored(cursor: psycopg.Cursor) -> Insert:
    """Inserts a row that the table's scorer scores."""
    statement = tables.insert(SCORED)

    def insert(key: int, features: list[float]) -> None:
        cursor.execute(statement, [key, *features], prepare=True)

    return insert


def served(cursor: psycopg.Cursor, client: rest.Client) -> Insert:
    """Inserts a row, asks the service, and updates the row."""
    statement = tables.insert(SERVED)

    def insert(key: int, features: list[float]) -> None:
        cursor.execute(statement, [key, *features], prepare=True)
        cursor.execute(UPDATE, [client.score(features), key], prepare=True)

    return insert


def _pair(ways: dict[str, Insert], X: np.ndarray, start: int) -> Millis:
    """Times each way with the same rows, some at a time in turn; their keys are counted from ``start``."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    rows = list(enumerate(X.tolist(), start))
    for first in range(0, len(rows), IN_TURN):
        for way, insert in ways.items():
            times[way] += (_timed(insert, *row) for row in rows[first : first + IN_TURN])
    return {way: np.array(seconds) * 1e3 for way, seconds in times.items()}


def _timed(insert: Insert, key: int, features: list[float]) -> float:
    started = time.perf_counter()
    insert(key, features)
    return time.perf_counter() - started


def _figures(found: Sequence[Millis]) -> tuple[dict[str, float], dict[str, float]]:
    ratios, millis = {}, {}
    for percent in (50, 99):
        percentiles = [{way: float(np.percentile(times, percent)) for way, times in pair.items()} for pair in found]
        ratios[f"insert_vs_rest_p{percent}"] = median(pair["scorer"] / pair["service"] for pair in percentiles)
        for way in found[0]:
            millis[f"{way}, p{percent}"] = median(pair[way] for pair in percentiles)
    return ratios, millis
