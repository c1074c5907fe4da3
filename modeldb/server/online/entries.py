"""The entries of a queue that one drain works on: taken with the rows that they mean, and settled when it is known how
those fared.

Nobody is waited for. An entry that another worker holds is passed over, and so is a row that somebody else has locked:
its entry is put off a little. What is locked here cannot change any more until the drain's transaction ends, so that
no score of older values comes over newer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldb.runtime import Array
from modeldb.server import arrays
from modeldb.server.backend import ask
from modeldb.server.batch.source import quote
from modeldb.server.online.places import Rows, integers, only, tid_array, tid_list
from modeldb.server.online.queue import key_names, queue_of
from modeldb.server.online.scorer import TableScorer

ATTEMPTS = 5
_FIRST_PAUSE = "interval '0.2 seconds'"  # before the second attempt; each further pause is three times as long

_EQUALITY = """
    SELECT a.attname AS name, format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS operator
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::int2[], i.indclass::oid[]) AS k (attnum, opclass)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    JOIN pg_opclass c ON c.oid = k.opclass
    JOIN pg_amop s ON s.amopfamily = c.opcfamily AND s.amoplefttype = c.opcintype
        AND s.amoprighttype = c.opcintype AND s.amopstrategy = 3
    JOIN pg_operator o ON o.oid = s.amopopr
    JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    ORDER BY i.indisprimary"""

# The rows are to be found by their index, whatever the statistics say: the queue is empty most of the time.
_BY_INDEX = """
    SELECT set_config(name, 'off', true) FROM unnest(ARRAY[
        'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_material', 'enable_memoize',
        'row_security']) AS name"""


class Entries:
    """Some entries, and ``rows``, each once though several entries may mean it."""

    def __init__(self, scorer: TableScorer, most: int) -> None:
        """Take at most so many entries that are due, the oldest first. To be called as the owner of the table."""
        self.scorer, self.queue = scorer, queue_of(scorer.id)
        ask(_BY_INDEX, [], [])
        [taken] = ask(self._taking(most), [], [])
        self.tids = tid_list(taken["entries"])
        self.ages: Array = arrays.read(taken["ages"], len(self.tids))[0] if self.tids else np.empty(0)
        """Seconds since each was enqueued."""
        self.attempts = integers(taken["attempts"])
        self._find_rows(integers(taken["positions"]) - 1, Rows.read(taken["tids"], taken["partitions"]))

    def __len__(self) -> int:
        return len(self.tids)

    def _taking(self, most: int) -> str:
        names, operators = key_names(self.scorer.key), self._equality()
        partition = "t.tableoid" if self.scorer.partitioned else "NULL::oid"
        same = " AND ".join(
            f"t.{quote(column)} {operators.get(column, '=')} k.{name}"
            for column, name in zip(self.scorer.key, names, strict=True)
        )
        return f"""
            WITH taken AS MATERIALIZED (
                SELECT row_number() OVER () AS position, e.*
                FROM (
                    SELECT q.ctid AS entry, {", ".join(names)}, q.queue_time, q.queue_attempts
                    FROM {self.queue} AS q WHERE q.queue_due <= statement_timestamp()
                    ORDER BY q.queue_due LIMIT {most:d} FOR UPDATE SKIP LOCKED
                ) AS e
            ), locked AS MATERIALIZED (
                SELECT k.position, t.ctid AS tid, {partition} AS partition
                FROM taken AS k JOIN {only(self.scorer)} AS t ON {same} FOR NO KEY UPDATE OF t SKIP LOCKED
            )
            SELECT * FROM (
                SELECT array_agg(entry)::text AS entries, array_agg(queue_attempts)::text AS attempts,
                    modeldb._memory(array_agg(date_part('epoch', clock_timestamp() - queue_time))) AS ages
                FROM taken
            ) AS a CROSS JOIN (
                SELECT array_agg(position)::text AS positions, array_agg(tid)::text AS tids,
                    array_agg(partition) FILTER (WHERE partition IS NOT NULL)::text AS partitions
                FROM locked
            ) AS b"""

    def _equality(self) -> dict[str, str]:
        """By column of the key, the operator of its index: not each type's is just "="."""
        return {row["name"]: row["operator"] for row in ask(_EQUALITY, ["oid"], [self.scorer.relation])}

    def _find_rows(self, positions: Array, rows: Rows) -> None:
        """positions: of the entries, from 0, that mean these rows; a row is there once for each entry."""
        places: list[Any] = list(zip(rows.tids, rows.partitions, strict=True)) if rows.partitions else rows.tids
        first: dict[Any, int] = {}
        numbers = [first.setdefault(place, len(first)) for place in places]
        self.row_of = np.full(len(self.tids), -1)
        """By entry: the position of its row in ``rows``, -1 for one that is gone or locked by somebody else."""
        self.row_of[positions] = numbers
        self.rows = rows.pick(np.unique(numbers, return_index=True)[1].tolist())

    # --- what becomes of them ---------------------------------------------------------------------------------------

    def settle(self, failed: dict[int, str], moved: set[int]) -> Settled:
        """Delete the entries of rows that are done and of rows that are gone; put off the others.

        failed: by position of a row, why it has no score. The entries whose last attempt that was are deleted, too.
        moved: positions of rows that were updated meanwhile, and are to be found anew.
        """
        wrong = np.isin(self.row_of, list(failed))
        lost = wrong & (self.attempts + 1 >= ATTEMPTS)
        lacking = (self.row_of < 0) | np.isin(self.row_of, list(moved))
        busy, gone = self._put_off(np.flatnonzero(lacking).tolist()) if lacking.any() else (0, [])
        self._retry(np.flatnonzero(wrong & ~lost).tolist(), failed)
        parked = self._park(np.flatnonzero(lost).tolist(), failed)
        done = np.flatnonzero(~wrong & ~lacking).tolist()
        self._delete([self.tids[at] for at in done])
        return Settled(int((wrong & ~lost).sum()), parked, busy, gone)

    def ages_of_scored(self, unsettled: Iterable[int]) -> Array:
        """Seconds since the entries were enqueued whose rows are settled: those that neither failed nor moved."""
        found: Array = self.ages[(self.row_of >= 0) & ~np.isin(self.row_of, list(unsettled))]
        return found

    def _put_off(self, lacking: Sequence[int]) -> tuple[int, list[str]]:
        """Put off the entries of rows that are there, and forget the others; how many are put off, the others' keys.

        For the longer the older the entry is, so that rows that are locked for hours are not looked at all the time.
        """
        names = key_names(self.scorer.key)
        same = " AND ".join(
            f"t.{quote(column)} {self._equality().get(column, '=')} q.{name}"
            for column, name in zip(self.scorer.key, names, strict=True)
        )
        tids = tid_array([self.tids[at] for at in lacking])
        waiting = f"""
            UPDATE {self.queue} AS q SET queue_due = clock_timestamp() + least(
                interval '1 second', greatest(interval '0.05 seconds', (clock_timestamp() - q.queue_time) / 5))
            WHERE q.ctid = ANY ($1::tid[]) AND EXISTS (SELECT FROM {only(self.scorer)} AS t WHERE {same})
            RETURNING 1"""
        busy = len(ask(waiting, ["text"], [tids]))
        key = ", ".join(f"q.{name}" for name in names)
        forgetting = f"""DELETE FROM {self.queue} AS q WHERE q.ctid = ANY ($1::tid[])
            RETURNING jsonb_build_array({key})::text AS key"""  # those put off are elsewhere by now
        gone = ask(forgetting, ["text"], [tids]) if busy < len(lacking) else []
        return busy, [row["key"] for row in gone]

    def _retry(self, again: Sequence[int], failed: dict[int, str]) -> None:
        if again:
            ask(
                f"""UPDATE {self.queue} AS q SET queue_attempts = q.queue_attempts + 1, queue_error = e.error,
                        queue_due = clock_timestamp() + {_FIRST_PAUSE} * 3 ^ q.queue_attempts
                    FROM unnest($1::tid[], $2) AS e (entry, error) WHERE q.ctid = e.entry""",
                ["text", "text[]"],
                [tid_array([self.tids[at] for at in again]), [failed[int(self.row_of[at])] for at in again]],
            )

    def _park(self, lost: Sequence[int], failed: dict[int, str]) -> list[Parked]:
        if not lost:
            return []
        names = ", ".join(f"q.{name}" for name in key_names(self.scorer.key))
        rows = ask(
            f"""DELETE FROM {self.queue} AS q USING unnest($1::tid[], $2) AS e (entry, error) WHERE q.ctid = e.entry
                RETURNING jsonb_build_array({names})::text AS key, e.error, q.queue_attempts + 1 AS attempts,
                    q.queue_time::text AS queued_at""",
            ["text", "text[]"],
            [tid_array([self.tids[at] for at in lost]), [failed[int(self.row_of[at])] for at in lost]],
        )
        return [Parked(**row) for row in rows]

    def _delete(self, tids: Sequence[str]) -> None:
        if tids:
            ask(f"DELETE FROM {self.queue} AS q WHERE q.ctid = ANY ($1::tid[])", ["text"], [tid_array(tids)])


@dataclass(frozen=True)
class Parked:
    """An entry that is given up: key is JSON, an array."""

    key: str
    error: str
    attempts: int
    queued_at: str


@dataclass(frozen=True)
class Settled:
    """How many entries are tried again; those given up; how many rows others have locked; the keys of rows gone."""

    retried: int
    parked: list[Parked]
    busy: int
    gone: list[str]


def requeue(scorer: TableScorer, keys: Sequence[str]) -> None:
    """Put keys into the queue, each a JSON array. To be called as the owner of the table."""
    queue, names = queue_of(scorer.id), key_names(scorer.key)
    parts = ", ".join(f"'{name}', k.key::jsonb -> {at}" for at, name in enumerate(names))
    ask(
        f"""INSERT INTO {queue} ({", ".join(names)}) SELECT {", ".join(f"r.{name}" for name in names)}
            FROM unnest($1) AS k (key), jsonb_populate_record(NULL::{queue}, jsonb_build_object({parts})) AS r""",
        ["text[]"],
        [list(keys)],
    )
