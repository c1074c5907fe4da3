"""Who reads predictions while they are refreshed: no error, no wait, one version, all rows."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
from support.answers import answer, answers
from support.fixtures import Session
from support.registering import Register

ROWS = 3000
REFRESHES = 100
READERS, PER_SECOND = 5, 50
LIMIT = 0.1  # seconds that a reader's statement may take

# Version k predicts k * a + b, so that a prediction tells the version that it is of.
READ = """
    SELECT count(*), count(DISTINCT model_version), count(DISTINCT scored_at),
        count(*) FILTER (WHERE prediction IS DISTINCT FROM model_version * a + b)
    FROM scores"""
OF_THE_TABLE = "SELECT count(*), sum(a), count(DISTINCT b), count(*) FILTER (WHERE a < 0) FROM rows"
WRITE = """
    WITH gone AS (DELETE FROM rows WHERE id = (SELECT min(id) FROM rows)),
         new AS (INSERT INTO rows (id, a, b) SELECT max(id) + 1, random(), random() FROM rows)
    UPDATE rows SET b = random(), changed_at = clock_timestamp() WHERE id > 1000 AND id %% 100 = %s"""


@dataclass
class Seen:
    """What a reader found: all rows that its statements gave, and how long each took, in seconds."""

    rows: set[tuple[int, ...]] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def slow(self) -> float:
        """The share of the statements that took longer than the limit."""
        return sum(taken > LIMIT for taken in self.times) / len(self.times)


@contextmanager
def reading(session: Session, query: str, seen: Seen) -> Iterator[None]:
    """Readers at work during the block. The server makes an error of it if they wait for a lock."""
    stop = threading.Event()
    connections = [session() for _ in range(READERS)]

    def read(connection: psycopg.Connection) -> None:
        connection.execute("SET lock_timeout = '1ms'")
        due = time.monotonic()
        while not stop.wait(max(due - time.monotonic(), 0)):
            due, began = due + READERS / PER_SECOND, time.monotonic()
            try:
                seen.rows.update(connection.execute(query.encode()).fetchall())
            except psycopg.Error as error:
                seen.errors.append(error)
                return
            seen.times.append(time.monotonic() - began)

    threads = [threading.Thread(target=read, args=[connection]) for connection in connections]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def promoting(session: Session) -> Iterator[None]:
    """One version after the other becomes champion during the block, at any moment of a refresh."""
    stop, connection = threading.Event(), session()

    def promote() -> None:
        for version in itertools.cycle((1, 2, 3)):
            answer(connection, "SELECT promote('m', %s)", version)
            if stop.wait(0.01):
                return

    thread = threading.Thread(target=promote)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def scores(sql: psycopg.Connection, register: Register) -> psycopg.Connection:
    """The table rows, and three versions of the model m."""
    for weight in (1.0, 2.0, 3.0):
        register(weight)
    sql.execute("CREATE TABLE rows (id bigint PRIMARY KEY, a float8, b float8, changed_at timestamptz DEFAULT now())")
    sql.execute("INSERT INTO rows SELECT i, random(), random() FROM generate_series(1, %s) i", [ROWS])
    return sql


@pytest.mark.parametrize("options", ["", ", incremental => true, changed_at => 'changed_at'"])
def test_readers_notice_nothing_of_a_hundred_refreshes(
    scores: psycopg.Connection, session: Session, options: str
) -> None:
    """A reader that a refresh holds up waits for a lock, which lock_timeout makes an error of on any machine.

    The clock counts the machine's own pauses too: those that readers of a table have that no refresh touches, and one
    statement of a hundred, are let pass.
    """
    scores.execute(f"SELECT create_predictions('scores', 'm', 'rows', 'id', '{{a,b}}'{options})".encode())
    seen, compared = Seen(), Seen()
    began = time.monotonic()
    with reading(session, READ, seen), reading(session, OF_THE_TABLE, compared), promoting(session):
        for number in range(REFRESHES):
            scores.execute(WRITE, [number])
            assert answer(scores, "SELECT error IS NULL FROM refresh_predictions('scores')")
    seconds = time.monotonic() - began
    assert seen.errors == []
    assert seen.rows == {(ROWS, 1, 1, 0)}
    assert len(seen.times) > 0.8 * PER_SECOND * seconds
    assert seen.slow() <= compared.slow() + 0.01, sorted(seen.times)[-20:]
    assert set(answers(scores, "SELECT version FROM modeldb.batch_runs")) == {1, 2, 3}
    assert answer(scores, "SELECT count(*) FROM modeldb.publication") > REFRESHES / 4


@pytest.mark.parametrize("options", ["", ", incremental => true, changed_at => 'changed_at'"])
def test_a_snapshot_keeps_its_version_and_holds_up_no_refresh(
    scores: psycopg.Connection, session: Session, options: str
) -> None:
    scores.execute(f"SELECT create_predictions('scores', 'm', 'rows', 'id', '{{a,b}}'{options})".encode())
    reader = session()
    query = "SELECT string_agg(s::text, ' ' ORDER BY id) FROM scores s"
    with reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = answer(reader, query)
        answer(scores, "SELECT promote('m', 2)")
        scores.execute(WRITE, [1])
        scores.execute("SET lock_timeout = '1s'")
        assert answer(scores, "SELECT error FROM refresh_predictions('scores')") is None
        assert answer(reader, query) == before
    assert answer(reader, query) != before
    assert reader.execute(READ.encode()).fetchone() == (ROWS, 1, 1, 0)


def test_a_run_holds_up_nobody_but_other_runs(scores: psycopg.Connection, session: Session) -> None:
    scores.execute("SELECT create_predictions('scores', 'm', 'rows', 'id')")
    other = session()
    other.execute("SET lock_timeout = '1s'")
    with scores.transaction():
        assert answer(scores, "SELECT error FROM refresh_predictions('scores')") is None
        for query in (
            "SELECT schedule_predictions('scores', '0 5 1 1 *')",
            "SELECT describe_predictions('scores')",
            "SELECT name FROM modeldb.predictions",
            "SELECT unschedule_predictions('scores')",
            "SELECT create_predictions('others', 'm', 'rows', 'id')",
            "SELECT promote('m', 2)",
            "UPDATE rows SET a = 1 WHERE id = 1 RETURNING id",
        ):
            answer(other, query)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("SELECT refresh_predictions('scores')")
    assert answer(other, "SELECT error FROM refresh_predictions('scores')") is None
