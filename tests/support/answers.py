"""Asking a database in tests: what a query answers, and how it refuses."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from modeldb.errors import ModeldbError


def answers(connection: psycopg.Connection, query: str, *values: Any) -> list[Any]:
    """The first column of a query's rows."""
    return [row[0] for row in connection.execute(query.encode(), values or None).fetchall()]


def answer(connection: psycopg.Connection, query: str, *values: Any) -> Any:
    """The one value that a query gives."""
    [found] = answers(connection, query, *values)
    return found


def refusal(
    connection: psycopg.Connection, query: str, kind: type[ModeldbError], *words: str, values: tuple[Any, ...] = ()
) -> str:
    """Assert that a query fails with an error's SQLSTATE and a HINT, its message naming the words; the HINT."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(query.encode(), values or None)
    diag = caught.value.diag
    assert diag.sqlstate == kind.sqlstate, caught.value
    assert [word for word in words if word not in (diag.message_primary or "")] == [], diag.message_primary
    assert diag.message_hint, diag.message_primary
    return diag.message_hint
