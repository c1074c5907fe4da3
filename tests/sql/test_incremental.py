"""Incremental predictions: what is scored again and what is not, and that nothing is missed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import Connect, run, stored_rows, wrong_rows

from modeldb.errors import InvalidArgument, InvalidSource, NonFiniteFeature, WrongType

TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, a float8 NOT NULL, b float8 NOT NULL, note text, unread jsonb,
        updated_at timestamptz DEFAULT now());
    INSERT INTO t SELECT i, i, i * 0.5, 'n' || i, '{}', now() - interval '1 day' FROM generate_series(1, 200) AS i"""
CREATE = """create_predictions('p', 'm', 't', 'id', columns => ARRAY['note'], incremental => true,
    changed_at => 'updated_at')"""


@pytest.fixture
def orders(clean: psycopg.Connection) -> psycopg.Connection:
    """A table of 200 orders, and incremental predictions p of it, by its column updated_at."""
    clean.execute(TABLE.encode())
    assert run(clean, CREATE)["scored"] == 200
    return clean


def refreshed(connection: psycopg.Connection, full: bool = False) -> tuple[Any, Any]:
    """(rows, scored) of a refresh, after which every prediction is right."""
    found = run(connection, f"refresh_predictions('p', {full})")
    assert found["error"] is None
    assert wrong_rows(connection, "p", "t", "m", "id") == []
    assert answers(connection, "SELECT o.id FROM t o JOIN p USING (id) WHERE o.note IS DISTINCT FROM p.note") == []
    assert answer(connection, "SELECT rows FROM modeldb.predictions") == found["rows"]
    return found["rows"], found["scored"]


