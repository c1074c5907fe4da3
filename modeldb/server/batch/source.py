"""What is scored: a relation or a query, its columns, and the SQL that names them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import plpy

from modeldb.errors import InvalidSource
from modeldb.server.backend import ask, refuse_parallel

_COMMENT = r"--[^\n]*|/\*.*?\*/"
_QUERY = re.compile(rf"(?:\s|{_COMMENT})*(?:\(|(?:select|with|values|table)\b)", re.IGNORECASE | re.DOTALL)
_END = re.compile(r"[\s;]+\Z")
_RELATION = """
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
        c.relpersistence OPERATOR(pg_catalog.=) 't' AS temporary
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)"""
_TYPE = """
    SELECT pg_catalog.format_type(oid, $2) AS full_name, pg_catalog.format_type(oid, -1) AS name,
        typarray OPERATOR(pg_catalog.<>) 0 AND typcategory OPERATOR(pg_catalog.<>) 'A' AS collects
    FROM pg_catalog.pg_type WHERE oid OPERATOR(pg_catalog.=) $1"""

_COLLATIONS = """
    SELECT a.attname AS name, pg_catalog.format('%I.%I', n.nspname, c.collname) AS collation
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
    JOIN pg_catalog.pg_collation c ON c.oid OPERATOR(pg_catalog.=) a.attcollation
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.collnamespace
    WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)
        AND a.attcollation OPERATOR(pg_catalog.<>) t.typcollation"""


@dataclass(frozen=True)
class Column:
    """A column of a source. ``name`` is unquoted; ``type`` as SQL writes it, with its modifier, ``bare_type`` without.

    ``collects``: array_agg() makes an array of the type, which unnest() takes apart again (not so arrays of arrays).
    ``collation``: where it is known and not the type's own.
    """

    name: str
    oid: int
    type: str
    bare_type: str
    collects: bool
    collation: str | None = None

    @property
    def quoted(self) -> str:
        return quote(self.name)


def quote(name: str) -> str:
    """An SQL identifier."""
    return str(plpy.quote_ident(name))


def literal(value: str | None) -> str:
    """An SQL literal, or NULL."""
    return str(plpy.quote_nullable(value))


def is_query(text: str) -> bool:
    """Whether a text is a query; else it is to be the name of a relation."""
    return _QUERY.match(text) is not None


def relation(name: str) -> dict[str, Any] | None:
    """{"name": qualified and quoted, "temporary": whether it goes with the session} of a relation, or None."""
    found = ask(_RELATION, ["text"], [name])
    return dict(found[0]) if found else None


def resolve(text: str | None) -> str:
    """What to write after FROM for a table, a view or a query. Raises InvalidSource (MD503)."""
    if text is None:
        raise InvalidSource("the source is NULL")
    if is_query(text):
        return f"({_END.sub('', text)}\n)"  # the last line may end in a comment
    try:
        found = relation(text)
    except plpy.spiexceptions.InsufficientPrivilege:
        raise
    except plpy.SPIError as error:  # no name at all
        raise InvalidSource(f"{text!r:.100} is neither the name of a table nor a query: {error}") from None
    if found is None:
        raise InvalidSource(
            f"there is no table or view {text!r:.100}",
            hint="Name it with its schema, or give a query that begins with SELECT.",
        )
    return str(found["name"])


def columns(source: str) -> dict[str, Column]:
    """The columns of what ``resolve`` gave, by name, in order. Raises InvalidSource (MD503)."""
    refuse_parallel()
    found = plpy.execute(f"SELECT * FROM {source} AS s LIMIT 0")
    names = found.colnames()
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidSource(
            f"the source has several columns named {', '.join(repeated)}", hint="Name each column of it, with AS."
        )
    parts = zip(names, found.coltypes(), found.coltypmods(), strict=True)
    return {name: _column(name, oid, modifier) for name, oid, modifier in parts}


def _column(name: str, oid: int, modifier: int) -> Column:
    [row] = ask(_TYPE, ["oid", "integer"], [oid, modifier])
    return Column(name, oid, row["full_name"], row["name"], row["collects"])


def pick(known: dict[str, Column], names: list[str], what: str) -> list[Column]:
    """The columns of these names. Raises InvalidSource (MD503)."""
    if lacking := [name for name in names if name not in known]:
        raise InvalidSource(
            f"the source has no column {', '.join(map(repr, lacking))}, which is named in {what}",
            detail=f"It has: {', '.join(list(known)[:50])}.",
            hint="Names of columns are written as they are stored: mostly in lower case, and without quotes.",
        )
    return [known[name] for name in names]


def collated(found: list[Column], relation: str) -> list[Column]:
    """The columns with the collations that they have in a relation: by those, two values of a key may be the same."""
    collations = {row["name"]: row["collation"] for row in ask(_COLLATIONS, ["text"], [relation])}
    return [replace(column, collation=collations.get(column.name)) for column in found]
