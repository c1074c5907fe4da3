"""The table that is to be scored, as the catalog has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import plpy

from modeldb.errors import InvalidScorer, MissingPrivilege
from modeldb.server.backend import ask, refuse_parallel
from modeldb.server.batch.owner import acting_as

_PIN = """
    SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
        pg_catalog.set_config('standard_conforming_strings', 'on', true)"""
_RELATION = """
    SELECT c.oid::int8 AS oid, c.relowner::int8 AS owner, pg_get_userbyid(c.relowner) AS owner_name,
        format('%I.%I', n.nspname, c.relname) AS name, n.nspname AS schema, c.relkind AS kind,
        c.relpersistence = 't' AS temporary, c.relispartition AS is_partition,
        pg_has_role(c.relowner, 'USAGE') AS owned, pg_has_role(c.relowner, 'modeldb_user', 'USAGE') AS owner_may
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = $1"""
_COLUMNS = """
    SELECT a.attname AS name, a.atttypid::int8 AS oid, format_type(a.atttypid, a.atttypmod) AS type,
        format_type(a.atttypid, -1) AS bare,
        a.attgenerated <> '' AS generated,
        a.attnum = ANY (p.partattrs::int2[]) IS TRUE AS partitions
    FROM pg_attribute a LEFT JOIN pg_partitioned_table p ON p.partrelid = a.attrelid
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_KEY = """
    SELECT a.attname AS name FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = $1 AND i.indisprimary AND k.position <= i.indnkeyatts ORDER BY k.position"""
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index"}


@dataclass(frozen=True)
class Column:
    """A column of a table. type: as SQL writes it, bare: without its modifier, such as the length of a text.

    partitions: it is part of the table's partition key.
    """

    name: str
    oid: int
    type: str
    bare: str
    generated: bool = False
    partitions: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its columns by name. name: qualified and quoted; owner: an oid."""

    oid: int
    owner: int
    name: str
    is_partition: bool
    columns: dict[str, Column]
    key: list[str]
    """The columns of the primary key."""


@contextmanager
def pinned(role: int) -> Iterator[None]:
    """Work as a role, while all names are PostgreSQL's own or qualified, whatever the caller's search_path is.

    And while a backslash in a text stands for itself.
    """
    with acting_as(role):
        ask(_PIN, [], [])
        yield


def find(name: str) -> int:
    """The oid of the relation that the caller means by a name. Raises InvalidScorer (MD603)."""
    try:
        [found] = ask("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.int8 AS oid", ["text"], [name])
    except plpy.spiexceptions.InsufficientPrivilege:
        raise
    except plpy.SPIError as error:
        raise InvalidScorer(f"{name!r:.100} is not the name of a table: {error}") from None
    if found["oid"] is None:
        raise InvalidScorer(f"there is no table {name!r:.100}", hint="Name it with its schema.")
    return int(found["oid"])


def read(oid: int, *, attaching: bool = True) -> Table:
    """A table that may have a scorer, of a role whose rights the current role has; and who may predict, if attaching.

    Raises InvalidScorer (MD603) and MissingPrivilege (MD907).
    """
    refuse_parallel()
    row: dict[str, Any] = ask(_RELATION, ["oid"], [oid])[0]
    if row["kind"] not in ("r", "p"):
        raise InvalidScorer(
            f"{row['name']} is {_KINDS.get(row['kind'], 'no table')}", hint="Attach the scorer to the table behind it."
        )
    if row["temporary"]:
        raise InvalidScorer(f"{row['name']} is temporary, and goes with the session")
    if row["schema"] in ("modeldb", "modeldb_scorers", "information_schema") or row["schema"].startswith("pg_"):
        raise InvalidScorer(f"{row['name']} is not a table of yours to be scored")
    if not row["owned"]:
        raise MissingPrivilege(
            f"the table {row['name']} is not yours",
            hint=f"Its owner {row['owner_name']} may, and members of that role.",
        )
    if attaching and not row["owner_may"]:
        raise MissingPrivilege(
            f"the owner of {row['name']}, {row['owner_name']}, may not predict, as whom its rows are scored",
            hint=f'GRANT modeldb_user TO "{row["owner_name"]}"',
        )
    columns = [Column(**found) for found in ask(_COLUMNS, ["oid"], [oid])]
    key = [found["name"] for found in ask(_KEY, ["oid"], [oid])]
    named = {column.name: column for column in columns}
    return Table(row["oid"], row["owner"], row["name"], row["is_partition"], named, key)
