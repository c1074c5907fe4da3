"""What runs inside PostgreSQL: the only code that imports plpy.

SQL reaches it through ``entry(name)``, which the PL/Python wrappers call once per backend and keep in SD.
"""

from __future__ import annotations

import importlib
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


_ENTRIES = {
    "gate": "gate",
    "replay": "gate",
    "load": "sessions",
    "cache": "sessions",
    "predict_rows": "rows",
    "next_time": "schedule",
    "resolve": "batch.source",
    "score": "batch.statements",
    "score_set": "batch.statements",
    "score_statement": "batch.statements",
    "create_predictions": "batch.create",
    "refresh": "batch.refresh",
    "check_unrestricted": "batch.owner",
    "queue_state": "online.queue",
    "waiting": "online.queue",
    "drain": "online.drain",
    "queue_rows": "online.drain",
    "retry_failures": "online.drain",
    "attach_scorer": "online.attach",
    "detach_scorer": "online.detach",
    "enriched": "online.enriching",
    "online_label": "online.row",
    "online_version": "online.row",
    "online_error": "online.row",
    "online_done": "online.row",
}
"""The module of each function that the SQL functions call, but for the path of a row."""
_WRITTEN = ("online", "online_numbers")
"""The path of a row that is being written. Its functions raise PostgreSQL's errors themselves."""


def entry(name: str) -> Callable[..., Any]:
    """The function behind a SQL function. Imports only what this one needs: a prediction does without onnx."""
    if name in _ENTRIES:
        module = importlib.import_module(f"modeldb.server.{_ENTRIES[name]}")
        return boundary.guard(getattr(module, name))
    if name in _WRITTEN:
        from modeldb.server.online import row

        return row.ENTRIES[name]
    from modeldb.server import predict

    return predict.ENTRIES[name]
