"""A connection to a database with modeldb in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from modeldb.batch import Batch
from modeldb.errors import ConnectionFailed, MissingPrivilege, ModeldbError, NotInstalled, by_sqlstate
from modeldb.online import Online
from modeldb.registry import Registry
from modeldb.score.client import Scoring

_MISSING = {"42883", "3F000", "42P01"}  # undefined function, schema, table


class Database(Registry, Batch, Scoring, Online):
    """The registry, the predictions and the scorers of one database; made by ``modeldb.connect``.

    Each call is a transaction of its own; with a Connection given to ``connect``, all are part of the caller's.
    """

    def __init__(self, engine: Engine, connection: Connection | None = None) -> None:
        self.engine = engine
        self._connection = connection

    def __repr__(self) -> str:
        return f"modeldb.connect({self.engine.url.render_as_string()!r})"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection within a transaction; errors leave it as modeldb's."""
        with translated():
            if self._connection is not None:
                yield self._connection
            else:
                with self.engine.begin() as connection:
                    yield connection

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of a SQL text with :name parameters, as dicts."""
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def install(self, *, search_path: bool = True, server_path: Sequence[str] = ()) -> None:
        """Install or upgrade modeldb in the database; see ``modeldb.install.install``."""
        from modeldb.install import install

        with self.transaction() as connection:
            install(connection, search_path=search_path, server_path=server_path)
        if self._connection is None:
            self.engine.dispose()  # new connections see the database's new search_path


def connect(target: str | Engine | Connection | None = None) -> Database:
    """Connect to a database that has modeldb, or is to get it.

    target: a URL or conninfo string, an SQLAlchemy Engine, or a Connection, in whose transaction everything then runs;
    None reads MODELDB_URL. Raises ConnectionFailed (MD906) when there is nothing to connect to; the database itself is
    reached at the first use, or when its driver is not psycopg 3, whose errors and binary values modeldb reads.
    """
    if isinstance(target, Connection):
        return Database(_with_psycopg(target.engine), target)
    if isinstance(target, Engine):
        return Database(_with_psycopg(target))
    target = target or os.environ.get("MODELDB_URL")
    if not target:
        raise ConnectionFailed(
            "no database was named", hint="Pass a URL, set MODELDB_URL, or use modeldb.local().connect()."
        )
    if not isinstance(target, str):
        raise ConnectionFailed(f"a {type(target).__module__}.{type(target).__name__} is no connection", hint=_HOW)
    url, options = _url(target)
    try:
        return Database(_with_psycopg(create_engine(url, **options)))
    except (ArgumentError, ImportError, ValueError) as error:  # no URL, an unknown dialect or driver, an odd port
        # Of a malformed URL's password ValueError might quote a part.
        why = "the port is not a number" if isinstance(error, ValueError) else error
        raise ConnectionFailed(f"cannot connect by {re.sub('//.*@', '//...@', target)!r}: {why}", hint=_HOW) from None


_HOW = 'Pass a URL as postgresql://user@host/database, or sqlalchemy.create_engine("postgresql+psycopg://...").'


def _with_psycopg(engine: Engine) -> Engine:
    driver = f"{engine.dialect.name}+{engine.dialect.driver}"
    if driver != "postgresql+psycopg":
        raise ConnectionFailed(f"the driver is {driver}, modeldb needs postgresql+psycopg (psycopg 3)", hint=_HOW)
    return engine


def _url(target: str) -> tuple[str, dict[str, Any]]:
    """SQLAlchemy's arguments for a URL or a libpq conninfo string."""
    if "://" in target:
        return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", target), {}
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        arguments = conninfo_to_dict(target)
    except ProgrammingError as error:
        raise ConnectionFailed(f"{target!r} is neither a URL nor a conninfo string: {error}") from None
    return "postgresql+psycopg://", {"connect_args": arguments}


@contextmanager
def translated() -> Iterator[None]:
    """Raise the server's errors as modeldb's classes: the SQLSTATE tells which."""
    try:
        yield
    except DBAPIError as error:
        known = translate(error.orig)
        if known is None:
            raise
        raise known from error


def translate(error: Any) -> ModeldbError | None:
    """The modeldb error of a driver's error; None when it is another one of PostgreSQL's."""
    state = getattr(error, "sqlstate", None)
    diag = getattr(error, "diag", None)
    message = getattr(diag, "message_primary", None) or str(error).strip()
    if kind := by_sqlstate(state):
        plain = re.sub(rf"^(?:plpy\.(?:SPI)?Error: |{kind.__name__}: )+", "", message)  # what PL/Python puts in front
        return kind(plain, detail=getattr(diag, "message_detail", None), hint=getattr(diag, "message_hint", None))
    if state == "42501":
        return MissingPrivilege(
            message, hint="GRANT modeldb_user lets a role predict, modeldb_publisher register and promote."
        )
    if state in _MISSING and "modeldb" in message:
        return NotInstalled(message)
    if state is None and type(error).__name__ == "OperationalError":
        return ConnectionFailed(f"the database cannot be reached: {message}")
    return None
