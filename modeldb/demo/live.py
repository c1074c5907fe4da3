"""The scorers of payments in a table, watched while rows come in."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich import box
from rich.live import Live
from rich.table import Table

from modeldb.cli.output import console, shown
from modeldb.database import Database
from modeldb.demo.stream import Stream
from modeldb.errors import InstallationError

SCORERS = """
SELECT "into", mode, rows, errors, queued, oldest_waiting, p50_ms, p99_ms
FROM modeldb.scorers WHERE "table" = 'payments'::regclass ORDER BY mode DESC
"""
LOOK_SECONDS = 0.25
RATE_SECONDS = 2.0  # that a rate is taken over: a session tells once a second what it has scored
LONGEST_DRAIN = 60.0


@dataclass(frozen=True)
class Look:
    """What the view showed, and when."""

    at: float
    scorers: list[dict[str, Any]]

    def rows(self, into: str) -> int:
        """How many rows the scorer of a column had scored."""
        return sum(scorer["rows"] for scorer in self.scorers if scorer["into"] == into)


class Watch:
    """What the view scorers says of payments, look by look."""

    def __init__(self, db: Database, stream: Stream) -> None:
        self._db, self.stream = db, stream
        self._first = self._look()
        self._looks = deque([self._first])

    def table(self) -> Table:
        """As it is now, with the rows per second of the last seconds."""
        self._looks.append(self._look())
        while len(self._looks) > 2 and self._looks[-1].at - self._looks[1].at >= RATE_SECONDS:
            self._looks.popleft()
        return self._table(self._looks[0])

    def summary(self) -> Table:
        """As it was at the last look, with the rows per second since the first."""
        return self._table(self._first)

    def drained(self) -> bool:
        """Whether nothing waited at the last look."""
        return all(not scorer["queued"] for scorer in self._looks[-1].scorers)

    def _look(self) -> Look:
        return Look(time.monotonic(), self._db.query(SCORERS))

    def _table(self, since: Look) -> Table:
        caption = f"{self.stream.inserted:,} payments inserted, {self.stream.rejected:,} rejected"
        table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left", pad_edge=False)
        for name in ("column", "mode"):
            table.add_column(name)
        for name in ("scored", "per second", "errors", "waiting", "oldest", "p50 ms", "p99 ms"):
            table.add_column(name, justify="right", min_width=7)
        last = self._looks[-1]
        for scorer in last.scorers:
            rate = (scorer["rows"] - since.rows(scorer["into"])) / max(last.at - since.at, LOOK_SECONDS)
            cells = (scorer[name] for name in ("errors", "queued", "oldest_waiting", "p50_ms", "p99_ms"))
            figures = (scorer["rows"], round(rate), *cells)
            table.add_row(scorer["into"], scorer["mode"], *(_cell(value) for value in figures))
        return table


def _cell(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.2f} s"
    return f"{value:.2f}" if isinstance(value, float) else shown(value)


def watch(watched: Watch, seconds: float) -> None:
    """Show the table for so many seconds while rows come in; on a terminal it changes, elsewhere nothing is printed."""
    deadline = time.monotonic() + seconds
    _show(watched, lambda: watched.stream.ended() or time.monotonic() > deadline)


def finish(watched: Watch) -> None:
    """Wait until nothing waits, and print the table. Raises InstallationError (MD900) where that takes too long."""
    deadline = time.monotonic() + LONGEST_DRAIN

    def ended() -> bool:
        if not watched.drained() and time.monotonic() > deadline:
            raise InstallationError(f"the queue of payments was not drained within {LONGEST_DRAIN:.0f} s")
        return watched.drained()

    _show(watched, ended)
    console().print(watched.summary())


def _show(watched: Watch, ended: Callable[[], bool]) -> None:
    out = console()
    live = Live(watched.table(), console=out, transient=True, auto_refresh=False)
    with live if out.is_terminal else nullcontext():
        while not ended():
            time.sleep(LOOK_SECONDS)
            live.update(watched.table(), refresh=out.is_terminal)
