"""Server, template database, and a clone of it per test."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

import modeldb
from modeldb.install import extend_search_path
from support.server import in_database, plain, provider, server_path

TEMPLATE = "modeldb_test_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a superuser on a real server."""
    with provider()() as url:
        yield url


def execute(url: str, statement: sql.Composed | str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(statement if isinstance(statement, sql.Composed) else statement.encode())


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """A database with modeldb in it, to be copied."""
    path = server_path(server)
    execute(server, f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
    execute(server, f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    engine = create_engine(_sqlalchemy(in_database(server, TEMPLATE)), poolclass=NullPool)
    modeldb.connect(engine).install(server_path=path)
    yield TEMPLATE
    execute(server, f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


def _sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def empty_url(server: str) -> Iterator[str]:
    """The URL of a new database without modeldb."""
    yield from _database(server, "template0")


@pytest.fixture
def url(server: str, template: str) -> Iterator[str]:
    """The URL of a new database with modeldb."""
    yield from _database(server, template)


@pytest.fixture(scope="module")
def module_url(server: str, template: str) -> Iterator[str]:
    """The URL of a new database with modeldb, shared by a module's tests."""
    yield from _database(server, template)


def _database(server: str, template: str) -> Iterator[str]:
    name = f"modeldb_test_{next(_numbers)}_{uuid.uuid4().hex[:6]}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield in_database(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _connect(url: str) -> Iterator[modeldb.Database]:
    engine = create_engine(_sqlalchemy(url))
    with engine.begin() as connection:
        extend_search_path(connection)
    engine.dispose()
    yield modeldb.connect(engine)
    engine.dispose()


@pytest.fixture
def db(url: str) -> Iterator[modeldb.Database]:
    """modeldb in a database of the test's own."""
    yield from _connect(url)


@pytest.fixture(scope="module")
def module_db(module_url: str) -> Iterator[modeldb.Database]:
    """modeldb in a database that a module's tests share."""
    yield from _connect(module_url)


Session = Callable[..., psycopg.Connection]


@pytest.fixture
def session(db: modeldb.Database, url: str) -> Iterator[Session]:
    """Makes psycopg connections to the test's database: session(), session(role="reader"), each in autocommit mode."""
    opened: list[psycopg.Connection] = []

    def connect(*, role: str | None = None) -> psycopg.Connection:
        connection = psycopg.connect(plain(url), autocommit=True)
        opened.append(connection)
        if role is not None:
            connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
        return connection

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def make_role(db: modeldb.Database, url: str) -> Iterator[Callable[..., str]]:
    """Makes roles that are members of others: make_role("modeldb_user"); their names."""
    made: list[str] = []

    def make(*groups: str) -> str:
        name = f"modeldb_test_{uuid.uuid4().hex[:8]}"
        execute(url, sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        made.append(name)
        for group in groups:
            execute(url, sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(name)))
        return name

    yield make
    for name in made:
        execute(url, sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(sql.Identifier(name)))
