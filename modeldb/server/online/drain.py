"""A drain: some entries of a queue, taken, scored, written and told of, in one transaction."""

from __future__ import annotations

import time
from typing import Any

import plpy

from modeldb.errors import InvalidScorer, MissingPrivilege, UnknownScorer
from modeldb.server import predict
from modeldb.server.backend import ask, refuse_parallel
from modeldb.server.batch.chunks import chunk_rows
from modeldb.server.batch.owner import acting_as, check_unrestricted
from modeldb.server.batch.source import quote
from modeldb.server.online import microbatch, record
from modeldb.server.online.entries import Entries, requeue
from modeldb.server.online.places import only
from modeldb.server.online.queue import key_names, queue_of
from modeldb.server.online.scorer import TableScorer, load

_MAY = """
    SELECT pg_has_role(modeldb._who(), $1, 'USAGE') OR $2 AND pg_has_role(modeldb._who(), 'modeldb_worker', 'USAGE')
        AS may, modeldb._who() AS who"""
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', '1s', true)"  # somebody who alters the table keeps no other waiting
_QUEUE_OWNER = "SELECT relowner::bigint AS owner FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'r'"


def drain(scorer: int, most: int) -> dict[str, int]:
    """The body of _drain(): what became of how many entries."""
    refuse_parallel()
    check_unrestricted()
    try:
        found = _locked(load(scorer))
    except UnknownScorer:  # detached since the caller looked, or the table dropped
        return _told(0)
    began = time.monotonic()
    outcome = microbatch.Outcome()
    with acting_as(found.owner):
        limit = min(most, chunk_rows(len(found.columns)))
        entries = Entries(found, limit)
    if not len(entries):
        return _told(0)
    with acting_as(found.owner):
        # What is deferred would run at the end of the transaction, with the worker's rights.
        plpy.execute("SET CONSTRAINTS ALL IMMEDIATE")
        ask(_LOCK_TIMEOUT, [], [])
        version = _process(found, entries, outcome)
        settled = entries.settle(outcome.failed, outcome.moved)
    scored = sum(len(part.keys) for part in outcome.scored)
    failed = len(outcome.failed) + outcome.unscored
    fine = [key for part in outcome.scored for key in part.keys]
    record.failures(found, settled.parked, [*fine, *outcome.excluded, *settled.gone])
    record.activity(found, entries.ages_of_scored({*outcome.failed, *outcome.moved}), failed, began)
    record.events(found, version, outcome.scored)
    counts = {"scored": scored, "failed": failed, "retried": settled.retried, "parked": len(settled.parked)}
    return _told(len(entries), **counts, busy=settled.busy, gone=len(settled.gone), more=len(entries) == limit)


def _told(taken: int, **counts: int) -> dict[str, int]:
    return (
        dict.fromkeys(("scored", "failed", "retried", "parked", "busy", "gone", "more"), 0) | counts | {"taken": taken}
    )


def _locked(scorer: TableScorer) -> TableScorer:
    """The scorer once its table is locked against being altered, and the scorer against being detached.

    The table first: whoever detaches the scorer locks that, too, before anything else.
    Raises MissingPrivilege (MD907), InvalidScorer (MD603), UnknownScorer (MD601).
    """
    _check_privilege(scorer, worker=True)
    with acting_as(scorer.owner):
        ask(_LOCK_TIMEOUT, [], [])
        plpy.execute(f"LOCK TABLE {only(scorer)} IN ROW EXCLUSIVE MODE")
    now = load(scorer.id)
    _check_queue(now)
    return now


def _check_privilege(scorer: TableScorer, *, worker: bool) -> None:
    """Raise MissingPrivilege (MD907) unless the caller has the rights of the table's owner, or is a worker."""
    [found] = ask(_MAY, ["oid", "boolean"], [scorer.owner, worker])
    if not found["may"]:
        raise MissingPrivilege(
            f"role {found['who']!r} may not have the rows of {scorer.name} scored",
            hint="The table's owner may, and the members of that role.",
        )


def _check_queue(scorer: TableScorer) -> None:
    """Raise InvalidScorer (MD603) unless there is a queue, of the table's owner: who owns one decides what it does."""
    found = ask(_QUEUE_OWNER, ["text"], [queue_of(scorer.id)])
    if not found or found[0]["owner"] != scorer.owner:
        raise InvalidScorer(
            f"the queue of {scorer.name} is gone, or has another owner than the table",
            hint="Detach the scorer, and attach it again.",
        )


def _process(scorer: TableScorer, entries: Entries, outcome: microbatch.Outcome) -> int:
    """Score the rows by the version that the model means now; which that is."""
    epoch: Any = ask("SELECT modeldb._epoch() AS epoch", [], [])[0]["epoch"]
    model, _ = predict.find(scorer.model, epoch)
    batches = microbatch.batches(scorer, model)
    if len(entries.rows):
        batches.process(entries.rows, outcome)
    return batches.version


def _of_the_callers(scorer: int) -> TableScorer:
    """A scorer whose table's owner the caller has the rights of. Raises MissingPrivilege, InvalidScorer."""
    refuse_parallel()
    check_unrestricted()
    found = load(scorer)
    _check_privilege(found, worker=False)
    _check_queue(found)
    return found


def queue_rows(scorer: int) -> int:
    """The body of queue_rows(): queue all rows of the table, whether they have a score or not; how many rows."""
    found = _of_the_callers(scorer)
    columns = ", ".join(f"new.{quote(column)}" for column in found.key)
    into = f"{queue_of(scorer)} ({', '.join(key_names(found.key))})"
    with acting_as(found.owner):
        return int(plpy.execute(f"INSERT INTO {into} SELECT {columns} FROM {only(found)} AS new").nrows())


def retry_failures(scorer: int) -> int:
    """The body of retry_failures(): queue what was given up once more; how many rows."""
    found = _of_the_callers(scorer)
    failed = ask("DELETE FROM modeldb.scorer_failures WHERE scorer = $1 RETURNING key::text", ["integer"], [scorer])
    with acting_as(found.owner):
        requeue(found, [row["key"] for row in failed])
    return len(failed)
