"""Incremental predictions: a refresh after 1 % of the rows changed, against one that scores every row again."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from batching import expert, ours, tables
from batching.rounds import Progress
from batching.subject import Subject


def measure(
    subject: Subject, artifact: bytes, pairs: int, random: np.random.Generator, progress: Progress
) -> dict[str, float]:
    """Seconds of both refreshes, in a session that has loaded the model.

    Raises ValueError where the incremental one leaves a row that is out of date.
    """
    with subject.on_one_connection() as warm:
        return _measure(warm, artifact, pairs, random, progress)


def _measure(
    subject: Subject, artifact: bytes, pairs: int, random: np.random.Generator, progress: Progress
) -> dict[str, float]:
    ours.create(subject, changed_at="updated_at")
    stored = ours.stored(subject)
    seconds: dict[str, list[float]] = {"incremental": [], "full": []}
    for remaining in reversed(range(pairs)):
        tables.change(subject.url, subject.table, random, also=", updated_at = now()")
        subject.settle(subject.table, stored)
        seconds["incremental"].append(_timed(lambda: ours.refresh(subject)))
        if not remaining:
            _check(subject, artifact)
        subject.settle(stored)
        seconds["full"].append(_timed(lambda: ours.refresh(subject, full=True)))
    ours.drop(subject)
    found = {way: median(times) for way, times in seconds.items()}
    progress(f"{subject.table}, {subject.model}: {', '.join(f'{way} {s:.2f} s' for way, s in found.items())}")
    return found


def _check(subject: Subject, artifact: bytes) -> None:
    subject.run(f"DROP TABLE IF EXISTS {subject.target(expert.WAY)}")
    expert.score_numbers(subject, artifact, tables.FEATURES)
    subject.require_same(subject.target(ours.VIEW), subject.target(expert.WAY))


def _timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
