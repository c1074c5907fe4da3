"""How an artifact travels: in one piece or in several, within a transaction or without, by roles of few rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from support.models import Trained

import modeldb
from modeldb import registry
from modeldb.errors import InvalidName, MissingPrivilege

PIECES = {"one piece": 8 << 20, "several pieces": 100}
sizes = pytest.mark.parametrize("size", PIECES.values(), ids=PIECES.keys())
modes = pytest.mark.parametrize("mode", ["AUTOCOMMIT", "READ COMMITTED"])


@sizes
@modes
def test_every_mode_of_the_callers_connection(
    db: modeldb.Database, diabetes: Trained, monkeypatch: pytest.MonkeyPatch, mode: Any, size: int
) -> None:
    monkeypatch.setattr(registry, "_PIECE_BYTES", size)
    with db.engine.connect().execution_options(isolation_level=mode) as connection:
        client = modeldb.connect(connection)
        first = client.register("m", diabetes.estimator, sample=diabetes.X)
        second = client.register("m", diabetes.estimator, sample=diabetes.X)
        assert (first.version, second.version) == (1, 2)
        assert len(client.load("m")) > PIECES["several pieces"]
        connection.rollback()
    assert len(db.models()) == (mode == "AUTOCOMMIT")


@sizes
def test_an_engine_in_autocommit_mode(
    db: modeldb.Database, diabetes: Trained, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(registry, "_PIECE_BYTES", size)
    client = modeldb.connect(db.engine.execution_options(isolation_level="AUTOCOMMIT"))
    assert client.register("m", diabetes.estimator, sample=diabetes.X).version == 1
    assert db.predict("m", diabetes.X[:3]).tolist() == pytest.approx(diabetes.estimator.predict(diabetes.X[:3]))


@sizes
@modes
def test_a_refused_artifact_leaves_nothing_behind(
    db: modeldb.Database, diabetes: Trained, monkeypatch: pytest.MonkeyPatch, mode: Any, size: int
) -> None:
    monkeypatch.setattr(registry, "_PIECE_BYTES", size)
    with db.engine.connect().execution_options(isolation_level=mode) as connection:
        client = modeldb.connect(connection)
        for _ in range(2):
            with pytest.raises(InvalidName):
                client.register("no name", diabetes.estimator, sample=diabetes.X)
            connection.rollback()
        assert connection.scalar(text("SELECT to_regclass('pg_temp.modeldb_upload')")) is None
        assert client.register("m", diabetes.estimator, sample=diabetes.X).version == 1


def test_only_a_large_artifact_needs_temporary_tables(
    db: modeldb.Database, diabetes: Trained, monkeypatch: pytest.MonkeyPatch, make_role: Callable[..., str]
) -> None:
    role = make_role("modeldb_publisher")
    with db.engine.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"))
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        client = modeldb.connect(connection)
        assert client.register("m", diabetes.estimator, sample=diabetes.X).version == 1
        monkeypatch.setattr(registry, "_PIECE_BYTES", 100)
        with pytest.raises(MissingPrivilege) as caught:
            client.register("m", diabetes.estimator, sample=diabetes.X)
        assert caught.value.hint == f"GRANT TEMPORARY ON DATABASE {name} TO {role}"
        connection.execute(text("RESET ROLE"))
        connection.execute(text(caught.value.hint))
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        assert client.register("m", diabetes.estimator, sample=diabetes.X).version == 2
