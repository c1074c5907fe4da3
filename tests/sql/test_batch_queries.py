"""predict_batch() wherever SQL takes a table, and when the statement ends early."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers
from support.batch import Connect
from support.flowers import Garden

pytestmark = pytest.mark.usefixtures("batch_models")


LONG = "'SELECT i AS id, i AS a, 0 AS b FROM generate_series(1, 12000) AS i', 'id'"


def test_an_early_end(reader: psycopg.Connection) -> None:
    """LIMIT leaves the rest of the source unread; the session goes on, also within the transaction."""
    limited = f"SELECT prediction FROM predict_batch('m', {LONG}) LIMIT 2"
    for _ in range(3):
        assert answers(reader, limited) == [2.0, 4.0]
    with reader.transaction():
        for _ in range(3):
            assert answers(reader, limited) == [2.0, 4.0]
            assert answer(reader, f"SELECT max(prediction) FROM predict_batch('m', {LONG})") == 24000
        assert answer(reader, f"SELECT EXISTS (SELECT FROM predict_batch('m', {LONG}))")
        assert answer(reader, "SELECT predict('m', ARRAY[1, 1])") == 3
    assert answer(reader, "SELECT count(*) FROM pg_cursors") == 0
    assert answer(reader, f"SELECT count(*) FROM predict_batch('m', {LONG})") == 12000


def test_rows_that_are_not_read_cannot_be_wrong(reader: psycopg.Connection) -> None:
    source = "'SELECT i AS a, 1 / (i - 11000) AS b FROM generate_series(1, 12000) AS i'"
    assert answer(reader, f"SELECT prediction FROM predict_batch('m', {source}) LIMIT 1") == 2
    with pytest.raises(psycopg.errors.DivisionByZero):
        reader.execute(f"SELECT count(*) FROM predict_batch('m', {source})".encode())


def test_several_in_one_query(garden: Garden, reader: psycopg.Connection) -> None:
    """Merged row by row, so that their chunks come in turn."""
    query = f"""SELECT count(*), sum(two.prediction - one.prediction) FROM
        (SELECT *, row_number() OVER () AS n FROM predict_batch('m/1', {LONG})) AS one
        JOIN (SELECT *, row_number() OVER () AS n FROM predict_batch('m/2', {LONG})) AS two USING (n)"""
    assert reader.execute(query.encode()).fetchall() == [(12000, 12000 * 12001 / 2)]
    query = "SELECT prediction IS NULL, count(*) FROM (TABLE w UNION ALL TABLE s) AS u GROUP BY 1 ORDER BY 1"
    both_models = """WITH w AS (SELECT * FROM predict_batch('width', 'flowers')),
        s AS (SELECT * FROM predict_batch('species', 'flowers'))"""
    assert reader.execute(f"{both_models} {query}".encode()).fetchall() == [(False, 150), (True, 150)]


def test_predictions_of_predictions(reader: psycopg.Connection) -> None:
    inner = f"SELECT prediction AS a, 1 AS b FROM predict_batch(''m'', {LONG.replace(chr(39), chr(39) * 2)})"
    assert answer(reader, f"SELECT max(prediction) FROM predict_batch('m', '{inner}')") == 48001


def test_lateral_by_model(reader: psycopg.Connection) -> None:
    query = """SELECT v.model, b.prediction FROM (VALUES ('m/1'), ('m/2')) AS v (model),
               LATERAL predict_batch(v.model, 'SELECT 1 AS a, 1 AS b') AS b ORDER BY 1"""
    assert reader.execute(query.encode()).fetchall() == [("m/1", 3.0), ("m/2", 4.0)]


def test_in_the_select_list_and_as_a_table(scratch: psycopg.Connection) -> None:
    assert answer(scratch, "SELECT (predict_batch('m', 'SELECT 1 AS a, 1 AS b')).prediction") == 3
    scratch.execute(f"CREATE TABLE made AS SELECT * FROM predict_batch('m', {LONG})".encode())
    scratch.execute(f"INSERT INTO made SELECT * FROM predict_batch('m', {LONG}) ON CONFLICT DO NOTHING".encode())
    scratch.execute(f"CREATE VIEW seen AS SELECT * FROM predict_batch('m', {LONG})".encode())
    assert answer(scratch, "SELECT count(*) FROM made") == 24000
    assert answer(scratch, "SELECT count(*) FROM seen") == 12000


def test_a_loop_with_commits(connect: Connect) -> None:
    """PL/pgSQL reads the rows by a cursor, which a COMMIT has to finish first."""
    connection = connect()
    connection.execute("CREATE TABLE IF NOT EXISTS log (n int); TRUNCATE log")
    connection.execute(
        f"""DO $$ DECLARE r record; BEGIN
        FOR r IN SELECT * FROM predict_batch('m', {LONG}) LOOP
            IF r.row_key::int % 4000 = 0 THEN INSERT INTO log VALUES (r.prediction); COMMIT; END IF;
        END LOOP; END $$""".encode()
    )
    assert answers(connection, "SELECT n FROM log") == [8000, 16000, 24000]


@pytest.mark.parametrize("hold", ["", "WITH HOLD"])
def test_a_cursor(reader: psycopg.Connection, hold: str) -> None:
    with reader.transaction():
        reader.execute(f"DECLARE walk CURSOR {hold} FOR SELECT prediction FROM predict_batch('m', {LONG})".encode())
        assert answers(reader, "FETCH 2 FROM walk") == [2.0, 4.0]
        assert answer(reader, "SELECT predict('m', ARRAY[1, 1])") == 3
        reader.execute("SAVEPOINT s; SELECT 1; ROLLBACK TO s")
        assert len(answers(reader, "FETCH 11000 FROM walk")) == 11000
        reader.execute("CLOSE walk")


def test_an_error_that_is_caught(reader: psycopg.Connection) -> None:
    wrong = "'SELECT i AS id, 1 AS a, nullif(i, 11000) AS b FROM generate_series(1, 12000) AS i'"
    reader.execute(
        f"""DO $$ DECLARE n int; BEGIN
        FOR i IN 1..3 LOOP
            BEGIN
                SELECT count(*) INTO n FROM predict_batch('m', {wrong}, 'id');
                RAISE EXCEPTION 'not refused';
            EXCEPTION WHEN SQLSTATE 'MD204' THEN
                SELECT count(*) INTO n FROM predict_batch('m', {LONG});
                ASSERT n = 12000;
            END;
        END LOOP; END $$""".encode()
    )


def test_cancellation_in_the_middle(connect: Connect) -> None:
    connection = connect()
    slow = "SELECT i AS a, pg_sleep(0.001) IS NULL AS b FROM generate_series(1, 100000) AS i"
    assert answer(connection, "SELECT prediction FROM predict_batch('m', 'SELECT 1 AS a, 1 AS b')") == 3
    connection.execute("SET statement_timeout = '100ms'")
    for _ in range(2):
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT count(*) FROM predict_batch('m', %s)", [slow])
    connection.execute("SET statement_timeout = 0")
    assert answer(connection, f"SELECT count(*) FROM predict_batch('m', {LONG})") == 12000


def test_one_snapshot_for_all_chunks(connect: Connect) -> None:
    """Rows that come while the statement runs are not in it, and the version stays."""
    one, other = connect(), connect()
    one.execute("CREATE TABLE growing AS SELECT i AS a, 0 AS b FROM generate_series(1, 12000) i")
    one.execute("BEGIN; DECLARE walk CURSOR FOR SELECT prediction FROM predict_batch('m', 'growing')")
    assert answers(one, "FETCH 1 FROM walk") == [2.0]
    other.execute("INSERT INTO growing VALUES (1, 1); SELECT promote('m', 2)")
    try:
        rest = answers(one, "FETCH ALL FROM walk")
    finally:
        other.execute("SELECT promote('m', 1)")
    assert rest == [2.0 * i for i in range(2, 12001)]
    one.execute("COMMIT")
