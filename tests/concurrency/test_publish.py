"""Promotions against connections that are warm, prepared, running, or in an older snapshot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from support.fixtures import Session
from support.models import Trained
from support.tables import write_table

import modeldb

ONE = "SELECT predict('m', p) FROM patients p WHERE row_id = 1"


def value(connection: psycopg.Connection, query: str = ONE) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_takes_effect_at_commit(two: modeldb.Database, session: Session) -> None:
    publisher, reader = session(), session()
    assert value(reader) == 0
    with publisher.transaction():
        value(publisher, "SELECT promote('m', 2)")
        assert value(publisher) == 1
        assert value(reader) == 0
    assert value(reader) == 1


def test_is_undone_by_rollback(two: modeldb.Database, session: Session) -> None:
    publisher, reader = session(), session()
    assert value(reader) == 0
    with publisher.transaction(force_rollback=True):
        value(publisher, "SELECT promote('m', 2)")
        assert value(publisher) == 1
    assert value(publisher) == 0
    assert value(reader) == 0


def test_savepoint_is_undone(two: modeldb.Database, session: Session) -> None:
    publisher = session()
    with publisher.transaction():
        with publisher.transaction(force_rollback=True):
            value(publisher, "SELECT promote('m', 2)")
            assert value(publisher) == 1
        assert value(publisher) == 0
    assert value(publisher) == 0


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan", "auto"])
def test_prepared_statement_sees_promotion_and_rollback(two: modeldb.Database, session: Session, mode: str) -> None:
    reader = session()
    reader.execute(f"SET plan_cache_mode = {mode}".encode())
    reader.execute("PREPARE score(bigint) AS SELECT predict('m', p) FROM patients p WHERE row_id = $1")
    for change, expected in [(None, 0), ("promote('m', 2)", 1), ("rollback('m')", 0), ("promote('m', 2)", 1)]:
        if change:
            two.query(f"SELECT modeldb.{change}")
        assert [value(reader, "EXECUTE score(1)") for _ in range(7)] == [expected] * 7


def test_plpgsql_function_sees_promotion(two: modeldb.Database, session: Session) -> None:
    reader = session()
    reader.execute(
        "CREATE FUNCTION score(id bigint) RETURNS float8 LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN (SELECT predict('m', p) FROM patients p WHERE row_id = id); END $$"
    )
    assert [value(reader, "SELECT score(1)") for _ in range(7)] == [0] * 7
    two.promote("m", 2)
    assert value(reader, "SELECT score(1)") == 1


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 30 s"
        time.sleep(0.01)


def waiting(session: Session, pid: int) -> Callable[[], object]:
    watcher = session()
    return lambda: value(watcher, f"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = {pid}")


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_running_statement_is_answered_by_one_version(two: modeldb.Database, session: Session, isolation: str) -> None:
    """The statement stops at row 100 until the promotion is committed; its other rows follow afterwards."""
    publisher, reader = session(), session()
    publisher.execute("SELECT pg_advisory_lock(7)")
    query = """SELECT predict('m', p), predict_proba('m', p, '1'),
               CASE WHEN row_id = 100 THEN pg_advisory_xact_lock(7) END FROM patients p ORDER BY row_id"""
    expected = [row[0] for row in publisher.execute("SELECT predict('m/1', p) FROM patients p ORDER BY row_id")]
    found: list[tuple[float, float]] = []

    def read() -> None:
        with reader.transaction():
            reader.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
            found.extend((row[0], row[1]) for row in reader.execute(query.encode()))

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(waiting(session, reader.info.backend_pid))
    value(publisher, "SELECT promote('m', 2)")
    publisher.execute("SELECT pg_advisory_unlock(7)")
    thread.join()
    assert [number for number, _ in found] == expected
    assert all((probability > 0.5) == number for number, probability in found)
    assert value(reader) == 1


def test_cursor_keeps_its_version(two: modeldb.Database, session: Session) -> None:
    reader = session()
    with reader.transaction():
        reader.execute("DECLARE c CURSOR FOR SELECT predict('m', p) = predict('m/1', p) FROM patients p")
        first = reader.execute("FETCH 100 FROM c").fetchall()
        two.promote("m", 2)
        rest = reader.execute("FETCH ALL FROM c").fetchall()
    assert set(first + rest) == {(True,)}
    assert len(rest) > 100


def test_old_snapshot_is_answered_by_its_version_and_leaves_no_trace(two: modeldb.Database, session: Session) -> None:
    """The stale-cache trap: the plan has the new epoch, the snapshot does not see what belongs to it."""
    reader = session()
    with reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert value(reader, "SELECT count(*) FROM patients") == 569  # takes the snapshot
        two.promote("m", 2)
        assert value(reader) == 0
        assert value(reader) == 0
        assert value(reader, "SELECT modeldb._epoch()") > value(reader, "SELECT max(epoch) FROM modeldb.publication")
    assert value(reader) == 1, "what the old snapshot resolved was kept under the new epoch"


def test_warm_cache_of_a_new_epoch_does_not_leak_into_an_old_snapshot(two: modeldb.Database, session: Session) -> None:
    """The other way around: a cached route is one of its epoch; the old snapshot's plan has the same epoch."""
    reader, other = session(), session()
    assert value(other) == 0
    with reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert value(reader) == 0
        two.promote("m", 2)
        assert value(other) == 1
        assert value(reader) == 0, "a transaction is answered by one version"
        assert value(reader, "SELECT predict('m@champion', p) FROM patients p WHERE row_id = 1") == 0
    assert value(reader) == 1


