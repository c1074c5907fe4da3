"""What is asked for, what is told while it runs, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """The arguments of db.score()."""

    table: str
    model: str
    key: tuple[str, ...]
    into: str
    jobs: int
    columns: tuple[str, ...]
    class_: str | None
    on_error: str


@dataclass(frozen=True)
class Progress:
    """How far a run is: rows scored by it, blocks of the table that are done, of how many, and the seconds so far.

    phase: "preparing", "scoring" or "indexing". note: something worth telling, once; else empty.
    """

    phase: str
    rows: int = 0
    blocks: int = 0
    total: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Scored:
    """A finished run: the table with the predictions, the version, its rows, and how many of them this run scored."""

    target: str
    pinned: str
    rows: int
    scored: int
    seconds: float
    resumed: bool

    @property
    def rows_per_second(self) -> float:
        return self.scored / self.seconds if self.seconds else 0.0
