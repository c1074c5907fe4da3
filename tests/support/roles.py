"""Roles that make predictions, and strangers to them: Alice, whose predictions they are, and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from support.batch import Connect

TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, a float8, b float8);
    INSERT INTO t SELECT i, i * 0.1, -i FROM generate_series(1, 100) AS i"""
ROLES = ("test_alice", "test_bob", "test_member", "test_reader", "test_nobody")
Login = Callable[[str], psycopg.Connection]


@pytest.fixture
def admin(clean: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A superuser; alice, bob and member may predict, member is one of alice's; reader and nobody are strangers.

    Alice has a schema that nobody else may use, and a table t in it.
    """
    for role in ROLES:
        clean.execute(f"CREATE ROLE {role}".encode())
    clean.execute(
        f"""GRANT modeldb_user TO test_alice, test_bob, test_member; GRANT test_alice TO test_member;
        CREATE SCHEMA private AUTHORIZATION test_alice;
        CREATE SCHEMA shared; GRANT ALL ON SCHEMA shared TO PUBLIC;
        SET ROLE test_alice; SET search_path = private, modeldb; {TABLE}; RESET ROLE; RESET search_path""".encode()
    )
    yield clean
    clean.execute("DELETE FROM modeldb.prediction_set; DROP SCHEMA private, shared CASCADE")
    for role in ROLES:
        clean.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


@pytest.fixture
def login(connect: Connect) -> Login:
    def make(role: str) -> psycopg.Connection:
        connection = connect()
        connection.execute(
            f"SET SESSION AUTHORIZATION test_{role}; SET search_path = private, shared, modeldb".encode()
        )
        return connection

    return make