TOUCH = "updated_at = clock_timestamp()"
CHANGES = [
    ("nothing", "SELECT", (200, 0)),
    ("a feature", f"UPDATE t SET a = a + 1, {TOUCH} WHERE id <= 7", (200, 7)),
    ("a feature, to what it was", f"UPDATE t SET a = a + 0, {TOUCH} WHERE id <= 7", (200, 0)),
    ("a column that is not read", f"UPDATE t SET unread = '[1]', {TOUCH}", (200, 0)),
    ("a column that is carried along", f"UPDATE t SET note = 'changed', {TOUCH} WHERE id <= 7", (200, 0)),
    ("a carried column to NULL", f"UPDATE t SET note = NULL, {TOUCH} WHERE id <= 7", (200, 0)),
    ("both", f"UPDATE t SET note = 'changed', a = -a, {TOUCH} WHERE id <= 7", (200, 7)),
    ("new rows", "INSERT INTO t SELECT i, i, i, 'new' FROM generate_series(201, 205) AS i", (205, 5)),
    ("rows are gone", "DELETE FROM t WHERE id > 150", (150, 0)),
    ("all rows are gone", "TRUNCATE t", (0, 0)),
    ("a new key", f"UPDATE t SET id = id + 1000, {TOUCH} WHERE id <= 3", (200, 3)),
    ("as many new rows as gone ones", "DELETE FROM t WHERE id < 6; INSERT INTO t"
     " SELECT i, 0, i FROM generate_series(301, 305) AS i", (200, 5)),
    ("changed_at is NULL", "UPDATE t SET b = 0, updated_at = NULL WHERE id <= 4", (200, 4)),
    ("old rows come", "INSERT INTO t SELECT i, i, i, 'old', NULL, '2001-01-01' FROM generate_series(201, 209) AS i",
     (209, 9)),
    ("old rows come while others go", "DELETE FROM t WHERE id > 195; INSERT INTO t"
     " SELECT i, i, i, 'old', NULL, '2001-01-01' FROM generate_series(201, 209) AS i", (204, 9)),
    ("infinity", "UPDATE t SET b = 3, updated_at = 'infinity' WHERE id <= 4", (200, 4)),
    ("zero with the other sign", f"UPDATE t SET a = '-0', b = 0, {TOUCH} WHERE id <= 4", (200, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_what_is_scored_again(orders: psycopg.Connection, statement: str, expected: tuple[int, int]) -> None:
    orders.execute(statement.encode())
    assert refreshed(orders) == expected
    assert refreshed(orders) == (expected[0], 0)
    assert refreshed(orders, full=True) == (expected[0], expected[0])


def test_a_row_that_stays_the_same_is_not_written_again(orders: psycopg.Connection) -> None:
    before = stored_rows(orders, "p_stored")
    orders.execute(f"UPDATE t SET a = 1 + a, {TOUCH} WHERE id IN (5, 6)".encode())
    orders.execute(f"UPDATE t SET note = 'x', {TOUCH} WHERE id = 7".encode())
    refreshed(orders)
    after = stored_rows(orders, "p_stored")
    assert {key for key in after if after[key] != before[key]} == {"5", "6", "7"}
    refreshed(orders, full=True)
    assert stored_rows(orders, "p_stored") == after


def test_another_version_scores_everything_again(orders: psycopg.Connection) -> None:
    orders.execute("SELECT promote('m', 2)")
    assert answer(orders, "SELECT behind FROM modeldb.predictions")
    assert refreshed(orders) == (200, 200)
    assert answers(orders, "SELECT DISTINCT model_version FROM p") == [2]
    assert not answer(orders, "SELECT behind FROM modeldb.predictions")
    assert refreshed(orders) == (200, 0)


@pytest.mark.parametrize("how", ["version", "full"])
def test_a_carried_column_changes_along_with_the_version(orders: psycopg.Connection, how: str) -> None:
    if how == "version":
        orders.execute("SELECT promote('m', 2)")
    orders.execute(f"UPDATE t SET note = 'new', {TOUCH} WHERE id <= 7".encode())
    assert refreshed(orders, full=how == "full") == (200, 200)


def test_without_changed_at_every_row_is_compared(orders: psycopg.Connection) -> None:
    orders.execute("SELECT drop_predictions('p')")
    assert run(orders, "create_predictions('p', 'm', 't', 'id', incremental => true, columns => '{note}')")
    orders.execute("UPDATE t SET a = 0 WHERE id = 3; UPDATE t SET note = '' WHERE id = 4")
    assert refreshed(orders) == (200, 1)
    orders.execute("DELETE FROM t WHERE id < 5")
    assert refreshed(orders) == (196, 0)


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_types_of_changed_at(orders: psycopg.Connection, kind: str, zone: str) -> None:
    """A time without a time zone is taken for one of any zone."""
    orders.execute("SELECT drop_predictions('p')")
    orders.execute(f"SET TimeZone = '{zone}'; ALTER TABLE t ALTER updated_at TYPE {kind}".encode())
    run(orders, CREATE)
    orders.execute("SET TimeZone = 'UTC'")
    now = "now()" if kind == "timestamptz" else f"now() AT TIME ZONE '{zone}'"
    orders.execute(f"UPDATE t SET a = -a, updated_at = {now} WHERE id <= 7".encode())
    assert refreshed(orders)[1] == 7


@pytest.mark.parametrize("column", ["note", "unread", "id"])
def test_changed_at_of_another_type_is_refused(orders: psycopg.Connection, column: str) -> None:
    call = f"SELECT create_predictions('q', 'm', 't', 'id', incremental => true, changed_at => '{column}')"
    refusal(orders, call, InvalidArgument, column, "timestamp")


def test_changed_at_needs_incremental_and_a_column(orders: psycopg.Connection) -> None:
    call = "SELECT create_predictions('q', 'm', 't', 'id', changed_at => {})"
    refusal(orders, call.format("'updated_at'"), InvalidArgument, "incremental")
    refusal(orders, call.format("'nothing', incremental => true"), InvalidSource, "'nothing'")
    assert answer(orders, "SELECT to_regclass('q')") is None


@contextmanager
def writing(connect: Connect, statement: str) -> Iterator[psycopg.Connection]:
    """A transaction that has run a statement and is still open; left to the block to commit."""
    writer = connect()
    writer.execute("BEGIN")
    writer.execute(statement.encode())
    yield writer


def test_transactions_that_commit_late(orders: psycopg.Connection, connect: Connect) -> None:
    """Their rows have the time of their beginning, long before the refreshes that do not see them."""
    with (
        writing(connect, "UPDATE t SET a = -a, updated_at = now() WHERE id <= 3") as update,
        writing(connect, "INSERT INTO t VALUES (300, 1, 1), (301, 2, 2)") as insert,
        writing(connect, "DELETE FROM t WHERE id = 200") as delete,
    ):
        _let_the_margin_pass(orders)
        for _ in range(2):
            assert refreshed(orders) == (200, 0)
            _let_the_margin_pass(orders)
        orders.execute(f"UPDATE t SET a = 0, {TOUCH} WHERE id = 100".encode())
        assert refreshed(orders) == (200, 1)
        _let_the_margin_pass(orders)
        update.execute("COMMIT")
        assert refreshed(orders) == (200, 3)
        delete.execute("COMMIT")
        insert.execute("COMMIT")
        assert refreshed(orders) == (201, 2)


def _let_the_margin_pass(connection: psycopg.Connection) -> None:
    """As if everything had been longer ago than the ten seconds of margin."""
    connection.execute("UPDATE modeldb.prediction_set SET complete_until = complete_until + interval '10 seconds'")


def test_complete_until_stays_behind_the_oldest_transaction(orders: psycopg.Connection, connect: Connect) -> None:
    until = "SELECT complete_until FROM modeldb.prediction_set"
    with writing(connect, "UPDATE t SET a = 0, updated_at = now() WHERE id = 1") as writer:
        began = answer(writer, "SELECT now()")
        orders.execute("SELECT pg_sleep(0.01)")
        for _ in range(2):
            refreshed(orders)
            assert answer(orders, until) < began
        writer.execute("ROLLBACK")
    refreshed(orders)
    assert answer(orders, "SELECT now()") > answer(orders, until) > began.replace(year=2000)


def test_in_repeatable_read_the_time_of_the_run_before_stays(orders: psycopg.Connection, connect: Connect) -> None:
    until = "SELECT complete_until FROM modeldb.prediction_set"
    before = answer(orders, until)
    other = connect()
    other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert answer(other, "SELECT count(*) FROM t") == 200
    orders.execute(f"UPDATE t SET a = 0, {TOUCH} WHERE id <= 2".encode())
    assert run(other, "refresh_predictions('p')")["scored"] == 0
    other.execute("COMMIT")
    assert answer(orders, until) == before
    assert refreshed(orders) == (200, 2)


def test_a_refresh_that_is_rolled_back_never_was(orders: psycopg.Connection) -> None:
    orders.execute(f"UPDATE t SET a = 0, {TOUCH} WHERE id <= 2".encode())
    before = orders.execute("SELECT * FROM p ORDER BY id").fetchall()
    runs = "SELECT count(*) FROM modeldb.batch_runs"
    with orders.transaction(force_rollback=True):
        assert refreshed(orders) == (200, 2)
        assert answer(orders, runs) == 2
    assert orders.execute("SELECT * FROM p ORDER BY id").fetchall() == before
    assert answer(orders, runs) == 1
    assert refreshed(orders) == (200, 2)


def test_duplicate_and_null_keys_that_come_later(orders: psycopg.Connection) -> None:
    """A failed run leaves the rows; the next good one catches up."""
    orders.execute("SELECT drop_predictions('p'); ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP NOT NULL")
    run(orders, CREATE)
    before = orders.execute("SELECT * FROM p ORDER BY id").fetchall()
    orders.execute("INSERT INTO t VALUES (7, 1, 1), (300, 1, 1)")
    for _ in range(2):
        found = run(orders, "refresh_predictions('p')")
        assert (found["sqlstate"], found["rows"], found["scored"]) == (InvalidSource.sqlstate, None, None)
        assert "key" in found["error"]
    orders.execute("UPDATE t SET id = NULL WHERE id = 7 AND a = 1")
    found = run(orders, "refresh_predictions('p')")
    assert found["sqlstate"] == InvalidSource.sqlstate
    assert "NULL" in found["error"]
    assert orders.execute("SELECT * FROM p ORDER BY id").fetchall() == before
    orders.execute("DELETE FROM t WHERE id IS NULL")
    assert refreshed(orders) == (201, 1)


def test_two_new_rows_with_the_same_key(orders: psycopg.Connection) -> None:
    orders.execute("SELECT drop_predictions('p'); ALTER TABLE t DROP CONSTRAINT t_pkey")
    run(orders, CREATE)
    orders.execute("INSERT INTO t VALUES (300, 1, 1), (300, 1, 1)")
    assert run(orders, "refresh_predictions('p')")["sqlstate"] == InvalidSource.sqlstate


def test_texts_that_only_some_equality_takes_for_equal_are_scored_again(
    clean: psycopg.Connection, kinds_model: str
) -> None:
    """The model tells citext's A from a, and so must the comparison."""
    clean.execute(
        f"""CREATE EXTENSION IF NOT EXISTS citext;
        CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE t AS SELECT i AS id, i * 1.0 AS x, 1::float4 AS y, i AS n, true AS b, '{kinds_model}'::text AS city
        FROM generate_series(1, 4) AS i"""
    )
    for number, kind in enumerate(["citext", 'text COLLATE "nocase"', "citext", "varchar(9)"]):
        clean.execute(f"ALTER TABLE t ALTER city TYPE {kind}; UPDATE t SET city = 'a'".encode())
        name = f"cities{number}"
        run(clean, f"create_predictions('{name}', 'kinds', 'SELECT * FROM t', 'id', incremental => true)")
        clean.execute("UPDATE t SET city = 'A' WHERE id = 2")
        assert run(clean, f"refresh_predictions('{name}')")["scored"] == 1
        assert wrong_rows(clean, name, "t", "kinds", "id") == []
        clean.execute(f"SELECT drop_predictions('{name}')".encode())


@pytest.fixture
def kinds_model(module_db: Any, kinds: Any) -> str:
    """The model kinds, which tells texts apart; a text that it knows."""
    module_db.register("kinds", kinds.estimator, sample=kinds.X)
    return "a"


def test_errors_in_rows_come_and_go(orders: psycopg.Connection) -> None:
    orders.execute("SELECT drop_predictions('p')")
    run(orders, CREATE.replace("incremental", "on_error => 'null', incremental"))
    orders.execute(f"UPDATE t SET a = 'NaN', {TOUCH} WHERE id IN (3, 4)".encode())
    assert run(orders, "refresh_predictions('p')")["scored"] == 2
    query = "SELECT id, prediction, error FROM p WHERE error IS NOT NULL OR prediction IS NULL ORDER BY id"
    message = "feature 'a' is NaN, and was never missing in the sample"
    assert orders.execute(query.encode()).fetchall() == [(3, None, message), (4, None, message)]
    orders.execute(f"UPDATE t SET a = 1, {TOUCH} WHERE id = 3".encode())
    assert run(orders, "refresh_predictions('p')")["scored"] == 1
    assert orders.execute(query.encode()).fetchall() == [(4, None, message)]


def test_a_failed_run_leaves_the_rows_and_its_record(orders: psycopg.Connection) -> None:
    before = orders.execute("SELECT * FROM p ORDER BY id").fetchall()
    orders.execute(f"UPDATE t SET a = 5, {TOUCH} WHERE id = 2; UPDATE t SET b = 'NaN', {TOUCH} WHERE id = 9")
    found = run(orders, "refresh_predictions('p')")
    assert found["sqlstate"] == NonFiniteFeature.sqlstate
    assert "id = 9" in found["error"]
    assert orders.execute("SELECT * FROM p ORDER BY id").fetchall() == before
    orders.execute(f"UPDATE t SET b = 0, {TOUCH} WHERE id = 9".encode())
    assert refreshed(orders) == (200, 2)


def test_somebody_has_written_to_the_stored_table(orders: psycopg.Connection) -> None:
    orders.execute("DELETE FROM p_stored WHERE id <= 10; INSERT INTO p_stored (id) VALUES (999)")
    assert refreshed(orders, full=True)[0] == 200


def test_another_type_of_a_feature(orders: psycopg.Connection) -> None:
    """A column that a model cannot read any more fails the run; one that it still reads is compared anew."""
    orders.execute("ALTER TABLE t ALTER a TYPE numeric(20, 5)")
    assert refreshed(orders)[0] == 200
    orders.execute("ALTER TABLE t ALTER a TYPE text")
    assert run(orders, "refresh_predictions('p')")["sqlstate"] == WrongType.sqlstate


def test_a_key_of_two_columns_with_awkward_texts(clean: psycopg.Connection) -> None:
    awkward = ["", " ", "NULL", "null", "a,b", 'a"b', "a\\b", "{x}", "(1,2)", "ä€😀", "a\nb", "'", '""', "\\N", "a'b"]
    columns = 'id int, "Select" text, a float8, b numeric, note text[], PRIMARY KEY (id, "Select")'
    clean.execute(f"CREATE TABLE t ({columns})".encode())
    for number, text in enumerate(awkward * 2):
        clean.execute("INSERT INTO t VALUES (%s, %s, %s, 1, %s)", [number // 15, text, number, [text, None]])
    run(clean, """create_predictions('p', 'm', 't', '{id,Select}'::text[], columns => '{note}', incremental => true)""")
    assert wrong_rows(clean, "p", "t", "m", "id", '"Select"') == []
    assert answer(clean, 'SELECT count(*) FROM p WHERE note[1] = "Select" AND note[2] IS NULL') == 30
    clean.execute("UPDATE t SET a = 99 WHERE id = 1; DELETE FROM t WHERE \"Select\" = 'NULL'")
    assert run(clean, "refresh_predictions('p')")["scored"] == 14
    assert wrong_rows(clean, "p", "t", "m", "id", '"Select"') == []


def test_after_random_changes_it_is_what_a_full_scoring_gives(orders: psycopg.Connection, connect: Connect) -> None:
    """Two writers whose transactions overlap with each other and with the refreshes, in an order drawn by lot."""
    chance = random.Random(11)
    writers = [connect(), connect()]
    for writer in writers:
        writer.execute("SET lock_timeout = '1ms'")
    for _ in range(60):
        writer = chance.choice(writers)
        if writer.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            writer.execute("BEGIN")
        try:
            writer.execute(_random_change(chance).encode())
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation):
            writer.execute("ROLLBACK")
        if chance.random() < 0.4:
            writer.execute(chance.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
        if chance.random() < 0.3:
            assert refreshed(orders)[0] == answer(orders, "SELECT count(*) FROM t")
    for writer in writers:
        writer.execute("COMMIT")
    refreshed(orders)


def _random_change(chance: random.Random) -> str:
    some = f"id % {chance.randint(5, 40)} = {chance.randint(0, 4)}"
    at = chance.choice(["now()", "clock_timestamp()", "NULL"])
    value = chance.choice(["a + 1", "-a", "'-0'", "0", "a", "1e300", "random()"])
    return chance.choice(
        [
            f"UPDATE t SET a = {value}, updated_at = {at} WHERE {some}",
            f"UPDATE t SET b = {value}, note = note || 'x', updated_at = {at} WHERE {some}",
            f"UPDATE t SET note = 'y', updated_at = {at} WHERE {some}",
            f"DELETE FROM t WHERE {some} AND id < {chance.randint(1, 60)}",
            f"INSERT INTO t SELECT i, i, 1 FROM generate_series({chance.randint(200, 260)}, 270) AS i"
            " ON CONFLICT DO NOTHING",
        ]
    )
