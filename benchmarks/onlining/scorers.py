"""attach_scorer() and detach_scorer(), as SQL."""

from __future__ import annotations

import psycopg

from onlining import tables

ATTACH = """
SELECT modeldb.attach_scorer("table" => %s, model => %s, "into" => 'score', mode => %s, class => %s)
"""


def attach(connection: psycopg.Connection, table: str, mode: str, *, class_: str | None = tables.POSITIVE) -> None:
    """Score a table's new rows into its column score: their predictions, or the probability of a class."""
    connection.execute(ATTACH.encode(), [table, tables.MODEL, mode, class_])


def detach(connection: psycopg.Connection, table: str) -> None:
    connection.execute("SELECT modeldb.detach_scorer(%s)", [table])
