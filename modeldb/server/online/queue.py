"""The queue of an asynchronous scorer: what attach_scorer() makes for it, and detach_scorer() drops."""

from __future__ import annotations

from typing import Any

import plpy

from modeldb.server.batch.owner import acting_as
from modeldb.server.online.scorer import SCHEMA, TableScorer, load


def make(scorer: TableScorer) -> None:
    """Make the queue, the trigger function ``scorer.function`` and the triggers that enqueue keys.

    Called by attach_scorer() with the rights of the table's owner (and nobody's search_path: every name has to be
    qualified), after the row of modeldb.scorer was written, the target columns were added, the function of enrich was
    made, and the key was found to be columns of the table. The trigger function has to be SECURITY DEFINER and nobody
    else's to execute: REVOKE ALL ... FROM PUBLIC.
    """
    raise NotImplementedError(scorer.name)


def drop(scorer: TableScorer) -> None:
    """Drop the queue. Called by detach_scorer() with the rights of modeldb_owner, whose schema it is in.

    The triggers, the trigger function and the function of enrich are gone by then.
    """
    raise NotImplementedError(scorer.name)


def queue_state(scorer: int) -> dict[str, Any]:
    """The body of _queue_state(): {"queued", "oldest_waiting"}.

    As the owner, who may have put code into the queue's indexes and policies that a query of it runs.
    """
    owner = load(scorer).owner
    with acting_as(owner):
        query = f"""SELECT count(*) AS queued, (clock_timestamp() - min(q.queue_time))::text AS oldest_waiting
                    FROM {SCHEMA}.queue_{scorer} AS q"""
        return dict(plpy.execute(query)[0])
