"""A scorer as modeldb.scorer records it: which table it scores, what it reads of a row, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from modeldb.errors import UnknownScorer
from modeldb.server.backend import ask
from modeldb.server.batch.source import quote

SCHEMA = "modeldb_scorers"
"""Where trigger functions and queues are. They belong to the owners of the tables."""

_QUERY = """
    SELECT s.id, s.relation::pg_catalog.oid::pg_catalog.int8 AS relation, c.relowner::pg_catalog.int8 AS owner,
        pg_catalog.format('%I.%I', n.nspname, c.relname) AS "table",
        c.relkind OPERATOR(pg_catalog.=) 'p' AS partitioned,
        s."into", s.model, s.mode, s.class, s.columns, s.reads, s.enrich_reads, s.key, s.label, s.model_version,
        s.scored_at, s.error, s."where", s.on_error, s.reject_if, s.enrich
    FROM modeldb.scorer s
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) s.relation
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE s.id OPERATOR(pg_catalog.=) $1"""


@dataclass(frozen=True)
class Source:
    """Where a feature comes from: a column of the table, or one of enrich."""

    feature: str
    column: str
    enriched: bool = False

    @property
    def expression(self) -> str:
        """The feature's value over ``TableScorer.rows()``."""
        return f"{'e' if self.enriched else 'new'}.{quote(self.column)}"


@dataclass(frozen=True)
class TableScorer:
    """One row of modeldb.scorer, and the table that it scores as it is now called and owned.

    table: qualified and quoted. relation and owner: oids. All names of columns are unquoted.
    where and reject_if are expressions over a row ``new`` with qualified names; enrich is the text that was given, of
    which the function ``enrich_function`` was made.
    """

    id: int
    relation: int
    owner: int
    table: str
    partitioned: bool
    into: str
    model: str
    mode: str
    class_: str | None
    columns: tuple[Source, ...]
    """The features in the order in which they are handed over."""
    reads: tuple[str, ...]
    """Every column of the table that the score depends on."""
    enrich_reads: tuple[str, ...]
    key: tuple[str, ...]
    label: str | None
    model_version: str | None
    scored_at: str | None
    error: str | None
    where: str | None
    on_error: str
    reject_if: str | None
    enrich: str | None

    @property
    def name(self) -> str:
        """What people call it: the table and the column of the score."""
        return f"{self.table}.{quote(self.into)}"

    @property
    def function(self) -> str:
        """The trigger function, in both modes: its triggers are what makes the table scored."""
        return f"{SCHEMA}._{self.id}"

    @property
    def enrich_function(self) -> str:
        """The function made of enrich: from the columns ``enrich_reads`` of a row to one row of enrich's."""
        return f"{SCHEMA}._{self.id}_enrich"

    @property
    def row_function(self) -> str:
        """The function that gives the features of a row with enrich's, for a synchronous scorer."""
        return f"{SCHEMA}._{self.id}_row"

    @property
    def settings(self) -> str:
        """What the trigger function sets, so that where and reject_if mean the same whoever writes rows."""
        path = "SET search_path = pg_catalog, pg_temp"
        escapes = "\\" in f"{self.where}{self.reject_if}"
        return f"{path} SET standard_conforming_strings = on" if escapes else path

    @property
    def trigger(self) -> str:
        """A name for triggers, unquoted, to which up to six letters may be added.

        After the user's own, which may set what the scorer reads; several scorers of a table in the order in which
        they were attached.
        """
        return f"zz_modeldb_{self.id:05}_{self.into}".encode()[:57].decode(errors="ignore")

    def rows(self, table: str | None = None) -> str:
        """What to write after FROM for the rows ``new`` of the table (or of another FROM item) with the columns ``e``.

        ``e`` is there where enrich is; it has exactly one row for each of the table's.
        """
        new = f"{table or self.table} AS new"
        return f"{new} CROSS JOIN LATERAL {self.enriched('new')} AS e" if self.enrich else new

    def enriched(self, row: str) -> str:
        """The call of the function made of enrich, for a row of that name."""
        return f"{self.enrich_function}({', '.join(f'{row}.{quote(name)}' for name in self.enrich_reads)})"


def load(scorer: int) -> TableScorer:
    """The scorer of an id, as the current role may read modeldb.scorer. Raises UnknownScorer (MD601)."""
    found = ask(_QUERY, ["integer"], [scorer])
    if not found:
        raise UnknownScorer(f"there is no scorer {scorer}, or its table is gone")
    return _from_row(dict(found[0]))


def _from_row(row: dict[str, Any]) -> TableScorer:
    columns = tuple(
        Source(part["feature"], part["column"], bool(part.get("enriched"))) for part in orjson.loads(row["columns"])
    )
    names = {name: tuple(row[name]) for name in ("reads", "enrich_reads", "key")}
    return TableScorer(
        **{key: value for key, value in row.items() if key != "class"} | {"columns": columns} | names,
        class_=row["class"],
    )
