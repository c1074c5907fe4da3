"""score: a whole table into another one, with a progress bar."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType, TracebackType

import click
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from modeldb.cli.app import database, json_option, url_option
from modeldb.cli.output import console, print_json, say
from modeldb.score.client import MOST_JOBS, default_jobs
from modeldb.score.task import Progress

LINE_SECONDS = 5.0  # between lines where there is no terminal to draw a bar on


class Terminated(KeyboardInterrupt):
    """SIGTERM, which is to end a run as Ctrl-C does."""


@click.command()
@click.argument("table")
@click.option("--model", required=True, help="fraud, fraud@challenger or fraud/3.")
@click.option("--key", required=True, multiple=True, metavar="COLUMN", help="What identifies a row. Repeatable.")
@click.option("--into", required=True, metavar="TABLE", help="The table to make, with the key as its primary key.")
@click.option("--column", "columns", multiple=True, metavar="COLUMN", help="Carried along into it. Repeatable.")
@click.option("--class", "class_", metavar="LABEL", help="The class that probability is of.")
@click.option("--on-error", type=click.Choice(["raise", "null"]), default="raise", show_default=True)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=default_jobs,
    show_default=f"the CPUs of this machine, at most {MOST_JOBS}",
    help="Connections that score at the same time.",
)
@json_option
@url_option
def score(
    table: str,
    model: str,
    key: tuple[str, ...],
    into: str,
    columns: tuple[str, ...],
    class_: str | None,
    on_error: str,
    jobs: int,
    as_json: bool,
    url: str | None,
) -> None:
    """Score all rows of TABLE, by one version and one snapshot, into a new table.

    TABLE may be partitioned, or a materialized view. A run that was interrupted, in whatever way, goes on when the same
    command is given again; the result is that of the rows as they are then.

    \b
    Examples:
      modeldb score transactions --model fraud --key id --into transactions_scored
      modeldb score visits --model churn@challenger --key customer --key day --into churn --column region --jobs 8
    """
    db = database(url)
    shown = Shown()
    try:
        with _terminable(), shown:
            done = db.score(
                table,
                model=model,
                key=key,
                into=into,
                jobs=jobs,
                columns=columns,
                class_=class_,
                on_error=on_error,
                progress=shown.update,
            )
    except KeyboardInterrupt as ended:
        said = f"Ended after {shown.rows:,} rows, which are kept. The same command goes on from there."
        console(stderr=True).print(Text(said), soft_wrap=True)
        sys.exit(128 + (signal.SIGTERM if isinstance(ended, Terminated) else signal.SIGINT))
    if as_json:
        print_json({**asdict(done), "rows_per_second": done.rows_per_second})
        return
    begun = f", {done.scored:,} of them now" if done.resumed else ""
    say(
        f"{done.target}: {done.rows:,} rows{begun} by {done.pinned} in {done.seconds:.1f} s, "
        f"{done.rows_per_second:,.0f} rows/s"
    )


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise as Ctrl-C does, so that the server's part is ended too."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Shown:
    """What a run tells, on stderr: a bar on a terminal, elsewhere a line every few seconds."""

    def __init__(self) -> None:
        self.rows = 0
        self._line = LINE_SECONDS
        self._console = console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows  {task.fields[speed]:,.0f} rows/s"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("preparing", total=None, rows=0, speed=0.0)

    def __enter__(self) -> Shown:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def update(self, now: Progress) -> None:
        self.rows = now.rows
        if now.note:
            self._console.print(Text(now.note), soft_wrap=True)
        self._bar.update(
            self._task,
            description=now.phase,
            completed=now.blocks,
            total=now.total or None,
            rows=now.rows,
            speed=now.rows_per_second,
        )
        if self._bar.disable and now.seconds >= self._line:
            self._line = now.seconds + LINE_SECONDS
            self._console.print(Text(_line(now)), soft_wrap=True)


def _line(now: Progress) -> str:
    if not now.blocks:
        return now.phase
    left = now.seconds * (now.total - now.blocks) / now.blocks
    return (
        f"{now.phase}: {now.blocks / now.total:.0%}, {now.rows:,} rows, {now.rows_per_second:,.0f} rows/s, "
        f"{left:.0f} s left"
    )


COMMANDS = (score,)
