"""modeldb.connect() takes psycopg 3 and says so of everything else, before anything is reached."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

import modeldb
from modeldb.errors import ConnectionFailed

TARGETS: dict[str, tuple[Any, str]] = {
    "an engine of another driver": (lambda: create_engine("sqlite://"), "sqlite+pysqlite"),
    "a connection of another driver": (lambda: create_engine("sqlite://").connect(), "sqlite+pysqlite"),
    "a URL of another database": (lambda: "sqlite://", "sqlite+pysqlite"),
    "a URL of a driver that is not there": (lambda: "postgresql+pg8000://u:secret@h/d", "pg8000"),
    "a URL of nothing": (lambda: "nothing://h/d", "nothing"),
    "a URL that is none": (lambda: "postgresql://u:secret@h:port/d", "port"),
    "a class": (lambda: psycopg.Connection, "type"),
}


@pytest.mark.parametrize(("target", "words"), TARGETS.values(), ids=TARGETS.keys())
def test_another_driver_is_refused(target: Any, words: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        modeldb.connect(target())
    assert words in caught.value.message
    assert "secret" not in str(caught.value)
    assert "postgresql+psycopg://" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "target", ["postgresql://h/d", "postgres://h/d", "postgresql+psycopg://h/d", "host=h dbname=d"]
)
def test_psycopg_is_taken(target: str) -> None:
    assert modeldb.connect(target).engine.dialect.driver == "psycopg"
    assert modeldb.connect(create_engine("postgresql+psycopg://h/d")).engine.dialect.driver == "psycopg"
