"""Processes `modeldb worker`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

LONGEST = 600.0  # seconds that anything may take
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'modeldb worker%' AND state = 'idle'"


@contextmanager
def running(url: str, count: int) -> Iterator[float]:
    """So many workers that are connected, and stopped at the end; the seconds that it took to start them."""
    started = time.perf_counter()
    with ExitStack() as stack, psycopg.connect(url, autocommit=True) as connection:
        logs = Path(stack.enter_context(TemporaryDirectory()))
        for number in range(count):
            stack.enter_context(_process(url, logs / f"{number}"))
        until(lambda: connection.execute(SESSIONS).fetchone()[0] >= 2 * count, "the workers are connected", logs)
        yield time.perf_counter() - started


@contextmanager
def _process(url: str, log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "modeldb.cli", "worker", "--url", url]
    with log.open("wb") as stream, subprocess.Popen(command, stderr=stream) as process:
        try:
            yield
        finally:
            process.terminate()


def until(condition: Callable[[], object], what: str, logs: Path | None = None) -> None:
    """Look every 10 ms until a condition is true. Raises TimeoutError with what the workers wrote."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            said = "".join(log.read_text() for log in sorted(logs.iterdir())) if logs else ""
            raise TimeoutError(f"not within {LONGEST:.0f} s: {what}\n{said}")
        time.sleep(0.01)
