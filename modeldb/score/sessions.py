"""Connections of a run's own, and the locks that keep runs apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Engine

from modeldb.database import translate
from modeldb.errors import ConnectionFailed, InvalidSource, MissingPrivilege, ScoreConflict

Session = psycopg.Connection[Any]

# Role and database may limit what interactive sessions may take; a run is idle in one transaction and long in others.
# A backend whose client died is to notice it while it works, which PostgreSQL can on Linux.
_SETTINGS = """
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
        'transaction_timeout')
    UNION ALL SELECT pg_catalog.set_config('application_name', 'modeldb score', false)
    UNION ALL SELECT pg_catalog.set_config('client_connection_check_interval', '1s', false)
    WHERE pg_catalog.version() LIKE '%linux%'"""
CLAIM_SECONDS = 3  # the backend of a client that was killed a moment ago needs some time to notice
_RIGHTS = "The role needs SELECT on the table, CREATE in the target's schema, and modeldb_user."
RESUME = "What was done is kept. The same command goes on from there."


def open_session(engine: Engine) -> Session:
    """A connection that is not the pool's any more, in autocommit mode: transactions are written out in SQL.

    Raises ConnectionFailed (MD906).
    """
    try:
        pooled = engine.raw_connection()
    except psycopg.OperationalError as error:
        raise translate(error) or error from error
    session = cast(Session, pooled.driver_connection)
    pooled.detach()
    session.autocommit = True
    session.execute(_SETTINGS)
    return session


@contextmanager
def sessions(engine: Engine, count: int) -> Iterator[list[Session]]:
    """Several connections that are closed at the end."""
    opened: list[Session] = []
    try:
        for _ in range(count):
            opened.append(open_session(engine))
        yield opened
    finally:
        for session in opened:
            session.close()


def rows(session: Session, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query as dicts."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values or None).fetchall()


def one(session: Session, query: str, values: Sequence[Any] = ()) -> Any:
    """The first value of a query."""
    [row] = session.execute(query.encode(), values or None).fetchall()
    return row[0]


def claim(session: Session, target: str) -> None:
    """Be the only run into a target for as long as the session lives. Raises ScoreConflict (MD506)."""
    try:
        session.execute(f"SET lock_timeout = '{CLAIM_SECONDS}s'".encode())
        one(session, "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(%s::text, 1))", [target])
    except psycopg.errors.LockNotAvailable as error:
        raise ScoreConflict(
            f"another `modeldb score` into {target} is running",
            hint="Wait for it, or end it: SELECT pid FROM pg_stat_activity WHERE application_name = 'modeldb score'.",
        ) from error
    session.execute("SET lock_timeout = 0")


def join(session: Session, target: str) -> None:
    """Belong to the run into a target, until the backend exits."""
    one(session, "SELECT pg_catalog.pg_advisory_lock_shared(pg_catalog.hashtextextended(%s::text, 2))", [target])


def await_stragglers(session: Session, target: str) -> None:
    """Wait until no backend works for an earlier run into the target: one whose client died still ends its statement.

    To be called after ``claim``: then no new ones come.
    """
    for name in ("lock", "unlock"):
        one(session, f"SELECT pg_catalog.pg_advisory_{name}(pg_catalog.hashtextextended(%s::text, 2))", [target])


@contextmanager
def translated(key: Sequence[str]) -> Iterator[None]:
    """Raise psycopg's errors as modeldb's where they are among those."""
    try:
        yield
    except (psycopg.errors.UniqueViolation, psycopg.errors.NotNullViolation) as error:
        what = "NULL in some rows of" if error.sqlstate == "23502" else "not unique in"
        raise InvalidSource(
            f"the key ({', '.join(key)}) is {what} the source",
            detail=error.diag.message_detail or error.diag.message_primary,
            hint="Drop the target, and name the columns that identify a row.",
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise MissingPrivilege(error.diag.message_primary, hint=_RIGHTS) from error
    except psycopg.OperationalError as error:
        if error.sqlstate is None or error.sqlstate.startswith(("57P", "08")):
            raise ConnectionFailed(f"the connection was lost: {str(error).strip()}", hint=RESUME) from error
        raise
    except psycopg.Error as error:
        if (known := translate(error)) is None:
            raise
        raise known from error
