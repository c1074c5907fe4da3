"""The queue of an asynchronous scorer: what attach_scorer() makes for it, and detach_scorer() drops.

Writers put the keys of rows in, in their own transactions, and wait for nobody; workers take them out (drain.py). An
entry is due at queue_due: at once, or later when it is to be tried again. The table belongs to the owner of the
scored table, and only as that role it is read: whoever owns a table can put code into its policies and indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plpy

from modeldb.errors import InvalidScorer
from modeldb.server.batch.owner import acting_as
from modeldb.server.batch.source import quote
from modeldb.server.online.scorer import SCHEMA, TableScorer

_KEY_INDEX = """
    SELECT (SELECT relforcerowsecurity FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) $1) AS forced,
        EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid OPERATOR(pg_catalog.=) $1) AS inherits,
        EXISTS (
            SELECT FROM pg_catalog.pg_index i
            WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                AND i.indexprs IS NULL
                AND ARRAY(
                    SELECT a.attname::text FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnotnull
                        AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey[0 : i.indnkeyatts OPERATOR(pg_catalog.-) 1])
                    ORDER BY a.attname::text COLLATE "C")
                OPERATOR(pg_catalog.=) ARRAY(SELECT k FROM pg_catalog.unnest($2) AS k ORDER BY k COLLATE "C")
        ) AS is_unique"""


def queue_of(scorer: int) -> str:
    """The queue's table."""
    return f"{SCHEMA}.queue_{scorer}"


def key_names(key: Sequence[str]) -> list[str]:
    """The columns of a queue that hold the key: not of its own names, which might be those of the other columns."""
    return [f"key_{position}" for position in range(1, len(key) + 1)]


def make(scorer: TableScorer) -> None:
    """Make the queue, the trigger function ``scorer.function`` and the triggers that enqueue keys.

    Called by attach_scorer() with the rights of the table's owner (and nobody's search_path: every name has to be
    qualified), after the row of modeldb.scorer was written, the target columns were added, the function of enrich was
    made, and the key was found to be columns of the table. Raises InvalidScorer (MD603).
    """
    [found] = plpy.execute(plpy.prepare(_KEY_INDEX, ["oid", "text[]"]), [scorer.relation, list(scorer.key)])
    if not found["is_unique"]:
        raise InvalidScorer(
            f"({', '.join(scorer.key)}) is not the key of {scorer.table}: no unique index of just these columns, all "
            "NOT NULL",
            hint="An asynchronous scorer finds rows again by their key: name the columns of a unique index.",
        )
    if found["forced"]:
        raise InvalidScorer(
            f"{scorer.table} has row-level security that is forced upon its owner, as whom rows are scored",
            hint="Score it with mode => 'sync', or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.",
        )
    _make_table(scorer)
    _make_function(scorer)
    _make_triggers(scorer, by_row=scorer.partitioned or found["inherits"])


def _make_table(scorer: TableScorer) -> None:
    """The queue is emptied as fast as it fills: vacuum comes by what was deleted, and never takes the file away."""
    queue = queue_of(scorer.id)
    columns = zip(scorer.key, key_names(scorer.key), strict=True)
    selected = ", ".join(f"new.{quote(column)} AS {name}" for column, name in columns)
    plpy.execute(f"""
        CREATE TABLE {queue}
        WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0, vacuum_truncate = off)
        AS SELECT {selected} FROM {scorer.table} AS new WITH NO DATA""")
    plpy.execute(f"""
        ALTER TABLE {queue}
            ADD queue_time timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
            ADD queue_due timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
            ADD queue_attempts integer NOT NULL DEFAULT 0,
            ADD queue_error text""")
    plpy.execute(f"CREATE INDEX ON {queue} (queue_due)")
    said = f"Rows of {scorer.table} that wait to be scored, for modeldb worker; made by modeldb.attach_scorer()."
    plpy.execute(f"COMMENT ON TABLE {queue} IS {plpy.quote_literal(said)}")


