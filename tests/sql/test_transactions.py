"""Everything is undone by ROLLBACK, done at COMMIT, and part of the caller's transaction."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from sqlalchemy import text
from support.answers import answer, answers
from support.fixtures import Session
from support.models import Trained
from support.onnx_models import linear
from support.registering import Register

import modeldb
from modeldb.errors import UnknownModel

TABLES = ("model", "model_version", "artifact", "artifact_chunk", "smoke", "alias", "alias_history", "publication")


def counts(sql: psycopg.Connection) -> list[int]:
    return [answer(sql, f"SELECT count(*) FROM modeldb.{table}") for table in TABLES]


def predicted(sql: psycopg.Connection, model: str = "m") -> float:
    return float(answer(sql, f"SELECT predict('{model}', ROW(1, 0))"))


def test_an_aborted_registration_leaves_nothing_behind(sql: psycopg.Connection, register: Register) -> None:
    epoch = answer(sql, "SELECT modeldb._epoch()")
    with sql.transaction(force_rollback=True):
        register(1.0)
        assert predicted(sql) == 1.0
    assert counts(sql) == [0] * len(TABLES)
    assert answer(sql, "SELECT modeldb._epoch()") == epoch


# A number of an epoch that was rolled back must not come again: the backend has cached what it saw under it.
@pytest.mark.parametrize("warm", ["m", "m/1", "m@champion"])
def test_what_was_seen_under_an_aborted_epoch_is_not_served_again(
    sql: psycopg.Connection, register: Register, warm: str
) -> None:
    with sql.transaction(force_rollback=True):
        register(1.0)
        assert predicted(sql, warm) == 1.0
    register(2.0)
    assert predicted(sql, warm) == 2.0
    with sql.transaction(force_rollback=True):
        register(3.0, promote=True)
        assert predicted(sql) == 3.0
    assert (predicted(sql), predicted(sql, warm)) == (2.0, 2.0)
    register(4.0, promote=True)
    assert predicted(sql) == 4.0


@pytest.mark.parametrize(
    ("change", "inside"),
    [
        ("promote('m', 2)", 2.0),
        ("rollback('m')", 3.0),
        ("delete_model('m', 2)", 1.0),
        ("retire('m', 2)", 1.0),
        ("configure('m', on_null => 'null')", 1.0),
    ],
)
def test_a_change_is_seen_inside_its_transaction_and_undone_by_rollback(
    sql: psycopg.Connection, register: Register, change: str, inside: float
) -> None:
    register(3.0)
    register(2.0)
    register(1.0, promote=True)
    before = (counts(sql), predicted(sql), predicted(sql, "m/2"))
    with sql.transaction(force_rollback=True):
        sql.execute(f"SELECT {change}".encode())
        assert predicted(sql) == inside
    assert (counts(sql), predicted(sql), predicted(sql, "m/2")) == before


def test_a_savepoint_undoes_what_came_after_it(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    with sql.transaction():
        sql.execute("SELECT promote('m', 2)")
        assert predicted(sql) == 2.0
        with sql.transaction(force_rollback=True):
            register(3.0, promote=True)
            assert predicted(sql) == 3.0
        assert predicted(sql) == 2.0
        with sql.transaction(force_rollback=True):
            register(4.0, promote=True)
            assert predicted(sql) == 4.0
        assert predicted(sql) == 2.0
    assert predicted(sql) == 2.0
    assert answers(sql, "SELECT version FROM alias_history ORDER BY epoch") == [1, 2]


def test_an_exception_block_undoes_a_promotion(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    sql.execute(
        b"""DO $$ BEGIN
        BEGIN
            PERFORM promote('m', 2);
            ASSERT predict('m', ROW(1, 0)) = 2;
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
            ASSERT predict('m', ROW(1, 0)) = 1;
        END; END $$"""
    )
    assert predicted(sql) == 1.0


def test_several_promotions_in_one_block_are_each_seen_at_once(sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    register(2.0)
    sql.execute(
        b"""DO $$ DECLARE seen float8; BEGIN
        FOR i IN 1..20 LOOP
            PERFORM promote('m', 1 + i % 2);
            seen := predict('m', ROW(1, 0));
            ASSERT seen = 1 + i % 2, format('%s instead of %s', seen, 1 + i % 2);
        END LOOP; END $$"""
    )


def test_another_session_sees_a_promotion_at_commit(
    sql: psycopg.Connection, session: Session, register: Register
) -> None:
    register(1.0)
    register(2.0)
    other = session()
    assert predicted(other) == 1.0
    with sql.transaction():
        sql.execute("SELECT promote('m', 2)")
        assert (predicted(sql), predicted(other)) == (2.0, 1.0)
    assert predicted(other) == 2.0


def test_everything_of_python_is_part_of_the_callers_transaction(
    db: modeldb.Database, sql: psycopg.Connection, cancer: Trained, cancer2: Trained
) -> None:
    engine = db.engine
    with engine.connect() as connection:
        inner = modeldb.connect(connection)
        inner.register("cancer", cancer.estimator, sample=cancer.X)
        inner.register("cancer", cancer2.estimator, sample=cancer2.X)
        inner.promote("cancer", 2)
        assert inner.predict("cancer", cancer.X[:5]).tolist() == cancer2.estimator.predict(cancer.X[:5]).tolist()
        assert inner.rollback("cancer") == 1
        assert [row["version"] for row in inner.versions("cancer")] == [1, 2]
        assert connection.scalar(text("SELECT count(*) FROM modeldb.models")) == 1
        assert db.models() == []
        connection.rollback()
        with pytest.raises(UnknownModel):
            inner.describe("cancer")
    assert counts(sql) == [0] * len(TABLES)


def test_a_committed_connection_keeps_what_was_registered(db: modeldb.Database, sql: psycopg.Connection) -> None:
    with db.engine.begin() as connection:
        modeldb.connect(connection).register("m", linear(1.0, 2.0), sample=np.ones((5, 2)))
    assert predicted(sql) == 1.0


def test_an_error_inside_the_callers_savepoint_leaves_the_rest(db: modeldb.Database, cancer: Trained) -> None:
    with db.engine.begin() as connection:
        inner = modeldb.connect(connection)
        inner.register("cancer", cancer.estimator, sample=cancer.X)
        with pytest.raises(UnknownModel), connection.begin_nested():
            inner.promote("other", 1)
        savepoint = connection.begin_nested()
        inner.delete("cancer", cascade=True)
        savepoint.rollback()
    assert [model["name"] for model in db.models()] == ["cancer"]


def test_two_registrations_in_one_transaction_get_two_versions(sql: psycopg.Connection, register: Register) -> None:
    with sql.transaction():
        assert (register(1.0), register(2.0), register(3.0)) == (1, 2, 3)
    assert answers(sql, "SELECT champion FROM models") == [1]
