"""How many rows a scorer has scored, and how long that took: counted here, written to modeldb.scorer_activity."""

from __future__ import annotations

import math
import random
import time

from modeldb.server.backend import ask

BUCKETS = 140
"""Bucket i, from 1, is of what took up to 2^(i/4) microseconds; the last one of all that took longer: nine hours."""

_STEP = 8  # short times are looked up by their upper bits, in steps of 256 nanoseconds
_LOOKED_UP = 1 << 12  # up to a millisecond
_BURST = 10.0
_OFTEN_COMPACTED = 0.01
_WRITE = "INSERT INTO modeldb.scorer_activity (scorer, rows, errors, latencies) VALUES ($1, $2, $3, $4)"


def bucket(nanoseconds: int) -> int:
    """The position of a latency's bucket in a list, from 0."""
    if nanoseconds <= 1000:
        return 0
    return min(BUCKETS, math.ceil(4 * math.log2(nanoseconds / 1000))) - 1


_table = [bucket(step << _STEP) for step in range(_LOOKED_UP)]


def write(scorer: int, errors: int, latencies: list[int]) -> None:
    """Add to a scorer's activity, as a role that may. Now and then, what is old is added up.

    latencies: how many rows by bucket.
    """
    filled = max((at + 1 for at, rows in enumerate(latencies) if rows), default=0)
    types = ["integer", "bigint", "bigint", "bigint[]"]
    ask(_WRITE, types, [scorer, sum(latencies), errors, latencies[:filled]])
    if random.random() < _OFTEN_COMPACTED:
        ask("SELECT modeldb._compact_activity($1)", ["integer"], [scorer])


class Counts:
    """What one backend is yet to write of one scorer."""

    def __init__(self) -> None:
        self.errors = 0
        self.latencies = [0] * BUCKETS
        self.allowed, self.asked_at = _BURST, time.monotonic()

    def add(self, nanoseconds: int) -> None:
        """Count a row that was scored."""
        step = nanoseconds >> _STEP
        self.latencies[_table[step] if step < _LOOKED_UP else bucket(nanoseconds)] += 1

    def write(self, scorer: int) -> None:
        """Write what was counted: at each call by a quiet session, about once in a second by a busy one."""
        now = time.monotonic()
        self.allowed, self.asked_at = min(_BURST, self.allowed + now - self.asked_at), now
        if self.allowed < 1 or not (self.errors or any(self.latencies)):
            return
        self.allowed -= 1
        errors, latencies = self.errors, self.latencies
        self.errors, self.latencies = 0, [0] * BUCKETS
        write(scorer, errors, latencies)
