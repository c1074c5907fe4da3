"""Registering tiny models from SQL alone."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.answers import answer
from support.fixtures import Session
from support.onnx_models import described, linear

Register = Callable[..., int]


@pytest.fixture
def sql(session: Session) -> psycopg.Connection:
    return session()


@pytest.fixture
def register(sql: psycopg.Connection) -> Register:
    """Registers linear models of two features: register(2.0) predicts 2 for ROW(1, 0); the version."""

    def make(weight: float, name: str = "m", promote: bool = False) -> int:
        query = "SELECT version FROM register_model(%s, %s, %s::jsonb, promote => %s)"
        signature = Jsonb(described("a", "b"))
        return int(answer(sql, query, name, linear(weight, 1.0), signature, promote))

    return make
