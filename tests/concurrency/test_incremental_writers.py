"""Incremental predictions under writers that do anything: in the end they are what scoring everything gives."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import psycopg
import pytest
from support.answers import answer
from support.fixtures import Session
from support.registering import Register
from support.workers import until

ROWS = 2000
WRITERS = 4
SECONDS = 20.0
OWN = (10**6, 2 * 10**6)
LONG = 14.0
"""Longer than the 10 seconds that a run goes back in any case (_COMPLETE_UNTIL in modeldb.server.batch.incremental)."""

TABLE = f"""
    CREATE TABLE rows (
        id bigint PRIMARY KEY DEFERRABLE, a float8, b float8, note text, unread text, changed_at timestamptz);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.changed_at := CASE WHEN random() < 0.5 THEN now() ELSE clock_timestamp() END;
        RETURN NEW;
    END $$;
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON rows FOR EACH ROW EXECUTE FUNCTION touch();
    INSERT INTO rows SELECT i, random(), random(), 'n', 'u' FROM generate_series(1, {ROWS}) i;
    ANALYZE rows"""
SOME = "id IN (SELECT id FROM rows WHERE id < 1000000 OFFSET {at} LIMIT {count})"
CHANGES = {
    "insert": "INSERT INTO rows SELECT {key} + i, random(), random(), 'n', 'u' FROM generate_series(1, {count}) i",
    "read column": "UPDATE rows SET a = random() WHERE " + SOME,
    "unknown": "UPDATE rows SET a = NULL WHERE " + SOME,
    "to and fro": "UPDATE rows SET b = 1 - b WHERE " + SOME,
    "carried column": "UPDATE rows SET note = md5(random()::text) WHERE " + SOME,
    "unread column": "UPDATE rows SET unread = md5(random()::text) WHERE " + SOME,
    "delete": "DELETE FROM rows WHERE " + SOME,
    "key": "UPDATE rows SET id = {key} WHERE id = (SELECT id FROM rows WHERE id < 1000000 OFFSET {at} LIMIT 1)",
    "keys swapped": "UPDATE rows SET id = 2 * {key} + {count} - id WHERE id IN ({key}, {key} + {count})",
    "anew": f"""WITH old AS (DELETE FROM rows WHERE {SOME} RETURNING id, note)
        INSERT INTO rows SELECT id, random(), random(), note FROM old""",
}
EXPECTED = """
    SELECT r.id, r.note, p.prediction, p.error
    FROM rows r JOIN predict_batch('m', 'rows', 'id', on_error => 'null') p ON p.row_key = r.id::text"""
FOUND = "SELECT id, note, prediction, error FROM scores"
GIVEN_UP = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
)


class Writer:
    """A connection that changes rows, in transactions of all kinds."""

    def __init__(self, connection: psycopg.Connection, seed: int) -> None:
        self.connection, self.random, self.done = connection, random.Random(seed), Counter[str]()
        connection.execute("SET lock_timeout = '200ms'")

    def write(self, end: float) -> None:
        while time.monotonic() < end:
            pause = self.random.choice((0.0, 0.0, 0.0, 0.02, 0.3, 2.0))
            try:
                with self.connection.transaction(force_rollback=self.random.random() < 0.2):
                    made = [self.change(self.random.choice(list(CHANGES))) for _ in range(self.random.randint(1, 4))]
                    time.sleep(pause)
            except GIVEN_UP:
                made = ["given up"]
            self.done.update(made)

    def change(self, kind: str) -> str:
        at, count, key = self.random.randrange(ROWS), self.random.randint(1, 5), self.random.randrange(2 * ROWS)
        self.connection.execute(CHANGES[kind].format(at=at, count=count, key=key).encode())
        return kind

    def write_long(self, mine: int, before: float, after: float) -> None:
        """One transaction that changes rows of its own; many runs come and go before it commits."""
        with self.connection.transaction():
            self.connection.execute("SELECT now()")
            time.sleep(before)
            self.connection.execute("UPDATE rows SET a = a + 1 WHERE id > %s AND id <= %s + 20", [mine, mine])
            time.sleep(after)


@pytest.fixture
def rows(sql: psycopg.Connection, register: Register) -> psycopg.Connection:
    """The table rows with incremental predictions of it; two sets of twenty rows are nobody's but write_long()'s."""
    register(2.0)
    sql.execute(TABLE.encode())
    sql.execute("INSERT INTO rows SELECT o + i, i, 0 FROM generate_series(1, 20) i, unnest(%s::int[]) o", [list(OWN)])
    sql.execute(
        """SELECT create_predictions('scores', 'm', 'rows', 'id', '{note}', on_error => 'null', incremental => true,
            changed_at => 'changed_at')"""
    )
    return sql


def differences(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """The rows that the stored predictions and those of the whole table do not share."""
    query = f"""(({EXPECTED}) EXCEPT ALL ({FOUND})) UNION ALL (({FOUND}) EXCEPT ALL ({EXPECTED}))"""
    return connection.execute(query.encode()).fetchall()


def test_a_run_after_concurrent_writers_gives_what_a_full_scoring_gives(
    rows: psycopg.Connection, session: Session
) -> None:
    end = time.monotonic() + SECONDS
    writers = [Writer(session(), seed) for seed in range(WRITERS)]
    long = [Writer(session(), seed) for seed in range(len(OWN))]
    threads = [threading.Thread(target=writer.write, args=[end]) for writer in writers]
    for writer, mine, waits in zip(long, OWN, [(0.0, LONG), (LONG, 0.0)], strict=True):
        threads.append(threading.Thread(target=writer.write_long, args=[mine, *waits]))
    for thread in threads:
        thread.start()
    scored: list[int] = []
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.3)
        scored.append(answer(rows, "SELECT scored FROM refresh_predictions('scores')"))
    done = sum((writer.done for writer in writers), Counter[str]())
    assert all(done[kind] > 10 for kind in CHANGES), done
    assert answer(rows, "SELECT error FROM refresh_predictions('scores')") is None
    assert differences(rows) == []
    assert max(scored) < ROWS / 2, "a run has scored everything"


def test_columns_that_are_not_read_score_nothing(rows: psycopg.Connection) -> None:
    rows.execute("UPDATE rows SET note = 'other', unread = 'other'")
    assert answer(rows, "SELECT scored FROM refresh_predictions('scores')") == 0
    assert differences(rows) == []
    rows.execute("UPDATE rows SET b = b + 1 WHERE id <= 30")
    assert answer(rows, "SELECT scored FROM refresh_predictions('scores')") == 30
    assert differences(rows) == []


UNTIL = "SELECT complete_until FROM modeldb.prediction_set"


def test_time_stands_still_while_a_session_does_not_show_its_transactions(
    rows: psycopg.Connection, session: Session
) -> None:
    hidden, before = session(), answer(rows, UNTIL)
    hidden.execute("SET track_activities = off")
    with hidden.transaction():
        hidden.execute("UPDATE rows SET a = a + 1 WHERE id < 10")
        rows.execute("SELECT refresh_predictions('scores')")
        assert answer(rows, UNTIL) == before
    hidden.close()
    until(lambda: answer(rows, "SELECT count(*) FROM pg_stat_activity WHERE state = 'disabled'") == 0, "it is gone")
    assert answer(rows, "SELECT scored FROM refresh_predictions('scores')") == 9
    assert answer(rows, UNTIL) > before


def test_time_stands_still_in_an_old_snapshot(rows: psycopg.Connection, session: Session) -> None:
    """Rows that the snapshot does not see yet may have any time until now."""
    refresher, before = session(), answer(rows, UNTIL)
    with refresher.transaction():
        refresher.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        refresher.execute("SELECT count(*) FROM rows")
        rows.execute("UPDATE rows SET a = a + 1 WHERE id < 10")
        assert answer(refresher, "SELECT scored FROM refresh_predictions('scores')") == 0
    assert answer(rows, UNTIL) == before
    assert answer(rows, "SELECT scored FROM refresh_predictions('scores')") == 9
    assert differences(rows) == []
