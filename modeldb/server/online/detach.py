"""detach_scorer(): the triggers go, with what they call; the columns and what is in them stay."""

from __future__ import annotations

import plpy

from modeldb.errors import UnknownScorer
from modeldb.server.backend import ask, current_role, refuse_parallel
from modeldb.server.batch.owner import check_unrestricted
from modeldb.server.batch.source import quote
from modeldb.server.online import queue, table
from modeldb.server.online.making import drop_functions, registry_owner
from modeldb.server.online.scorer import TableScorer, load
from modeldb.server.online.table import pinned

_SCORERS = """SELECT s.id, s."into" FROM modeldb.scorer s WHERE s.relation = $1::regclass ORDER BY s."into" """
_TRIGGERS = """
    SELECT t.tgname AS name FROM pg_trigger t
    WHERE t.tgrelid = $1 AND t.tgparentid = 0 AND t.tgname LIKE $2"""


def detach_scorer(name: str, into: str | None) -> None:
    """The body of _detach_scorer(). Raises UnknownScorer (MD601) and MissingPrivilege (MD907)."""
    refuse_parallel()
    check_unrestricted()
    oid = table.find(name)
    with pinned(current_role()):
        found = table.read(oid, attaching=False)
        scorer = load(_only(oid, found.name, into))
    with pinned(found.owner):
        plpy.execute(f"LOCK TABLE {found.name} IN SHARE ROW EXCLUSIVE MODE")
        for trigger in _triggers(scorer):
            plpy.execute(f"DROP TRIGGER {quote(trigger)} ON {found.name}")
    with pinned(registry_owner()):
        drop_functions(scorer.id)
        ask("DELETE FROM modeldb.scorer WHERE id = $1", ["integer"], [scorer.id])
        if scorer.mode == "async":
            queue.drop(scorer.id)


def _only(oid: int, name: str, into: str | None) -> int:
    """The id of the scorer that is meant: the table's only one where no column is named. Raises UnknownScorer."""
    scorers = {row["into"]: int(row["id"]) for row in ask(_SCORERS, ["oid"], [oid])}
    if not scorers:
        raise UnknownScorer(f"{name} has no scorer")
    if into is None and len(scorers) == 1:
        return next(iter(scorers.values()))
    if into not in scorers:
        which = f"has no scorer into {into!r}" if into is not None else f"has {len(scorers)} scorers"
        raise UnknownScorer(f"{name} {which}", hint=f"Its scorers are into {', '.join(map(repr, scorers))}.")
    return scorers[into]


def _triggers(scorer: TableScorer) -> list[str]:
    """The names of the scorer's triggers that there are."""
    like = f"zz\\_modeldb\\_{scorer.id:05}\\_%"
    return [row["name"] for row in ask(_TRIGGERS, ["oid", "text"], [scorer.relation, like])]
