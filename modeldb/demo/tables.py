"""A session that answers as psql does: text of PostgreSQL's own, in tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modeldb.database import Database, translated

NUMBERS = {20, 21, 23, 26, 700, 701, 790, 1700}  # oids of the types that psql aligns to the right


@dataclass(frozen=True)
class Result:
    """What a statement gave: its status, and names of columns, which of them are numbers, and rows of texts if any."""

    status: str
    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]

    def __str__(self) -> str:
        return as_psql(self) if self.columns else self.status


class Session:
    """One connection in autocommit mode, so that BEGIN and COMMIT are the statements' own."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    @classmethod
    @contextmanager
    def of(cls, db: Database) -> Iterator[Session]:
        """A session in the database."""
        with translated(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield cls(connection.connection.driver_connection)

    def run(self, statement: str) -> Result:
        """Run a statement. Raises psycopg's errors."""
        return _result(self._driver.execute(statement).pgresult)


def _result(raw: Any) -> Result:
    positions = range(raw.nfields)
    rows = [[(raw.get_value(row, i) or b"").decode() for i in positions] for row in range(raw.ntuples)]
    columns = [raw.fname(i).decode() for i in positions]
    return Result(raw.command_status.decode(), columns, [raw.ftype(i) in NUMBERS for i in positions], rows)


def as_psql(result: Result) -> str:
    """A table as psql prints it."""
    cells = [[cell.split("\n") for cell in row] for row in result.rows]
    widths = [
        max([len(name), *(len(line) for row in cells for line in row[i])]) for i, name in enumerate(result.columns)
    ]
    lines = [
        "|".join(f" {name:^{width}} " for name, width in zip(result.columns, widths, strict=True)).rstrip(),
        "+".join("-" * (width + 2) for width in widths),
    ]
    for row in cells:
        lines += [_line(row, height, widths, result.numeric) for height in range(max(map(len, row)))]
    count = len(result.rows)
    return "\n".join([*lines, f"({count} row{'' if count == 1 else 's'})"])


def _line(row: list[list[str]], height: int, widths: list[int], numeric: list[bool]) -> str:
    """One line of a row whose cells may have several; psql marks with a plus what goes on."""
    parts = []
    for cell, width, number in zip(row, widths, numeric, strict=True):
        text = cell[height] if height < len(cell) else ""
        more = "+" if height + 1 < len(cell) else " "
        parts.append(f" {text:>{width}}{more}" if number else f" {text:<{width}}{more}")
    return "|".join(parts).rstrip()
