"""modeldb.cache(): what a backend has loaded, and the budget that bounds it."""

from __future__ import annotations

import numpy as np
import psycopg
from onnx import TensorProto, helper
from psycopg.types.json import Jsonb
from support.answers import answer, answers
from support.fixtures import Session
from support.onnx_models import described, serialize
from support.registering import Register

MB = 1 << 20


def digests(sql: psycopg.Connection) -> list[str]:
    return answers(sql, "SELECT digest FROM modeldb.cache()")


def digest(sql: psycopg.Connection, model: str) -> str:
    return str(answer(sql, "SELECT describe(%s) ->> 'digest'", model))


def test_a_backend_starts_with_nothing_loaded(session: Session, register: Register) -> None:
    register(1.0)
    assert digests(session()) == []


def test_the_cache_tells_what_is_loaded_and_how_often_it_answered(session: Session, register: Register) -> None:
    register(1.0)
    register(2.0)
    reader = session()
    reader.execute("SELECT predict('m', ROW(i, 0)) FROM generate_series(1, 10) AS i")
    reader.execute("SELECT predict('m/2', ROW(1, 0))")
    reader.execute("SELECT predict_json('m@champion', ROW(1, 0))")
    rows = {row[0]: row[1:] for row in reader.execute("SELECT * FROM modeldb.cache()").fetchall()}
    first, second = digest(reader, "m/1"), digest(reader, "m/2")
    assert set(rows) == {first, second}
    assert (rows[first][1], rows[second][1]) == (11, 1)
    assert rows[first][0] == answer(reader, "SELECT bytes FROM artifact WHERE digest = %s", first)
    assert 0 < rows[first][2] < 10


def test_versions_with_the_same_weights_share_one_session(session: Session, register: Register) -> None:
    register(1.0)
    register(1.0)
    reader = session()
    reader.execute("SELECT predict('m/1', ROW(1, 0)), predict('m/2', ROW(1, 0))")
    assert len(digests(reader)) == 1


def heavy(sql: psycopg.Connection, name: str, weight: float) -> None:
    """Register a model of 0.9 MB that predicts weight for ROW(1, 0)."""
    numbers = np.zeros((2, 56_000))
    numbers[0, 0] = weight
    tensor = helper.make_tensor("W", TensorProto.DOUBLE, numbers.shape, numbers.tobytes(), raw=True)
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    multiply = helper.make_node("MatMul", ["X", "W"], ["all"])
    pick = helper.make_node("Gather", ["all", "first"], ["Y"], axis=1)
    artifact = serialize([multiply, pick], initializers=[tensor, first])
    sql.execute("SELECT register_model(%s, %s, %s)", (name, artifact, Jsonb(described("a", "b"))))


def test_the_least_recently_used_leaves_when_the_budget_is_full(session: Session) -> None:
    sql, reader = session(), session()
    for number in range(1, 5):
        heavy(sql, f"h{number}", float(number))
    reader.execute("SET modeldb.cache_mb = 2")
    for model in ("h1", "h2", "h1", "h3"):
        assert answer(reader, f"SELECT predict('{model}', ROW(1, 0))") == float(model[1])
    assert digests(reader) == [digest(reader, "h3"), digest(reader, "h1")]
    assert answer(reader, "SELECT sum(bytes) FROM modeldb.cache()") <= 2 * MB
    for model in ("h2", "h4", "h1", "h3", "h2"):
        assert answer(reader, f"SELECT predict('{model}', ROW(1, 0))") == float(model[1])
        assert answer(reader, "SELECT sum(bytes) FROM modeldb.cache()") <= 2 * MB


def test_a_model_larger_than_the_budget_predicts_and_is_kept_alone(session: Session) -> None:
    sql, reader = session(), session()
    heavy(sql, "h1", 1.0)
    heavy(sql, "h2", 2.0)
    reader.execute("SET modeldb.cache_mb = 0")
    for model in ("h1", "h2", "h1"):
        assert answer(reader, f"SELECT predict('{model}', ROW(1, 0))") == float(model[1])
        assert digests(reader) == [digest(reader, model)]


def test_two_models_in_one_statement_that_do_not_fit_together(session: Session) -> None:
    sql, reader = session(), session()
    heavy(sql, "h1", 1.0)
    heavy(sql, "h2", 2.0)
    reader.execute("SET modeldb.cache_mb = 1")
    query = "SELECT predict('h1', ROW(i, 0)) + 10 * predict('h2', ROW(i, 0)) FROM generate_series(1, 5) AS i"
    assert answers(reader, query) == [21.0 * i for i in range(1, 6)]


def test_a_budget_that_is_no_number_is_the_usual_one(session: Session, register: Register) -> None:
    register(1.0)
    reader = session()
    reader.execute("SET modeldb.cache_mb = 'plenty'")
    assert answer(reader, "SELECT predict('m', ROW(1, 0))") == 1.0


def test_a_failed_registration_does_not_stay_in_the_way(session: Session, register: Register) -> None:
    sql = session()
    register(1.0)
    with sql.transaction(force_rollback=True):
        heavy(sql, "h1", 1.0)
        assert answer(sql, "SELECT predict('h1', ROW(1, 0))") == 1.0
    heavy(sql, "h1", 1.0)
    assert answer(sql, "SELECT predict('h1', ROW(1, 0))") == 1.0
