"""statement_timeout and cancellation end native code, and the backend goes on working."""

from __future__ import annotations

import threading
import time

import numpy as np
import onnx
import psycopg
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.fixtures import Session
from support.models import Trained

import modeldb


def endless() -> bytes:
    return looped(2**62)


def looped(times: int) -> bytes:
    """A graph whose loop adds the input to itself so many times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), helper.make_node("Add", ["sum", "x"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.DOUBLE, [None, 1]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.DOUBLE, [None, 1]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "yes", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, 1])],
        [
            numpy_helper.from_array(np.array(times, dtype=np.int64), "times"),
            numpy_helper.from_array(np.array(True), "yes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def looping(db: modeldb.Database, diabetes: Trained) -> modeldb.Database:
    """Model loop, which never ends, and model d, which works."""
    signature = '{"features": ["x"], "task": "regression"}'
    db.query("SELECT modeldb.register_model('loop', :onnx, CAST(:s AS jsonb))", onnx=endless(), s=signature)
    db.register("d", diabetes.estimator, sample=diabetes.X)
    return db


LOOP = "SELECT predict('loop', ARRAY[1.0])"


def run_and_fail(connection: psycopg.Connection, query: str) -> None:
    with pytest.raises(psycopg.Error):
        connection.execute(query.encode())


def still_works(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT predict('d', ARRAY[50, 1, 25, 90, 180, 100, 50, 4, 4.5, 90])").fetchone()
    return row is not None and row[0] > 0


def test_statement_timeout_ends_an_endless_run(looping: modeldb.Database, session: Session) -> None:
    connection = session()
    assert still_works(connection)
    connection.execute("SET statement_timeout = '300ms'")
    for _ in range(3):
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(LOOP)
    assert still_works(connection)


def test_first_statement_of_a_connection_can_time_out(looping: modeldb.Database, session: Session) -> None:
    connection = session()
    connection.execute("SET statement_timeout = '1s'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(LOOP)
    assert still_works(connection)


def test_cancel_ends_an_endless_run(looping: modeldb.Database, session: Session) -> None:
    connection, admin = session(), session()
    assert still_works(connection)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            connection.execute(LOOP)
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    running = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {connection.info.backend_pid} AND state = 'active'"
    deadline = time.monotonic() + 30
    while admin.execute(running.encode()).fetchone() != (1,):
        assert time.monotonic() < deadline
    admin.execute(f"SELECT pg_cancel_backend({connection.info.backend_pid})".encode())
    thread.join(30)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [psycopg.errors.QueryCanceled]
    assert still_works(connection)


def test_other_interrupts_stop_nothing(db: modeldb.Database, session: Session) -> None:
    """A check of the client's connection sets the same flag as a cancellation does, many times during this run."""
    signature = '{"features": ["x"], "task": "regression"}'
    db.query("SELECT modeldb.register_model('long', :onnx, CAST(:s AS jsonb))", onnx=looped(2_000_000), s=signature)
    connection = session()
    connection.execute("SET client_connection_check_interval = '20ms'")
    assert connection.execute("SELECT predict('long', ARRAY[1.0])").fetchone() == (2_000_001.0,)


def test_cancelled_batch(looping: modeldb.Database, session: Session) -> None:
    connection = session()
    connection.execute("SET statement_timeout = '300ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT modeldb._predict_rows('loop', '[[1.0], [2.0]]', modeldb._epoch())")
    assert still_works(connection)


def test_termination_ends_the_backend(looping: modeldb.Database, session: Session) -> None:
    connection, admin = session(), session()
    assert still_works(connection)
    pid = connection.info.backend_pid
    thread = threading.Thread(target=run_and_fail, args=[connection, LOOP])
    thread.start()
    deadline = time.monotonic() + 30
    while admin.execute(f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {pid}".encode()).fetchone() != (
        True,
    ):
        assert time.monotonic() < deadline
    admin.execute(f"SELECT pg_terminate_backend({pid}, 30000)".encode())
    thread.join(30)
    assert admin.execute(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}".encode()).fetchone() == (0,)
