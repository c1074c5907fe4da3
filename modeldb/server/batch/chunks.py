"""A source, read some thousand rows at a time by one cursor: constant memory, whatever its size.

FETCH gives rows; an aggregate over them gives one value per column, which is all that reaches Python. What is carried
along to the result (keys and other columns) stays text, an array literal that Python does not look into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plpy

from modeldb.server import values
from modeldb.server.backend import ask, refuse_parallel
from modeldb.server.batch.binding import Numbers, Part
from modeldb.server.batch.source import Column

MOST_ROWS, LEAST_ROWS, VALUES, BYTES = 5000, 100, 150_000, 4_000_000


@dataclass
class Chunk:
    """n rows: array literals of the columns that are carried along, the inputs, and the hashes of the features."""

    rows: int
    kept: list[str]
    filled: list[int]
    parts: list[Part]
    hashes: str | None


def chunk_rows(features: int) -> int:
    """So many rows that the values of a chunk are some hundred thousand, or a megabyte."""
    return max(LEAST_ROWS, min(MOST_ROWS, VALUES // max(features, 1)))


def next_rows(most: int, rows: int, chunk: Chunk) -> int:
    """The rows of the chunk after one that was to have so many: fewer than most where texts are long.

    It grows by steps, as what comes next may be longer than what came before.
    """
    size = sum(map(len, chunk.kept)) + sum(part.size for part in chunk.parts)
    return max(1, min(most, 4 * rows, BYTES * chunk.rows // max(size, 1)))


def read(source: str, kept: Sequence[Column], readers: Sequence[Any], hashed: Sequence[Column]) -> Iterator[Chunk]:
    """The rows of a source in chunks. ``hashed``: the columns to hash; none: no hashes."""
    refuse_parallel()
    plan, query = _statements(kept, readers, hashed)
    cursor = ask("SELECT modeldb._open($1) AS name", ["text"], [f"SELECT {query} FROM {source} AS s"])[0]["name"]
    most = chunk_rows(sum(len(reader.features) for reader in readers))
    size = most if all(values.is_number(column.oid) for column in kept) and _numeric(readers) else LEAST_ROWS
    while True:
        row = plpy.execute(plan, [cursor, size])[0]
        if row["n"] < size:
            break
        chunk = _chunk(row, len(kept), readers)
        size = next_rows(most, size, chunk)
        yield chunk
    if row["n"]:
        yield _chunk(row, len(kept), readers)
    # Not in a finally clause: where the statement wants no more rows, the generator is closed at a time when plpy must
    # not be called. Then the transaction's end closes the cursor.
    ask("SELECT modeldb._close($1)", ["refcursor"], [cursor])


def _numeric(readers: Sequence[Any]) -> bool:
    """Whether the rows' sizes are known: there are no texts among the features."""
    return all(isinstance(reader, Numbers) for reader in readers)


def features_hash(columns: Sequence[Column]) -> str:
    """SQL for a 64-bit hash of what a model reads of a row of s.

    Texts that a type or a collation takes for equal, such as citext's, differ to a model.
    """
    fields = [f"s.{c.quoted}" + ("" if values.is_number(c.oid) else '::text COLLATE "C"') for c in columns]
    return f"pg_catalog.hash_record_extended(ROW({', '.join(fields)}), 0)"


def _statements(kept: Sequence[Column], readers: Sequence[Any], hashed: Sequence[Column]) -> tuple[Any, str]:
    """The plan that fetches a chunk and makes one value of each of its parts; the columns of the query it fetches from.

    The values: n; kept0, filled0, ... for what is carried along; part0, ... for the inputs; hashes.
    """
    fields: list[tuple[str, str]] = []
    parts = ["pg_catalog.count(*) AS n"]
    for position, column in enumerate(kept):
        kind, cast = (column.bare_type, "") if column.collects else ("text", "::text")
        name = _field(fields, f"s.{column.quoted}{cast}", kind)
        parts.append(f"pg_catalog.array_agg({name})::text AS kept{position}")
        parts.append(f"pg_catalog.count({name}) AS filled{position}")
    for position, reader in enumerate(readers):
        names = [_field(fields, *field) for field in reader.fields]
        parts.append(f"{reader.collected(names)} AS part{position}")
    hashes = _field(fields, features_hash(hashed), "int8") if hashed else None
    parts.append(f"pg_catalog.array_agg({hashes})::text AS hashes" if hashes else "NULL::text AS hashes")
    typed = ", ".join(f"c{position} {kind}" for position, (_, kind) in enumerate(fields))
    plan = f"SELECT {', '.join(parts)} FROM modeldb._next($1, $2) AS fetched ({typed})"
    query = ", ".join(f"{expression} AS c{position}" for position, (expression, _) in enumerate(fields))
    return plpy.prepare(plan, ["refcursor", "integer"]), query


def _field(fields: list[tuple[str, str]], expression: str, kind: str) -> str:
    """Add a column to a query; its name."""
    fields.append((expression, kind))
    return f"c{len(fields) - 1}"


def _chunk(row: Any, kept: int, readers: Sequence[Any]) -> Chunk:
    return Chunk(
        rows=row["n"],
        kept=[row[f"kept{position}"] for position in range(kept)],
        filled=[row[f"filled{position}"] for position in range(kept)],
        parts=[reader.read(row[f"part{position}"], row["n"]) for position, reader in enumerate(readers)],
        hashes=row["hashes"],
    )
