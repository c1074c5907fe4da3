"""The private memory of the backend that scores, at its peak, for a table and for one of four times the rows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from batching import ours, tables
from batching.rounds import Progress
from batching.subject import Subject

SAMPLE_SECONDS = 0.02
# What belongs to no file and to no shared memory. Private_Clean and Private_Dirty would count pages of shared buffers
# that only this process happens to have touched.
PRIVATE = re.compile(r"^Anonymous: +(\d+) kB$", re.MULTILINE)


class Peak(threading.Thread):
    """Watches a process from start() to stop(), which gives the most private memory that it had, in MiB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.file = Path(f"/proc/{pid}/smaps_rollup")
        self.kib = 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.kib = max(self.kib, sum(map(int, PRIVATE.findall(self.file.read_text()))))

    def stop(self) -> float:
        self._ended.set()
        self.join()
        return self.kib / 1024


def peak(subject: Subject, action: Callable[[Subject], None]) -> float:
    """The peak, in MiB, of a new backend while it does something."""
    with subject.on_one_connection() as fixed:
        watch = Peak(fixed.open.info.backend_pid)
        watch.start()
        try:
            action(fixed)
        finally:
            mb = watch.stop()
    return mb


def peaks(subject: Subject, rows: str, random: np.random.Generator, progress: Progress) -> dict[str, float]:
    """MiB by run: the first, which scores as a plain refresh does, and a concurrent one after 1 % changed."""
    subject = replace(subject, table=rows)
    found = {"first": peak(subject, ours.create)}
    tables.change(subject.url, rows, random)
    found["concurrent"] = peak(subject, ours.refresh)
    ours.drop(subject)
    progress(f"{rows}, {subject.model}, MiB: {', '.join(f'{run} {mb:.0f}' for run, mb in found.items())}")
    return found
