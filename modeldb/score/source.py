"""What is scored: a table, its partitions, a materialized view; and how it is cut into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from modeldb.errors import InvalidSource
from modeldb.score.sessions import Session, one, rows

MOST_BLOCKS, LEAST_BLOCKS = 2000, 64  # 16 MB, and as much as makes beginning a transaction a trifle

_FIND = """
    SELECT c.oid, pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS name, c.relkind::text AS kind
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = pg_catalog.to_regclass(%s::text)"""
TREE = """
    WITH RECURSIVE tree AS (
        SELECT %s::oid AS oid
        UNION
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid
    )"""
_LEAVES = f"""{TREE}
    SELECT c.oid::regclass::text AS name, c.relkind::text AS kind, a.amname AS method,
        pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8 AS blocks
    FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE c.relkind <> 'p'"""
_KINDS = {"v": "a view", "f": "a foreign table", "i": "an index", "I": "an index", "S": "a sequence"}
_HINT = "Use create_predictions() or predict_batch(), which take any query, or score the table behind it."


@dataclass(frozen=True)
class Source:
    """A relation; ``name`` is qualified, and quoted where need be."""

    oid: int
    name: str
    kind: str


@dataclass(frozen=True)
class Part:
    """The rows in blocks first to last, last not included, of every leaf; ``blocks`` counts those that there are."""

    first: int
    last: int
    blocks: int

    @property
    def condition(self) -> str:
        return f"s.ctid >= '({self.first},0)'::pg_catalog.tid AND s.ctid < '({self.last},0)'::pg_catalog.tid"


def find(session: Session, table: str) -> Source:
    """The relation of a name by the search_path. Raises InvalidSource (MD503)."""
    try:
        found = rows(session, _FIND, [table])
    except psycopg.DatabaseError as error:  # the syntax of a name
        if not str(error.sqlstate).startswith(("42", "22", "0A")):
            raise
        raise InvalidSource(f"{table!r:.100} is not the name of a table: {error.diag.message_primary}") from error
    if not found:
        raise InvalidSource(f"there is no table {table!r:.100}", hint="Name it with its schema: public.transactions")
    source = Source(**found[0])
    if source.kind not in "rpm":
        kind = _KINDS.get(source.kind, "not a table")
        raise InvalidSource(f"{source.name} is {kind}; modeldb score takes tables and materialized views", hint=_HINT)
    return source


def lock(session: Session, source: Source) -> bool:
    """Keep the source from being rewritten until the end of a transaction, whose first statement this is.

    A table is locked before the snapshot is taken. A materialized view cannot be, so it may have been refreshed in
    between, with rows that are newer than the snapshot and seen all the same: false then.
    """
    if source.kind != "m":
        session.execute(f"LOCK TABLE {source.name} IN ACCESS SHARE MODE".encode())
        return True
    session.execute(f"SELECT FROM {source.name} LIMIT 0".encode())
    query = "SELECT relfilenode = pg_catalog.pg_relation_filenode(oid) FROM pg_catalog.pg_class WHERE oid = %s"
    return bool(one(session, query, [source.oid]))


def leaf_sizes(session: Session, source: Source) -> list[int]:
    """The blocks of each relation that holds rows of the source, after its snapshot. Raises InvalidSource (MD503)."""
    leaves = rows(session, _LEAVES, [source.oid])
    for leaf in leaves:
        _check_leaf(source, leaf)
    return [leaf["blocks"] for leaf in leaves]


def _check_leaf(source: Source, leaf: dict[str, Any]) -> None:
    if leaf["kind"] == "f":
        raise InvalidSource(f"{source.name} has a foreign table as partition: {leaf['name']}", hint=_HINT)
    if leaf["method"] != "heap":
        raise InvalidSource(f"{leaf['name']} is stored as {leaf['method']}; modeldb score reads heaps", hint=_HINT)


def parts(sizes: Sequence[int], jobs: int) -> Iterator[Part]:
    """Parts for leaves of these sizes; ever smaller ones, so that the jobs end at about the same time.

    A part is one range of block numbers in all leaves at once, which leaves the choice of leaves to the planner, and
    row security and privileges to the table that was named.
    """
    first, end, remaining = 0, max(sizes, default=0), sum(sizes)
    while first < end:
        alive = [size for size in sizes if size > first]
        wanted = max(LEAST_BLOCKS, min(MOST_BLOCKS, remaining // (2 * jobs)))
        last = min(end, first + max(1, wanted // len(alive)))
        part = Part(first, last, sum(min(size, last) - first for size in alive))
        yield part
        first, remaining = last, remaining - part.blocks
