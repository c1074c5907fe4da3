"""Incremental predictions: a table that is brought up to date instead of a materialized view that is made anew.

Which rows may have changed is told by the source's changed_at column: everything from ``complete_until`` of the run
before on. That time lies before the beginning of every transaction that was at work then, because a row shows the time
at which its transaction wrote it or began, not the time of its commit. Of those rows the ones are scored whose
features have another hash than the stored one. Rows that were deleted are looked for when the numbers of rows differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plpy

from modeldb.errors import InvalidArgument, InvalidSource
from modeldb.server.batch import binding, chunks, scoring, source, statements
from modeldb.server.batch.source import Column, literal, quote
from modeldb.server.batch.stored import Predictions, equality
from modeldb.signature import Signature

OUTPUTS = list(statements.ARRAYS)
MARGINS = {"timestamp with time zone": "0", "timestamp without time zone": "26 hours", "date": "50 hours"}
"""What is taken off the time, by the type of changed_at: those without a time zone may be of any."""

_COMPLETE_UNTIL = """
    SELECT (least(now(), min(a.xact_start)) - interval '10 seconds')::text AS time,
        current_setting('transaction_isolation') = 'read committed'
            AND pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
            AND NOT EXISTS (SELECT FROM pg_prepared_xacts p WHERE p.database = current_database())
            AND bool_or(a.state = 'disabled') IS NOT TRUE AS known
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.backend_type <> 'autovacuum worker'"""


def complete_until(before: str | None) -> str | None:
    """The time before which no row will appear any more, to be asked for before the rows are read.

    The margin is for transactions that have begun and are not shown yet. Of prepared transactions and of sessions
    without track_activities nobody knows when they began, and in REPEATABLE READ the snapshot is older than the
    question: then the time of the run before stays.
    """
    [row] = plpy.execute(_COMPLETE_UNTIL)
    return row["time"] if row["known"] else before


def check_changed_at(column: Column) -> None:
    """Raise InvalidArgument (MD108) unless the column is of a type that tells when a row was changed."""
    if column.bare_type not in MARGINS:
        raise InvalidArgument(
            f"changed_at is the column {column.name!r} of type {column.type}; {', '.join(MARGINS)} can be used"
        )


class Update:
    """One run over incremental predictions, as their owner."""

    def __init__(self, predictions: Predictions, signature: Signature, version: int) -> None:
        self.predictions = predictions
        known = source.columns(predictions.source)
        self.kept = source.pick(known, predictions.kept, "the key or the columns")
        self.hash = chunks.features_hash(binding.bound_columns(signature, list(known.values())))
        self.changed_at = known.get(predictions.changed_at or "")
        self.model = f"{predictions.model_name}/{version}"
        self.equality = equality(predictions)

    def run(self, *, full: bool) -> int:
        """Bring the table up to date; the number of rows it has then. full: score every row again."""
        if self.predictions.rows is None:
            return self._fill()
        since = None if full else self.predictions.complete_until
        found = self._apply(self._changed(since, full), self.predictions.rows, since)
        if found["source"] != found["stored"] and since is not None:
            # Rows came with a changed_at of long ago, as a reload brings them: compare all of them.
            found = self._apply(self._changed(None, full), found["stored"], None)
        if found["source"] != found["stored"]:
            return self._count(found["source"])
        return int(found["stored"])

    def _count(self, rows: int) -> int:
        """The number of rows in the table, when it is not what was expected. Raises InvalidSource (MD503)."""
        p = self.predictions
        stored = int(plpy.execute(f"SELECT count(*) AS rows FROM {p.stored}")[0]["rows"])
        if stored < rows:
            raise InvalidSource(
                f"the key ({', '.join(p.key)}) is not unique in the source",
                detail=f"The source has {rows} rows, with {stored} different keys.",
                hint="Create the predictions with more columns as the key, or with a query that has one row for each.",
            )
        return stored  # somebody else had written to the table

    def _fill(self) -> int:
        """The first run: an index that is made at the end costs half of one that grows."""
        before = scoring.scored
        plpy.execute(f"INSERT INTO {self.predictions.stored} {self._scored(self.predictions.source)}")
        plpy.execute(f"ALTER TABLE {self.predictions.stored} ADD PRIMARY KEY ({_list(self.predictions.key)})")
        return scoring.scored - before

    def _scored(self, rows: str) -> str:
        """A SELECT of scored rows, in the order of the table's columns."""
        p = self.predictions
        task = scoring.Task(self.model, rows, p.kept, len(p.key), p.label, p.on_error, hashed=True)
        return statements.select(statements.call(task), self.kept, OUTPUTS, hashed=True)

    def _since(self, since: str | None) -> str:
        """A condition on s: it may have changed since then."""
        if since is None or self.changed_at is None:
            return "true"
        margin = MARGINS[self.changed_at.bare_type]
        column = f"s.{self.changed_at.quoted}"
        time = f"({literal(since)}::timestamptz - interval '{margin}')::{self.changed_at.bare_type}"
        return f"({column} >= {time} OR {column} IS NULL)"

    def _same_key(self, left: str, right: str) -> str:
        """SQL: two aliases have the same key."""
        names = [quote(name) for name in self.predictions.key]
        equal = [self.equality.get(name, "=") for name in self.predictions.key]
        return " AND ".join(f"{left}.{name} {sign} {right}.{name}" for name, sign in zip(names, equal, strict=True))

    def _changed(self, since: str | None, full: bool) -> str:
        """The rows of the source that are to be scored."""
        p = self.predictions
        if full:
            return p.source
        return f"""(SELECT s.* FROM {p.source} AS s LEFT JOIN {p.stored} AS t ON {self._same_key("s", "t")}
            WHERE {self._since(since)} AND t.features_hash IS DISTINCT FROM {self.hash})"""

    def _apply(self, rows: str, before: int, since: str | None) -> Any:
        """Score rows, carry columns over and delete what is gone, all by one snapshot: {"source", "stored"} rows."""
        p = self.predictions
        rest = [*p.columns, *OUTPUTS, "features_hash"]
        # A row can be updated once in a statement: when all are scored, their columns come along with that.
        carried = "" if rows == p.source else self._carried(since)
        query = f"""
            WITH fresh AS MATERIALIZED ({self._scored(rows)}),
            changed AS (
                UPDATE {p.stored} AS t SET {_assign(rest, "f")} FROM fresh AS f
                WHERE {self._same_key("f", "t")} AND {_differ(rest, "t", "f")}
            ), added AS (
                INSERT INTO {p.stored} ({_list([*p.key, *rest])}) SELECT f.* FROM fresh AS f
                WHERE NOT EXISTS (SELECT FROM {p.stored} AS t WHERE {self._same_key("f", "t")})
                RETURNING 1
            ), {carried} counted AS MATERIALIZED (
                SELECT (SELECT count(*) FROM {p.source}) AS source, {before} + (SELECT count(*) FROM added) AS stored
            ), gone AS (
                DELETE FROM {p.stored} AS t WHERE (SELECT source <> stored FROM counted)
                    AND NOT EXISTS (SELECT FROM {p.source} AS s WHERE {self._same_key("s", "t")})
                RETURNING 1
            )
            SELECT source, stored - (SELECT count(*) FROM gone) AS stored FROM counted"""
        return plpy.execute(query)[0]

    def _carried(self, since: str | None) -> str:
        """A part of WITH that brings the carried columns over where no feature changed; nothing without columns."""
        p = self.predictions
        if not p.columns:
            return ""
        return f"""carried AS (
                UPDATE {p.stored} AS t SET {_assign(p.columns, "s")} FROM {p.source} AS s
                WHERE {self._same_key("s", "t")} AND {self._since(since)} AND t.features_hash = {self.hash}
                    AND {_differ(p.columns, "t", "s")}
            ), """


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))


def _assign(names: Sequence[str], other: str) -> str:
    return ", ".join(f"{quote(name)} = {other}.{quote(name)}" for name in names)


def _differ(names: Sequence[str], left: str, right: str) -> str:
    """SQL: two rows differ in some of their columns, compared as they are stored: json has no equality."""
    sides = [f"ROW({', '.join(f'{side}.{quote(name)}' for name in names)})::record" for side in (left, right)]
    return f"NOT ({sides[0]} OPERATOR(pg_catalog.*=) {sides[1]})"
