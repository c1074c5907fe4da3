"""The other scorers of a table: two that write one column, and such as read what another one writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modeldb.errors import ScorerConflict
from modeldb.server.backend import ask
from modeldb.server.batch.source import literal
from modeldb.server.online.table import Table, pinned

_OTHERS = """
    SELECT s.relation::regclass::text AS "table", s."into", s.mode, s.reads,
        array_remove(ARRAY[s."into", s.label, s.model_version, s.scored_at, s.error], NULL) AS targets
    FROM modeldb.scorer s
    WHERE s.relation = $1::regclass OR s.relation IN (SELECT relid FROM pg_partition_ancestors($1::regclass))
        OR s.relation IN (SELECT relid FROM pg_partition_tree($1::regclass))
    ORDER BY s.id"""


@dataclass(frozen=True)
class Neighbour:
    """Another scorer of the rows: which columns it reads and writes."""

    table: str
    into: str
    mode: str
    reads: list[str]
    targets: list[str]

    @property
    def detaching(self) -> str:
        """The call that detaches it."""
        return f"detach_scorer({literal(self.table)}, {literal(self.into)})"


def beside(table: Table) -> list[Neighbour]:
    """The scorers that the table has, and its partitions and what it is a partition of, as its owner."""
    with pinned(table.owner):
        return [Neighbour(**row) for row in ask(_OTHERS, ["oid"], [table.oid])]


def check_free(table: Table, targets: Iterable[str], others: Sequence[Neighbour]) -> None:
    """Raise ScorerConflict (MD602) when another scorer writes one of the columns."""
    for other in others:
        if taken := [name for name in targets if name in other.targets]:
            raise ScorerConflict(
                f"{table.name} has a scorer that writes the column {taken[0]!r} already",
                hint=f"Detach it first: SELECT {other.detaching}.",
            )


def problems(mode: str, reads: Sequence[str], targets: Iterable[str], others: Sequence[Neighbour]) -> list[str]:
    """What would have the scores of one be of what another one wrote before.

    Scorers run in the order in which they were attached, asynchronous ones after the statement.
    """
    wrong, written = [], set(targets)
    for other in others:
        if own := [name for name in other.reads if name in written]:
            wrong.append(
                f"the scorer into {other.into!r} of {other.table} reads {', '.join(map(repr, own))} before it would be "
                f"written: {other.detaching}, and attach it after this one"
            )
        if mode == "sync" and other.mode == "async" and (late := [name for name in reads if name in other.targets]):
            wrong.append(
                f"{', '.join(map(repr, late))} is written by an asynchronous scorer, after the statement: take "
                "mode => 'async' for this one, too"
            )
    return wrong


def depended_on(reads: Sequence[str], others: Sequence[Neighbour]) -> tuple[str, ...]:
    """The columns that the score depends on, with those that the scores depend on which it is made of."""
    found = dict.fromkeys(reads)
    for other in reversed(others):  # none reads what a later one writes
        if any(name in found for name in other.targets):
            found |= dict.fromkeys(other.reads)
    return tuple(found)
