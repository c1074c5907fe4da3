"""What attach_scorer() makes in the schema modeldb_scorers: who may make it there, and how it goes again.

Trigger functions and queues belong to the owners of the tables, and their names are known beforehand. So nobody may
make anything there but attach_scorer(): it gives the owner that right and takes it back before it returns, and as long
as it has it, nothing runs but PostgreSQL's own commands. Other transactions never see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import plpy

from modeldb.server.backend import ask
from modeldb.server.online import queue
from modeldb.server.online.scorer import SCHEMA
from modeldb.server.online.table import pinned

_MAY = "SELECT pg_catalog.has_schema_privilege($1, $2, 'CREATE') AS may"
_ROUTINES = """
    SELECT p.oid::regprocedure::text AS signature FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND p.proname IN ($2, $2 || '_row', $2 || '_enrich')"""
_GONE = "SELECT s.id, s.mode FROM modeldb.scorer s WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation)"
_PATIENCE = "SELECT pg_catalog.set_config('lock_timeout', '100ms', true)"


def registry_owner() -> int:
    """The oid of modeldb_owner."""
    query = "SELECT 'modeldb_owner'::pg_catalog.regrole::pg_catalog.oid::pg_catalog.int8 AS oid"
    return int(ask(query, [], [])[0]["oid"])


def _may_make(owner: int) -> bool:
    return bool(ask(_MAY, ["oid", "text"], [owner, SCHEMA])[0]["may"])


def wait_for_turn(owner: int) -> None:
    """Wait until no other transaction has given anybody the right to make things, before any other lock is taken.

    A privilege of a schema can be changed by one transaction at a time; another one would fail, not wait.
    """
    if not _may_make(owner):
        with pinned(registry_owner()):
            plpy.execute("LOCK TABLE modeldb.scorer IN SHARE UPDATE EXCLUSIVE MODE")


@contextmanager
def allowed(owner: int) -> Iterator[None]:
    """Let a table's owner make things for the block, after ``wait_for_turn``. An error undoes it all."""
    if _may_make(owner):  # a superuser, or one to whom an administrator gave it
        yield
        return
    [role] = ask("SELECT $1::pg_catalog.regrole::text AS name", ["oid"], [owner])
    with pinned(registry_owner()):
        plpy.execute(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {role['name']}")
    yield
    with pinned(registry_owner()):
        plpy.execute(f"REVOKE CREATE ON SCHEMA {SCHEMA} FROM {role['name']}")


def drop_functions(scorer: int, dependents: str = "CASCADE") -> None:
    """Drop what has the names of the functions of a scorer, as the owner of their schema. dependents: or RESTRICT."""
    for row in ask(_ROUTINES, ["text", "text"], [SCHEMA, f"_{scorer}"]):
        plpy.execute(f"DROP ROUTINE {row['signature']} {dependents}")


def forget_gone() -> None:
    """Forget the scorers of tables that were dropped, with what had been made for them.

    What somebody uses, or has made something depend on, stays until later: it is in nobody's way.
    """
    for row in ask(_GONE, [], []):
        try:
            with pinned(registry_owner()), plpy.subtransaction():
                ask(_PATIENCE, [], [])
                _forget(row["id"], row["mode"])
        except plpy.spiexceptions.QueryCanceled:
            raise
        except plpy.SPIError:
            continue


def _forget(scorer: int, mode: str) -> None:
    drop_functions(scorer, "RESTRICT")
    if mode == "async":
        queue.drop(scorer)
    ask("DELETE FROM modeldb.scorer WHERE id = $1", ["integer"], [scorer])
