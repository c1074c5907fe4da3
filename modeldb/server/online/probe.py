"""What an expression or a query over a row ``new`` reads and means: PostgreSQL is asked, by views that are not kept.

The views are of an empty table with the columns of the one to be scored, so that what is read of ``new`` is told apart
from what else is read of the same table.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import plpy

from modeldb.errors import InvalidScorer
from modeldb.server import boundary
from modeldb.server.backend import ask, current_role
from modeldb.server.batch.owner import acting_as
from modeldb.server.batch.source import is_query, quote
from modeldb.server.online.scorer import SCHEMA
from modeldb.server.online.table import Column, Table, pinned

SCORE = "score"
"""What reject_if may call the score, whatever its column is called."""

_READ = """
    SELECT a.attname AS name FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE r.ev_class = $1::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $2::regclass
        AND a.attnum > 0
    ORDER BY a.attnum"""
_COLUMNS = """
    SELECT attname AS name, atttypid::int8 AS oid, format_type(atttypid, atttypmod) AS type,
        format_type(atttypid, -1) AS bare
    FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum"""
_END = re.compile(r"[\s;]+\Z")


@dataclass(frozen=True)
class Expression:
    """A condition on a row: as it was given, as PostgreSQL understood it, and the columns that it reads."""

    given: str
    text: str
    reads: list[str]


@dataclass(frozen=True)
class Enrichment:
    """A query for more columns of a row: as it was given, its columns, and those of the row that it reads."""

    given: str
    columns: dict[str, Column]
    reads: list[str]

    def function(self, name: str, table: Table) -> str:
        """The SQL that makes the function: from the columns that are read to one row of the query's, or of NULLs."""
        # The arguments have names: pg_dump cannot write the body of a function whose columns alone have.
        prefix = "read"
        while any(column.startswith(prefix) for column in self.columns):
            prefix += "_"
        taken = ", ".join(f"{prefix}{at} {table.columns[read].bare}" for at, read in enumerate(self.reads, 1))
        given = ", ".join(f"${at} AS {quote(read)}" for at, read in enumerate(self.reads, 1))
        columns = ", ".join(f"{quote(column.name)} {column.bare}" for column in self.columns.values())
        # A body that is parsed now keeps what its names mean, whatever is renamed and whoever calls.
        return f"""
            CREATE FUNCTION {name}({taken}) RETURNS TABLE ({columns}) LANGUAGE sql STABLE
            BEGIN ATOMIC
                SELECT e.* FROM (SELECT {given}) AS new LEFT JOIN LATERAL ({self.given}
                ) AS e ON true;
            END"""


class Probe:
    """Asks about what may be written over the rows of a table, in the names' meaning to the caller."""

    def __init__(self, table: Table, name: str) -> None:
        self.table, self.bare, self.name = table, name, f"{SCHEMA}.{name}"
        self.views = 0

    def condition(self, what: str, given: str, score: str | None = None) -> Expression:
        """A boolean expression over the columns; score: also over that number, by the alias of its FROM item.

        Raises InvalidScorer (MD603).
        """
        other = f"(SELECT NULL::pg_catalog.float8 AS score) AS {score}" if score else f"(SELECT) AS o{self.bare}"
        # A second FROM item lets PostgreSQL write all columns with their table: new.amount.
        text, reads = self._ask(what, f"SELECT 1 AS x FROM {self.name} AS new, {other} WHERE ({given}\n)")
        return Expression(given, text.partition("WHERE ")[2], reads)

    def query(self, given: str) -> Enrichment:
        """The enriching query. Raises InvalidScorer (MD603)."""
        if not is_query(given):
            raise InvalidScorer(
                f"enrich is {given!r:.100}, not a query", hint="SELECT ... FROM ... WHERE ... new.column"
            )
        given = _END.sub("", given)
        joined = f"{self.name} AS new LEFT JOIN LATERAL ({given}\n) AS e ON true"
        text, reads = self._ask("enrich", f"SELECT e.* FROM {joined}")
        if re.search(r"\bnew\.\*", text):  # the row as a whole
            reads = list(self.table.columns)
        return Enrichment(given, self._columns(), reads)

    def _ask(self, what: str, query: str) -> tuple[str, list[str]]:
        """Make a view of the query: how PostgreSQL writes it, and which columns of ``new`` it reads."""
        self.views += 1
        try:
            with plpy.subtransaction():
                plpy.execute(f"CREATE VIEW {self._view} AS {query}")
        except plpy.SPIError as error:
            raise _refused(what, error) from None
        with pinned(current_role()):
            [found] = ask("SELECT pg_get_viewdef($1::regclass) AS text", ["text"], [self._view])
            reads = [row["name"] for row in ask(_READ, ["text", "text"], [self._view, self.name])]
        return self._named_new(found["text"].rstrip(";")), reads

    def _named_new(self, text: str) -> str:
        """A query with ``new`` for the name that PostgreSQL gives to the row: rules before version 16 have a NEW."""
        row = text.partition(f"{self.name} ")[2]
        alias = (re.match(r"\w+", row) or ["new"])[0]
        pattern = rf"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b{alias}\."""
        return re.sub(pattern, lambda found: "new." if found[0] == f"{alias}." else found[0], text)

    @property
    def _view(self) -> str:
        return f"{self.name}_{self.views}"

    def _columns(self) -> dict[str, Column]:
        with pinned(current_role()):
            return {row["name"]: Column(**row) for row in ask(_COLUMNS, ["text"], [self._view])}


def _refused(what: str, error: Any) -> Any:
    """What is wrong with an expression or a query, if it is that; anything else as it is."""
    state, message, detail, hint = boundary.parts(error)
    if state is None or not state.startswith("42") or state == "42501":
        return error
    if state == "42702" and '"score"' in message:
        hint = "The table has a column score, too: write the name of the column that the score is written to."
    said = hint or "It is written over the columns of the table; a query reads them as new.column."
    return InvalidScorer(f"{what} cannot be understood: {message}", detail=detail, hint=said)


@contextmanager
def probing(table: Table, added: dict[str, str]) -> Iterator[Probe]:
    """A probe of a table, as its owner. added: names and types of columns that it is yet to have."""
    name = f"probe_{secrets.token_hex(8)}"
    with acting_as(table.owner):
        plpy.execute(f"CREATE TABLE {SCHEMA}.{name} (LIKE {table.name})")
        for column, kind in added.items():
            plpy.execute(f"ALTER TABLE {SCHEMA}.{name} ADD COLUMN {quote(column)} {kind}")
        probe = Probe(table, name)
        yield probe
        for view in range(1, probe.views + 1):
            plpy.execute(f"DROP VIEW {SCHEMA}.{name}_{view}")
        plpy.execute(f"DROP TABLE {SCHEMA}.{name}")
