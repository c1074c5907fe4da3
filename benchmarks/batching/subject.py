"""A table, a model that scores it, and the relations that each way of scoring writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg

POSITIVE = "1"  # the class whose probability is written, by every way
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Subject:
    """What is scored, by which model. The key is a column `id`. open: a connection to use instead of a new one each."""

    url: str
    table: str
    model: str
    open: psycopg.Connection | None = None

    def target(self, way: str) -> str:
        """The relation that a way of scoring writes."""
        return f"{self.table}_{self.model}_{way}"

    @contextmanager
    def on_one_connection(self) -> Iterator[Subject]:
        """The same, with a new connection in autocommit mode for everything."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield replace(self, open=connection)

    def run(self, statement: str, *values: object) -> tuple[object, ...] | None:
        """The first row of a statement, None where it has no rows; by a new connection unless one is open."""
        if self.open is None:
            with self.on_one_connection() as connected:
                return connected.run(statement, *values)
        cursor = self.open.execute(statement.encode(), values or None)
        return cursor.fetchone() if cursor.description else None

    def settle(self, *relations: str) -> None:
        """Leave nothing to do from what was measured before: dead rows, statistics, pages to be written."""
        for relation in relations:
            self.run(f"VACUUM ANALYZE {relation}")
        self.run("CHECKPOINT")

    def require_same(self, left: str, right: str) -> float:
        """The largest difference of two relations' probabilities. Raises ValueError unless all rows agree."""
        found = self.run(
            f"""SELECT count(a.id), count(b.id), count(*), coalesce(max(abs(a.probability - b.probability)), 'NaN'),
                       count(*) FILTER (WHERE a.prediction <> b.prediction AND abs(a.probability - 0.5) > {TOLERANCE})
                FROM {left} a FULL JOIN {right} b USING (id)"""
        )
        in_left, in_right, both, apart, labels = found
        if not (in_left == in_right == both > 0 and apart < TOLERANCE and labels == 0):
            raise ValueError(
                f"{left} and {right} differ: {in_left} and {in_right} rows, {both} keys, probabilities by up to "
                f"{apart}, {labels} predictions"
            )
        return float(apart)
