"""What runs inside PostgreSQL: the only code that imports plpy.

SQL reaches it through ``entry(name)``, which the PL/Python wrappers call once per backend and keep in SD.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import modeldb
from modeldb.errors import VersionsDiffer
from modeldb.server import boundary

# Libraries that start threads are told not to; those that do anyway get threads that take no signals, because
# PostgreSQL's signal handlers are to run in its own thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
_unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
try:
    import numpy
    import onnxruntime
finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, _unblocked)
del numpy, onnxruntime


def check_version(schema: str) -> None:
    """Raise VersionsDiffer (MD903) unless the schema was installed by this version of the package."""
    if modeldb.__version__ != schema:
        boundary.fail(
            VersionsDiffer(
                f"this session runs modeldb {modeldb.__version__}, the schema is of {schema}",
                hint="Reconnect; if it stays, run: modeldb install",
            )
        )


def entry(name: str) -> Callable[..., Any]:
    """The function behind a SQL function. Imports only what this one needs: a prediction does without onnx."""
    if name in ("gate", "replay"):
        from modeldb.server import gate

        return boundary.guard(getattr(gate, name))
    if name in ("load", "cache"):
        from modeldb.server import sessions

        return boundary.guard(getattr(sessions, name))
    if name == "next_time":
        from modeldb.server import schedule

        return boundary.guard(schedule.next_time)
    if name == "predict_rows":
        from modeldb.server import rows

        return boundary.guard(rows.predict_rows)
    if name in ("score", "score_stored", "score_statement"):
        from modeldb.server.batch import statements

        return boundary.guard(getattr(statements, name))
    if name == "resolve":
        from modeldb.server.batch import source

        return boundary.guard(source.resolve)
    if name == "create_predictions":
        from modeldb.server.batch import create

        return boundary.guard(create.create)
    if name == "refresh":
        from modeldb.server.batch import refresh

        return boundary.guard(refresh.refresh)
    from modeldb.server import predict

    return predict.ENTRIES[name]
