"""One row at a time: predict() in a warm backend against bare onnxruntime, and a cold connection against cold Python.

row_vs_run: SELECT sum(predict('m', t)) FROM t over 100,000 rows of 30 double precision features, scaled logistic
regression, divided by the same number of one-row run() calls of the same graph in a Python loop.
cold_vs_python: the first prediction of a new connection, divided by a new Python process that imports numpy and
onnxruntime, loads the same model and runs it once.
Medians of pairs, taken in turn; the last line is JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import psycopg
from rich.console import Console
from rich.table import Table
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modeldb
from modeldb.cluster import Cluster

ROWS, FEATURES, PAIRS, COLD_PAIRS = 100_000, 30, 7, 15

COLD_PYTHON = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
session.run(None, {session.get_inputs()[0].name: numpy.zeros((1, 30))})
"""


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def prepare(cluster: Cluster, X: np.ndarray, y: np.ndarray) -> bytes:
    db = cluster.connect()
    db.install()
    names = [f"f{i}" for i in range(FEATURES)]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:5000], y[:5000])
    db.register("m", model, sample=X[:5000], feature_names=names)
    with psycopg.connect(cluster.url()) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(f'{name} float8' for name in names)})".encode())
        with connection.cursor().copy("COPY t FROM STDIN") as copy:
            for row in X.tolist():
                copy.write_row(row)
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE t")
    return db.load("m")


def warm(cluster: Cluster, artifact: bytes, X: np.ndarray) -> list[tuple[float, float]]:
    """(seconds of SQL, seconds of the loop), pair by pair."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(artifact, options)
    name = session.get_inputs()[0].name
    run = session.run

    def loop() -> None:
        for i in range(ROWS):
            run(None, {name: X[i : i + 1]})

    with psycopg.connect(cluster.url()) as connection:

        def query() -> None:
            connection.execute("SELECT sum(predict('m', t)) FROM t").fetchone()

        query()
        loop()
        return [(timed(query), timed(loop)) for _ in range(PAIRS)]


def cold(cluster: Cluster, model: Path) -> list[tuple[float, float]]:
    """(seconds of a new connection's first prediction, seconds of a new Python process), pair by pair."""

    def first() -> None:
        with psycopg.connect(cluster.url()) as connection:
            connection.execute("SELECT predict('m', t) FROM t LIMIT 1").fetchone()

    def python() -> None:
        subprocess.run([sys.executable, "-c", COLD_PYTHON, str(model)], check=True)

    first()
    python()
    return [(timed(first), timed(python)) for _ in range(COLD_PAIRS)]


def main() -> None:
    X, y = make_classification(ROWS, FEATURES, n_informative=15, random_state=0)
    with Cluster.temporary() as cluster, tempfile.TemporaryDirectory() as folder:
        artifact = prepare(cluster, X, y)
        path = Path(folder) / "m.onnx"
        path.write_bytes(artifact)
        rows, starts = warm(cluster, artifact, X), cold(cluster, path)
    ratio = statistics.median(sql / loop for sql, loop in rows)
    cold_ratio = statistics.median(first / python for first, python in starts)
    table = Table("measured", "modeldb", "bare onnxruntime", "ratio", "wanted")
    micros = [statistics.median(pair[side] for pair in rows) / ROWS * 1e6 for side in (0, 1)]
    millis = [statistics.median(pair[side] for pair in starts) * 1e3 for side in (0, 1)]
    table.add_row("a row, warm", f"{micros[0]:.1f} us", f"{micros[1]:.1f} us", f"{ratio:.2f}", "<= 1.8 (1.3)")
    table.add_row("first prediction", f"{millis[0]:.0f} ms", f"{millis[1]:.0f} ms", f"{cold_ratio:.2f}", "<= 1.5")
    Console().print(table)
    print(
        json.dumps(
            {
                "row_vs_run": round(ratio, 3),
                "cold_vs_python": round(cold_ratio, 3),
                "rows": ROWS,
                "row_us": round(micros[0], 2),
                "modeldb": modeldb.__version__,
                "onnxruntime": ort.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
