"""How many rows a scorer has scored, and how long that took: counted here, written to modeldb.scorer_activity."""

from __future__ import annotations

import math
import random
from typing import Any

from modeldb.server.backend import ask

BUCKETS = 140
"""Bucket i counts what took up to 2^(i/4) microseconds: the last one begins at nine hours."""

_STEP = 8  # nanoseconds are looked up by their upper bits: in steps of 256
_KNOWN = 1 << 12  # up to a millisecond, the commonest
_WRITE = "INSERT INTO modeldb.scorer_activity (scorer, rows, errors, latencies) VALUES ($1, $2, $3, $4)"
_COMPACTED = 0.01


def bucket(nanoseconds: int) -> int:
    """The position, from 0, of the bucket of a latency."""
    micros = nanoseconds / 1000
    return 0 if micros <= 1 else min(BUCKETS - 1, max(0, math.ceil(4 * math.log2(micros)) - 1))


_table = [bucket(step << _STEP) for step in range(_KNOWN)]


class Counts:
    """What is yet to be written of one scorer."""

    def __init__(self) -> None:
        self.errors = 0
        self.latencies = [0] * BUCKETS

    def add(self, nanoseconds: int) -> None:
        """Count a row that was scored."""
        step = nanoseconds >> _STEP
        self.latencies[_table[step] if step < _KNOWN else bucket(nanoseconds)] += 1

    @property
    def any(self) -> bool:
        return self.errors > 0 or any(self.latencies)

    def write(self, scorer: int) -> None:
        """Write what was counted, as a role that may, and count from zero on. Now and then, add up what is old."""
        while self.latencies and not self.latencies[-1]:
            self.latencies.pop()
        values: list[Any] = [scorer, sum(self.latencies), self.errors, self.latencies]
        ask(_WRITE, ["integer", "bigint", "bigint", "bigint[]"], values)
        self.__init__()  # type: ignore[misc]
        if random.random() < _COMPACTED:
            ask("SELECT modeldb._compact_activity($1)", ["integer"], [scorer])
