"""The table that tests of db.score() score: what is right of it, and runs that end early."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

import modeldb
from modeldb.score.task import Progress
from support.answers import answer

ROWS = 5000
POINTS = f"""
    CREATE TABLE points (id int, name text, day date, a float8, b float8, note text) WITH (fillfactor = 20);
    INSERT INTO points
    SELECT i, 'p' || i, date '2024-01-01' + i % 7, i, i % 10, 'n' FROM generate_series(1, {ROWS}) AS i
"""
RIGHT = "SELECT id, 2 * a + b FROM points"


def differing(sql: psycopg.Connection, target: str, wanted: str) -> int:
    """How many rows of a table and of a query are not the other's."""
    more, less = f"TABLE {target} EXCEPT ALL ({wanted})", f"({wanted}) EXCEPT ALL TABLE {target}"
    return int(answer(sql, f"SELECT count(*) FROM (({more}) UNION ALL ({less})) AS d"))


def as_role(db: modeldb.Database, role: str) -> modeldb.Database:
    """The same database, as a role sees it."""
    return modeldb.connect(create_engine(db.engine.url, connect_args={"options": f"-c role={role}"}))


class Interrupt:
    """Ends a run like Ctrl-C when so many parts are done."""

    def __init__(self, parts: int = 3) -> None:
        self.parts = parts

    def __call__(self, now: Progress) -> None:
        self.parts -= now.blocks > 0
        if self.parts == 0:
            raise KeyboardInterrupt


def interrupted(db: modeldb.Database, **changes: Any) -> None:
    """A run of points into scored that ends early; what it scored stays."""
    arguments: dict[str, Any] = {"model": "m", "key": "id", "into": "scored", "jobs": 2, **changes}
    with pytest.raises(KeyboardInterrupt):
        db.score("points", progress=Interrupt(), **arguments)
