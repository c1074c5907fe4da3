"""A worker's connections."""

from __future__ import annotations

import re

import psycopg

from modeldb.database import translate
from modeldb.errors import ConnectionFailed, MissingPrivilege, ModeldbError, NotInstalled

CONNECT_SECONDS = 10


def connect(target: str) -> psycopg.Connection:
    """A connection in autocommit mode, to the primary where the target names several servers.

    No timeout of statements: a refresh may take hours. Nothing is prepared, for pgbouncer's sake.
    """
    connection = psycopg.connect(
        re.sub(r"^postgres(ql)?\+psycopg://", "postgresql://", target),
        autocommit=True,
        prepare_threshold=None,
        application_name="modeldb worker",
        target_session_attrs="read-write",
        connect_timeout=CONNECT_SECONDS,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
    )
    connection.execute(
        """SELECT set_config(name, '0', false) FROM pg_settings
           WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')"""
    )
    return connection


def check(target: str) -> None:
    """Connect once, to fail at the start where it would never work.

    Raises ConnectionFailed (MD906), NotInstalled (MD901), MissingPrivilege (MD907) when the role is no modeldb_worker.
    """
    try:
        with connect(target) as connection:
            _look(connection)
    except psycopg.ProgrammingError as error:  # no conninfo
        raise ConnectionFailed(f"cannot connect: {error}") from None
    except psycopg.Error as error:
        raise translate(error) or ModeldbError(str(error).strip()) from error


def _look(connection: psycopg.Connection) -> None:
    try:
        connection.execute("SELECT FROM modeldb._due()")
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction) as error:
        raise NotInstalled("the database has no modeldb with schedules", hint="Run: modeldb install") from error
    except psycopg.errors.InsufficientPrivilege as error:
        hint = f'GRANT modeldb_worker TO "{connection.info.user}" lets this role run what is due.'
        raise MissingPrivilege(error.diag.message_primary, hint=hint) from error