def _make_function(scorer: TableScorer) -> None:
    """One function for all the triggers.

    A row that where excludes is enqueued if it has a score all the same, for the worker to clear: it came with one, or
    from another partition. Where the condition fails, all rows are: the worker finds out for which, and no writer is
    refused for it.
    """
    columns = ", ".join(f"new.{quote(column)}" for column in scorer.key)
    into = f"INSERT INTO {queue_of(scorer.id)} ({', '.join(key_names(scorer.key))})"
    every = f"""
            IF TG_LEVEL = 'STATEMENT' THEN
                {into} SELECT {columns} FROM new_rows AS new;
            ELSE
                {into} VALUES ({columns});
            END IF;"""
    wanted = f"""
            IF TG_LEVEL = 'STATEMENT' THEN
                {into} SELECT {columns} FROM new_rows AS new
                WHERE ({scorer.where}) OR new.{quote(scorer.into)} IS NOT NULL;
            ELSIF TG_OP = 'UPDATE' OR ({scorer.where}) OR new.{quote(scorer.into)} IS NOT NULL THEN
                {into} VALUES ({columns});
            END IF;"""
    guarded = f"""
        BEGIN {wanted}
        EXCEPTION WHEN OTHERS THEN {every}
        END;"""
    plpy.execute(f"""
        CREATE FUNCTION {scorer.function}() RETURNS trigger
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER {scorer.settings}
        AS {
        plpy.quote_literal(f'''
        #variable_conflict use_column
        BEGIN {guarded if scorer.where else every}
            RETURN NULL;
        END''')
    }""")
    plpy.execute(f"REVOKE ALL ON FUNCTION {scorer.function}() FROM PUBLIC")


def _make_triggers(scorer: TableScorer, *, by_row: bool) -> None:
    """by_row: inserts into a partition, which do not fire the triggers of statements on other tables than they name."""
    each = "FOR EACH ROW" if by_row else "REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT"
    plpy.execute(f"""
        CREATE TRIGGER {quote(scorer.trigger + "_ins")} AFTER INSERT ON {scorer.table} {each}
        EXECUTE FUNCTION {scorer.function}()""")
    targets = {scorer.into, scorer.label, scorer.model_version, scorer.scored_at, scorer.error}
    read = [quote(name) for name in dict.fromkeys([*scorer.reads, *scorer.key]) if name not in targets]
    # As they are stored: not every type has an equality, and 0 and -0 may differ to a model. The function and not its
    # operator, which a dump would compare column by column.
    sides = [f"ROW({', '.join(f'{side}.{name}' for name in read)})" for side in ("old", "new")]
    plpy.execute(f"""
        CREATE TRIGGER {quote(scorer.trigger + "_upd")} AFTER UPDATE OF {", ".join(read)} ON {scorer.table}
        FOR EACH ROW WHEN (pg_catalog.record_image_ne({sides[0]}, {sides[1]}))
        EXECUTE FUNCTION {scorer.function}()""")


def drop(scorer: int) -> None:
    """Drop the queue. Called by detach_scorer() with the rights of modeldb_owner, whose schema it is in.

    It may be gone already. The triggers, the trigger function and the function of enrich are gone by then.
    """
    plpy.execute(f"DROP TABLE IF EXISTS {queue_of(scorer)}")


_ASYNCHRONOUS = """
    SELECT s.id, c.relowner::bigint AS owner, format('%I.%I.%I', n.nspname, c.relname, s."into") AS name
    FROM modeldb.scorer s
    JOIN pg_class c ON c.oid = s.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class q ON q.oid = to_regclass(format('modeldb_scorers.queue_%s', s.id))
        AND q.relkind = 'r' AND q.relowner = c.relowner  -- what is read as the owner is the owner's
    WHERE s.mode = 'async' ORDER BY s.id"""


def queue_state(scorer: int) -> dict[str, Any]:
    """The body of _queue_state(): {"queued", "oldest_waiting"}; both None where that cannot be found out now.

    As the owner, who may have put code into the queue's indexes and policies that a query of it runs, and may have
    locked it.
    """
    nothing: dict[str, Any] = {"queued": None, "oldest_waiting": None}
    owners = {row["id"]: row["owner"] for row in plpy.execute(_ASYNCHRONOUS)}
    if scorer not in owners:
        return nothing
    query = f"""SELECT count(*) AS queued, (clock_timestamp() - min(q.queue_time))::text AS oldest_waiting
                FROM {queue_of(scorer)} AS q"""
    try:
        with acting_as(owners[scorer]):
            return dict(plpy.execute(query)[0])
    except plpy.SPIError as error:
        if isinstance(error, plpy.spiexceptions.QueryCanceled):
            raise
        return nothing


def waiting() -> list[tuple[int, str, bool]]:
    """The body of _waiting(): the asynchronous scorers, and whether an entry of each is due."""
    return [(row["id"], row["name"], _is_due(row["id"], row["owner"])) for row in plpy.execute(_ASYNCHRONOUS)]


def _is_due(scorer: int, owner: int) -> bool:
    """Whether an entry is due; also where that cannot be found out, so that the reason comes to light in draining."""
    query = f"""SELECT q.queue_due <= clock_timestamp() AS due FROM {queue_of(scorer)} AS q
                ORDER BY q.queue_due LIMIT 1"""
    try:
        with acting_as(owner):
            found = plpy.execute(query)
    except plpy.SPIError as error:
        if isinstance(error, plpy.spiexceptions.QueryCanceled):
            raise
        return not isinstance(error, plpy.spiexceptions.LockNotAvailable)
    return bool(found and found[0]["due"])
