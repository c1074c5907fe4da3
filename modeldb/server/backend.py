"""What the backend's own C variables tell, without a query: who calls, what changed, whether to stop.

PL/Python runs inside the postgres executable, whose symbols are exported to extensions; reading one costs tens of
nanoseconds, a query thousands.
"""

from __future__ import annotations

import ctypes
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import plpy

from modeldb.errors import ParallelPlan

_postgres = ctypes.PyDLL(None)

current_role: Callable[[], int] = _postgres.GetUserId
"""The oid of the effective role, SET ROLE and SECURITY DEFINER included."""

current_command: Callable[[int], int] = _postgres.GetCurrentCommandId
"""Counts what this transaction wrote, its own DDL included; call it with 0."""

catalog_changes = ctypes.c_uint64.in_dll(_postgres, "SharedInvalidMessageCounter")
"""Grows with every committed change of the catalogs: a table altered, a privilege or a membership revoked."""

statement_started = _postgres.GetCurrentStatementStartTimestamp
"""When the client's statement began, in microseconds: the same for all of its rows, another one for the next."""
statement_started.restype = ctypes.c_int64

transaction_started = _postgres.GetCurrentTransactionStartTimestamp
"""When the transaction began: a procedure that commits begins several within one statement of the client."""
transaction_started.restype = ctypes.c_int64

active_snapshot = _postgres.GetActiveSnapshot
"""Where the snapshot of the running statement is; to a STABLE function, that of the statement which called it."""
active_snapshot.restype = ctypes.c_void_p
_snapshot = struct.Struct("=4x2I12xI20xI")  # xmin, xmax, xcnt and curcid of snapshot.h

_in_transaction_block = _postgres.IsTransactionBlock
_in_transaction_block.restype = ctypes.c_bool
# What ends a statement. InterruptPending is also set for what does not, such as a check of the client's connection.
_reasons = [
    ctypes.c_int.in_dll(_postgres, name)
    for name in ("QueryCancelPending", "ProcDiePending", "TransactionTimeoutPending", "RecoveryConflictPending")
    if hasattr(_postgres, name)
]
_TICK = 0.05
_PATIENCE = 20


_in_parallel_mode = _postgres.IsInParallelMode
_in_parallel_mode.restype = ctypes.c_bool
_crashes_in_parallel = hasattr(_postgres, "MyBackendId")  # a variable that PostgreSQL 17 no longer has
_plans: dict[str, Any] = {}


def refuse_parallel() -> None:
    """To be called before SPI, which would take the server down there: see sql/parallel.sql. Raises ParallelPlan."""
    if _crashes_in_parallel and _in_parallel_mode():
        raise ParallelPlan


def ask(query: str, types: Sequence[str], values: Sequence[Any]) -> Any:
    """The rows of a query, seen by the snapshot of the calling statement; its plan is kept."""
    refuse_parallel()
    plan = _plans.get(query)
    if plan is None:
        plan = _plans[query] = plpy.prepare(query, types)
    return plpy.execute(plan, values)


def visible() -> tuple[int, ...]:
    """What tells two snapshots apart: which transactions are seen by it, and which commands of this one."""
    at = active_snapshot()
    return _snapshot.unpack(ctypes.string_at(at, _snapshot.size)) if at else ()


def see_other_commits() -> None:
    """Within a transaction block, take notice of what others committed since the last statement.

    PostgreSQL does so when it locks a table, which a statement in the same transaction has no need to do again; asking
    for a relation's size takes a lock and gives it back. Outside of a block each statement begins with taking notice.
    """
    if _in_transaction_block():
        ask("SELECT pg_catalog.pg_relation_size('modeldb.settings'::pg_catalog.regclass)", [], [])


def check_for_interrupts() -> None:
    """Let PostgreSQL raise a pending cancellation, timeout or shutdown: any SPI call does."""
    refuse_parallel()
    plpy.execute("SELECT")


class Watchdog:
    """Stops native code that runs while PostgreSQL wants the backend's attention.

    PostgreSQL's signal handlers only set a flag, which nobody looks at while onnxruntime computes. A thread does: when
    the flag is up it calls ``stop``, the native call returns with an error, and the caller lets PostgreSQL raise.
    The thread takes no signals, sleeps when nothing has run for a second, and polls only while something runs. The
    switch interval is raised because a thread that waits for the interpreter, which an idle backend never lets go,
    wakes up at that interval; native calls hand the interpreter over at once.
    """

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None
        self.awake = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Watch from now on; ``stop`` is to be set around each native call."""
        self.awake = True
        if self._thread is None:
            sys.setswitchinterval(1.0)
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                self._thread = threading.Thread(target=self._watch, name="modeldb-watchdog", daemon=True)
                self._thread.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self._wake.set()

    def _watch(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            idle = 0
            while idle < _PATIENCE:
                time.sleep(_TICK)
                stop = self.stop
                idle = idle + 1 if stop is None else 0
                if stop is not None and any(reason.value for reason in _reasons):
                    stop()
            self.awake = False


watchdog = Watchdog()
