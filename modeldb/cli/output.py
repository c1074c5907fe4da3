"""What the commands print: tables for people on a terminal, JSON for programs, errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modeldb.errors import ModeldbError

if TYPE_CHECKING:
    from sqlalchemy import URL

PIPE_WIDTH = 200  # columns of a table that is not printed on a terminal


def console(*, stderr: bool = False) -> Console:
    """A console on today's stdout or stderr, wide where nobody looks."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)


def print_json(value: Any) -> None:
    """A document, indented; times as ISO 8601, NaN as null."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(value, option=option, default=str).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """Rows under their columns; numbers to the right."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for position, name in enumerate(columns):
        numbers = all(isinstance(row[position], int | float | None) for row in rows)
        table.add_column(name, justify="right" if numbers and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one a line; what is empty is left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, "", [], {}):
            table.add_row(name, Text(shown(value)))
    console().print(table)


def shown(value: Any) -> str:
    """A value in a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, timedelta):
        return str(timedelta(seconds=round(value.total_seconds())))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={shown(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(shown(item) for item in value)
    return str(value)


def print_error(error: ModeldbError) -> None:
    """Message, DETAIL and HINT as psql shows them, with the SQLSTATE."""
    out = console(stderr=True)
    out.print(Text.assemble((f"ERROR {error.sqlstate}: ", "bold red"), (error.message, "red")), soft_wrap=True)
    for name, text in (("DETAIL", error.detail), ("HINT", error.hint)):
        if text:
            out.print(Text.assemble((f"{name}: ", "bold"), text), soft_wrap=True)


def say(text: str) -> None:
    """A line for people about what was done."""
    console().print(Text(text), soft_wrap=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows on a terminal that something goes on; on stderr, so that output stays clean."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status(Text(f"{what} ...")):
        yield


def address(url: URL) -> str:
    """A database's URL as libpq takes it, without its password."""
    return url.set(drivername="postgresql").render_as_string()


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
