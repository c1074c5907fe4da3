"""A backend that ends in the middle of a run: what was there before stands, and the next run is right."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.types.json import Jsonb
from support.answers import answer, answers
from support.onnx_models import described, linear

from modeldb.cluster import Cluster

ROWS, GATE = 12_000, 9000
"""Rows are scored 5000 at a time: a run that stops at the gate has scored and written some thousand."""

SOURCE = f"""
    CREATE TABLE rows (id bigint PRIMARY KEY, a float8, b float8, changed_at timestamptz DEFAULT now());
    INSERT INTO rows SELECT i, i, 0 FROM generate_series(1, {ROWS}) i;
    CREATE VIEW gated AS SELECT id, a, b, changed_at, (CASE WHEN id = {GATE} THEN
        pg_advisory_xact_lock_shared(7) IS NOT NULL END) AS gate FROM rows"""
CREATE = "SELECT create_predictions('scores', 'm', 'gated', 'id', '{{gate}}'{0})"
REFRESH = "SELECT refresh_predictions('scores')"
KINDS = {"whole": "", "incremental": ", incremental => true, changed_at => 'changed_at'"}
FOUND = "SELECT string_agg(concat_ws(' ', id, prediction, model_version, scored_at), ',' ORDER BY id) FROM scores"
WRONG = """
    SELECT count(*) FROM rows r FULL JOIN scores s USING (id)
    WHERE s.prediction IS DISTINCT FROM r.a * s.model_version + r.b OR s.model_version <> %s"""
RELATIONS = "SELECT relname FROM pg_class WHERE relname ~ 'scores' OR relpersistence = 't' ORDER BY relname"
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"

Connect = Callable[[], psycopg.Connection]
End = Callable[[psycopg.Connection, int], None]


def kill(connection: psycopg.Connection, pid: int) -> None:
    """As the kernel does when memory is short: the whole server recovers, and until it has noticed it takes guests."""
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_sleep(30)")


def terminate(connection: psycopg.Connection, pid: int) -> None:
    connection.execute("SELECT pg_terminate_backend(%s)", [pid])


def cancel(connection: psycopg.Connection, pid: int) -> None:
    connection.execute("SELECT pg_cancel_backend(%s)", [pid])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server of one's own, for all connections end with it. Its database prepared has the model m in two versions."""
    with Cluster.temporary() as cluster:
        db = cluster.connect("prepared")
        db.install()
        db.engine.dispose()
        with psycopg.connect(cluster.url("prepared")) as connection:
            for weight in (1.0, 2.0):
                values = [linear(weight, 1.0), Jsonb(described("a", "b"))]
                connection.execute("SELECT modeldb.register_model('m', %s, %s::jsonb)", values)
            connection.execute(SOURCE.encode())
        yield cluster


@pytest.fixture
def connect(cluster: Cluster) -> Iterator[Connect]:
    """Makes connections to a database of the test's own, waiting for a server that starts again."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    opened: list[psycopg.Connection] = []

    def make(database: str = name) -> psycopg.Connection:
        deadline = time.monotonic() + 60
        while True:
            try:
                made = psycopg.connect(cluster.url(database), autocommit=True, options="-c search_path=public,modeldb")
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, cluster.log_tail()
                time.sleep(0.05)
            else:
                opened.append(made)
                return made

    make("postgres").execute(f"CREATE DATABASE {name} TEMPLATE prepared".encode())
    yield make
    for connection in opened:
        connection.close()


def end_in_the_middle(connect: Connect, query: str, end: End) -> None:
    """Run a query on a connection of its own until it has come to the gate, and end it there."""
    admin, running = connect(), connect()
    admin.execute("SELECT pg_advisory_lock(7)")
    errors: list[psycopg.Error] = []

    def run() -> None:
        try:
            running.execute(query.encode())
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not (found := answers(admin, WAITING)):
        assert time.monotonic() < deadline
        assert errors == []
        time.sleep(0.01)
    assert found == [running.info.backend_pid]
    end(admin, found[0])
    thread.join(30)
    assert not thread.is_alive()
    assert len(errors) == 1
    admin.close()


@pytest.mark.parametrize("end", [kill, terminate, cancel])
@pytest.mark.parametrize("kind", KINDS)
def test_a_first_run_that_is_ended_leaves_nothing(connect: Connect, kind: str, end: End) -> None:
    create = CREATE.format(KINDS[kind])
    end_in_the_middle(connect, create, end)
    connection = connect()
    assert answers(connection, RELATIONS) == []
    assert answers(connection, "SELECT name FROM modeldb.prediction_set") == []
    connection.execute(create.encode())
    assert answer(connection, WRONG, 1) == 0


@pytest.mark.parametrize("end", [kill, terminate, cancel])
@pytest.mark.parametrize("kind", KINDS)
def test_a_refresh_that_is_ended_changes_nothing(connect: Connect, kind: str, end: End) -> None:
    connection = connect()
    connection.execute(CREATE.format(KINDS[kind]).encode())
    connection.execute("SELECT promote('m', 2)")
    connection.execute("UPDATE rows SET b = 1, changed_at = clock_timestamp() WHERE id % 100 < 10")
    connection.execute("DELETE FROM rows WHERE id % 100 = 50")
    before, relations = answer(connection, FOUND), answers(connection, RELATIONS)
    end_in_the_middle(connect, REFRESH, end)
    connection = connect()
    assert answer(connection, FOUND) == before
    assert answers(connection, RELATIONS) == relations
    assert answer(connection, "SELECT count(*) FROM modeldb.batch_runs") == 1, "a run that was ended has no record"
    assert answer(connection, "SELECT error FROM refresh_predictions('scores')") is None
    assert answer(connection, WRONG, 2) == 0
    assert answers(connection, RELATIONS) == relations
