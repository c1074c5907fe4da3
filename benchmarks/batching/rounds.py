"""The ways of scoring a table, timed in turn: each round runs every way once, on the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from batching import expert, ours
from batching.subject import Subject

Seconds = dict[str, list[float]]
Progress = Callable[[str], None]


class Rounds:
    """Times by way, and the largest difference that was found between the probabilities of any two ways."""

    def __init__(self, subject: Subject, score_expertly: Callable[[], None], progress: Progress) -> None:
        self.subject, self.score_expertly, self.progress = subject, score_expertly, progress
        self.seconds: Seconds = {}
        self.apart = 0.0

    def median(self, way: str) -> float:
        return median(self.seconds[way])

    def vs_expert(self, *ways: str) -> float:
        """The slowest of these ways against the expert's."""
        return max(map(self.median, ways)) / self.median(expert.WAY)

    def run(self, pairs: int, change: Callable[[], None] | None) -> None:
        """``pairs`` rounds. change: what changes 1 % of the rows before each, for a concurrent refresh; or none."""
        ours.create(self.subject)
        stored = ours.stored(self.subject)
        for _ in range(pairs):
            if change is not None:
                change()
            self.drop(expert.WAY)
            self.time(expert.WAY, self.score_expertly)
            view = self.subject.target(ours.VIEW)
            if change is not None:
                self.time("concurrent", lambda: ours.refresh(self.subject), view, stored)
            ours.drop(self.subject)
            self.time("first", lambda: ours.create(self.subject), view)
            self.time("plain", lambda: ours.refresh_plainly(self.subject, stored), view, stored)
            self.drop(ours.SCORED)
            self.time("score2", lambda: ours.score(self.subject), self.subject.target(ours.SCORED))
            self.drop(ours.SCORED)
            self.time("score2, with the program's start", lambda: ours.score_by_command(self.subject))
        ours.drop(self.subject)
        self.drop(ours.SCORED)

    def drop(self, way: str) -> None:
        self.subject.run(f"DROP TABLE IF EXISTS {self.subject.target(way)}")

    def time(self, way: str, action: Callable[[], None], result: str | None = None, *settled: str) -> None:
        """Time one way. result: the relation that has to agree with the expert's."""
        self.subject.settle(self.subject.table, *settled)
        started = time.perf_counter()
        action()
        seconds = time.perf_counter() - started
        self.seconds.setdefault(way, []).append(seconds)
        self.progress(f"{self.subject.table}, {self.subject.model}, {way}: {seconds:.2f} s")
        if result is not None:
            target = self.subject.target(expert.WAY)
            self.apart = max(self.apart, self.subject.require_same(result, target))
