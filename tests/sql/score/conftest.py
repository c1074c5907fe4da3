"""The fixtures of this folder; they are here because `template` takes the place of the suite's, in it alone."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.types.json import Jsonb
from support.fixtures import execute
from support.onnx_models import described, linear
from support.scoring import POINTS
from support.server import in_database

from modeldb.score import client, source


@pytest.fixture(scope="module")
def template(server: str, template: str) -> Iterator[str]:
    """A database with the table points and the model m, which predicts 2 a + b; each test works in a copy of it."""
    name = f"{template}_points"
    execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    with psycopg.connect(in_database(server, name)) as connection:
        connection.execute(POINTS.encode())
        values = [linear(2.0, 1.0), Jsonb(described("a", "b"))]
        connection.execute("SELECT modeldb.register_model('m', %s, %s::jsonb)", values)
    yield name
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_BLOCKS", 16)
    monkeypatch.setattr(source, "LEAST_BLOCKS", 4)
    monkeypatch.setattr(client, "MOST_JOBS", 1)  # a backend that is new costs more than the rows do


@pytest.fixture
def points(sql: psycopg.Connection) -> psycopg.Connection:
    """A connection to the test's database."""
    return sql
