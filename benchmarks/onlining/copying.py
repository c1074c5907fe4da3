"""COPY into a table without a scorer, with a synchronous one, and with an asynchronous one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import onnxruntime as ort
import psycopg

from onlining import scorers, tables

Progress = Callable[[str], None]
PLAIN, SYNC, LABELS, ASYNC, RUN = "plain", "sync", "sync, without class", "async", "run"
SCORERS = {SYNC: ("sync", tables.POSITIVE), LABELS: ("sync", None), ASYNC: ("async", tables.POSITIVE)}
TABLES = {way: f"copied_{number}" for number, way in enumerate((PLAIN, *SCORERS))}
WARM_ROWS = 1000
Seconds = dict[str, float]


def measure(url: str, artifact: bytes, rows: int, pairs: int, progress: Progress) -> tuple[Seconds, dict[str, float]]:
    """The ratios, and microseconds per row: of plain COPY, what each scorer adds, and of a bare run()."""
    X = tables.rows(rows)
    data, warm = list(tables.blocks(X)), list(tables.blocks(X[:WARM_ROWS]))
    session, found = Session(artifact, X), []
    with psycopg.connect(url, autocommit=True) as connection:
        tables.make(connection, *TABLES.values())
        for number in range(pairs):
            seconds = {way: _copy(connection, way, data, warm) for way in TABLES} | {RUN: session.loop()}
            found.append(seconds)
            progress(f"copy {number + 1}/{pairs}: {', '.join(f'{way} {s:.2f} s' for way, s in seconds.items())}")
        _check(connection, session)
    return _ratios(found), _micros(found, rows)


class Session:
    """Bare onnxruntime, a row at a time."""

    def __init__(self, artifact: bytes, X: np.ndarray) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session, self.X = ort.InferenceSession(artifact, options), X
        self._input = self._session.get_inputs()[0].name

    def loop(self) -> float:
        """Seconds for all rows."""
        run, name, X = self._session.run, self._input, self.X
        started = time.perf_counter()
        for i in range(len(X)):
            run(None, {name: X[i : i + 1]})
        return time.perf_counter() - started

    def probabilities(self) -> np.ndarray:
        """Of the positive class, (n,) float64."""
        return self._session.run(None, {self._input: self.X})[-1][:, 1]


def _copy(connection: psycopg.Connection, way: str, data: Sequence[bytes], warm: Sequence[bytes]) -> float:
    """Seconds of a COPY into the empty table of a way, by a session that has loaded the model."""
    table = TABLES[way]
    connection.execute(f"TRUNCATE {table}".encode())
    if way in SCORERS:  # anew, so that no queue is left from before
        mode, class_ = SCORERS[way]
        scorers.attach(connection, table, mode, class_=class_)
    tables.copy(connection, table, warm)
    connection.execute(f"TRUNCATE {table}".encode())
    connection.execute("CHECKPOINT")
    started = time.perf_counter()
    tables.copy(connection, table, data)
    seconds = time.perf_counter() - started
    if way in SCORERS:
        scorers.detach(connection, table)
    return seconds


def _check(connection: psycopg.Connection, session: Session) -> None:
    """Raises ValueError unless the synchronous scorers have written what onnxruntime gives."""
    probabilities = session.probabilities()
    for way, expected in ((SYNC, probabilities), (LABELS, (probabilities > 0.5).astype(float))):
        found = connection.execute(f"SELECT score FROM {TABLES[way]} ORDER BY id".encode()).fetchall()
        if not np.allclose(np.array(found, float).ravel(), expected, rtol=0, atol=1e-9):
            raise ValueError(f"{way}: not the scores that onnxruntime gives")


def _ratios(found: Sequence[Seconds]) -> dict[str, float]:
    def against(of: Callable[[Seconds], float]) -> float:
        return median(of(seconds) for seconds in found)

    vs_run = {way: against(lambda s, way=way: (s[way] - s[PLAIN]) / s[RUN]) for way in (SYNC, LABELS)}
    return {
        "sync_row_vs_run": max(vs_run.values()),
        "async_writer_vs_sync": against(lambda s: (s[ASYNC] - s[PLAIN]) / (s[SYNC] - s[PLAIN])),
    }


def _micros(found: Sequence[Seconds], rows: int) -> dict[str, float]:
    shown = {"copy": PLAIN, "bare run()": RUN}
    micros = {name: median(seconds[way] for seconds in found) / rows * 1e6 for name, way in shown.items()}
    for way in SCORERS:
        micros[f"added, {way}"] = median(seconds[way] - seconds[PLAIN] for seconds in found) / rows * 1e6
    return micros