def test_epoch_of_an_aborted_registration_is_not_used_again(
    db: modeldb.Database, session: Session, cancer: Trained, cancer2: Trained
) -> None:
    write_table(db, "patients", cancer.X)
    publisher = session()
    db.register("a", cancer.estimator, sample=cancer.X)
    db.register("b", cancer2.estimator, sample=cancer.X)
    copy = """SELECT register_model('m', (SELECT string_agg(data, '' ORDER BY seq) FROM modeldb.load('{}')),
              describe('{}') -> 'signature')"""
    with publisher.transaction(force_rollback=True):
        publisher.execute(copy.format("a", "a").encode())
        assert value(publisher) == 0
    publisher.execute(copy.format("b", "b").encode())
    assert value(publisher) == 1


def test_concurrent_promotions_are_serialised(two: modeldb.Database, session: Session) -> None:
    first, second = session(), session()
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.append(value(second, "SELECT promote('m', 1, 'challenger')")))
    with first.transaction():
        value(first, "SELECT promote('m', 2)")
        thread.start()
        wait_until(waiting(session, second.info.backend_pid))
        assert not done
    thread.join()
    assert done == [1]
    aliases = {row["alias"]: row["version"] for row in two.query("SELECT * FROM modeldb.aliases")}
    assert aliases == {"champion": 2, "challenger": 1}


def test_publishing_in_an_outdated_snapshot_is_a_serialization_failure(two: modeldb.Database, session: Session) -> None:
    publisher = session()
    publisher.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    value(publisher, "SELECT 1")
    two.promote("m", 2)
    with pytest.raises(psycopg.errors.SerializationFailure):
        value(publisher, "SELECT retire('m', 1)")
    publisher.execute("ROLLBACK")
    assert two.versions("m")[0]["retired_at"] is None


def test_simultaneous_registrations_get_versions_of_their_own(
    db: modeldb.Database, cancer: Trained, cancer2: Trained
) -> None:
    models = [cancer, cancer2] * 3
    threads = [
        threading.Thread(target=lambda m=m: db.register("m", m.estimator, sample=m.X), name=str(i))
        for i, m in enumerate(models)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["version"] for row in db.versions("m")] == [1, 2, 3, 4, 5, 6]
    assert db.query("SELECT count(*) AS n FROM modeldb.artifact")[0]["n"] == 2


def test_readers_never_see_a_mixture_while_champions_change(two: modeldb.Database, session: Session) -> None:
    """predict() and predict_proba() of one statement are of one version, however often the champion changes."""
    stop = threading.Event()
    mixed: list[object] = []

    def read() -> None:
        reader = session()
        reader.execute("PREPARE score AS SELECT sum(predict('m', p)), sum(predict('m', p)) FROM patients p")
        answers = {
            value(reader, "SELECT sum(predict('m/1', p)) FROM patients p"),
            value(reader, "SELECT sum(predict('m/2', p)) FROM patients p"),
        }
        while not stop.is_set():
            row = reader.execute("EXECUTE score").fetchone()
            if row is None or row[0] != row[1] or row[0] not in answers:
                mixed.append(row)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(40):
        two.promote("m", 2)
        two.rollback("m")
    stop.set()
    thread.join()
    assert not mixed
