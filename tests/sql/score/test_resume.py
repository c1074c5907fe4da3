"""db.score() goes on with what an interrupted run left, and gives the rows as they are by then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.answers import answer
from support.fixtures import Session
from support.registering import Register
from support.scoring import RIGHT, ROWS, differing, interrupted

import modeldb
from modeldb.errors import InvalidSource, NullFeature
from modeldb.score import resume, sessions
from modeldb.score.task import Progress

CHANGES = {
    "nothing": "SELECT 1",
    "keys that change": "UPDATE points SET id = -id WHERE id % 2 = 0",
    "keys that are swapped": "UPDATE points SET id = 5001 - id",
    "all at once": """UPDATE points SET a = 0 WHERE id % 4 = 0; DELETE FROM points WHERE id % 7 = 0;
        INSERT INTO points SELECT id + 100000, name, day, a, b FROM points WHERE id % 10 = 1""",
    "moved rows": "DELETE FROM points WHERE id % 2 = 0; VACUUM FULL points",
    "frozen rows": "UPDATE points SET a = 7 WHERE id < 1000; VACUUM FREEZE points",
    "a rewritten table": "ALTER TABLE points ALTER a TYPE float8 USING a * 3",
    "another table": """CREATE TABLE fresh AS TABLE ready; DROP TABLE points; ALTER TABLE fresh RENAME TO points""",
    "a table made earlier": "ALTER TABLE points RENAME TO old; ALTER TABLE ready RENAME TO points",
    "another column": """ALTER TABLE points RENAME a TO x; ALTER TABLE points RENAME b TO a;
        ALTER TABLE points RENAME x TO b""",
    "a default": "ALTER TABLE points DROP b; ALTER TABLE points ADD b float8 NOT NULL DEFAULT 3",
    "no rows": "TRUNCATE points",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_going_on_gives_the_rows_as_they_are(db: modeldb.Database, points: psycopg.Connection, change: str) -> None:
    points.execute("CREATE TABLE ready AS SELECT id, name, day, a + 1 AS a, b, note FROM points")
    interrupted(db)
    kept = answer(points, "SELECT count(*) FROM scored")
    assert 0 < kept < ROWS
    for statement in change.split(";"):
        points.execute(statement.encode())
    done = db.score("points", model="m", key="id", into="scored")
    assert done.resumed
    assert differing(points, "scored", RIGHT) == 0
    assert done.rows == answer(points, "SELECT count(*) FROM points")
    if change == CHANGES["nothing"]:
        assert done.scored == ROWS - kept


def test_going_on_twice(db: modeldb.Database, points: psycopg.Connection) -> None:
    """Rows of two snapshots are in the target then, and each is compared with its own."""
    interrupted(db)
    points.execute("UPDATE points SET a = -a WHERE id % 2 = 0")
    interrupted(db)
    points.execute("UPDATE points SET a = a + 1 WHERE id % 3 = 0; DELETE FROM points WHERE id % 11 = 0")
    interrupted(db)
    points.execute("INSERT INTO points SELECT id + 100000, name, day, a, b FROM points WHERE id % 2 = 0")
    assert db.score("points", model="m", key="id", into="scored").resumed
    assert differing(points, "scored", RIGHT) == 0


def test_changes_of_transactions_that_were_in_progress(
    db: modeldb.Database, points: psycopg.Connection, session: Session
) -> None:
    """Also of a subtransaction, whose number the snapshot does not name."""
    others = [session(), session()]
    others[0].execute("BEGIN; UPDATE points SET a = -1 WHERE id % 2 = 0")
    others[1].execute("BEGIN; SELECT pg_current_xact_id(); SAVEPOINT s; UPDATE points SET a = -2 WHERE id % 2 = 1")
    points.execute("CREATE TABLE meanwhile ()")  # a newer transaction that the snapshot sees
    interrupted(db)
    for other in others:
        other.execute("COMMIT")
    db.score("points", model="m", key="id", into="scored")
    assert answer(points, "SELECT count(*) FROM points WHERE a < 0") == ROWS
    assert differing(points, "scored", RIGHT) == 0


def test_a_partition_is_exchanged_meanwhile(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("""
        CREATE TABLE parted (LIKE points) PARTITION BY RANGE (id);
        CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (2500) WITH (fillfactor = 20);
        CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (2500) TO (9999) WITH (fillfactor = 20);
        INSERT INTO parted SELECT * FROM points;
        CREATE TABLE other AS SELECT id, name, day, a + 1 AS a, b, note FROM part_1;
        DROP TABLE points;
        ALTER TABLE parted RENAME TO points""")
    interrupted(db)
    points.execute("""
        ALTER TABLE points DETACH PARTITION part_1;
        ALTER TABLE points ATTACH PARTITION other FOR VALUES FROM (0) TO (2500)""")
    db.score("points", model="m", key="id", into="scored")
    assert differing(points, "scored", RIGHT) == 0


def test_a_refreshed_materialized_view(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("""
        ALTER TABLE points RENAME TO base; CREATE MATERIALIZED VIEW points WITH (fillfactor = 20) AS TABLE base;
        CREATE UNIQUE INDEX ON points (id)""")
    for refresh in ("REFRESH MATERIALIZED VIEW points", "REFRESH MATERIALIZED VIEW CONCURRENTLY points"):
        interrupted(db)
        points.execute("UPDATE base SET a = a + 1 WHERE id % 2 = 0")
        points.execute(refresh.encode())
        db.score("points", model="m", key="id", into="scored")
        assert differing(points, "scored", RIGHT) == 0
        points.execute("DROP TABLE scored")


def test_a_row_in_error_is_mended(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("UPDATE points SET a = NULL WHERE id = 4000")
    with pytest.raises(NullFeature):
        db.score("points", model="m", key="id", into="scored", jobs=2)
    [run] = db.query("SELECT error, sqlstate, rows FROM modeldb.batch_runs")
    assert (run["sqlstate"], run["rows"]) == ("MD204", None)
    points.execute("UPDATE points SET a = 1 WHERE id = 4000")
    assert db.score("points", model="m", key="id", into="scored").resumed
    assert differing(points, "scored", RIGHT) == 0
    assert db.query("SELECT count(*) AS n FROM modeldb.batch_runs") == [{"n": 2}]


def test_repeated_keys_are_mended(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("UPDATE points SET id = 1 WHERE id % 100 = 0")
    for _ in range(2):
        with pytest.raises(InvalidSource, match="not unique") as caught:
            db.score("points", model="m", key="id", into="scored")
        assert "(id)=(1)" in str(caught.value.detail)
    points.execute("DELETE FROM points WHERE id = 1")
    db.score("points", model="m", key="id", into="scored")
    assert differing(points, "scored", RIGHT) == 0


REPEATED = {
    "from the beginning": ("UPDATE points SET id = 5000 WHERE id = 1", "SELECT 1"),  # one of them early, one late
    "later": ("SELECT 1", "UPDATE points SET id = (SELECT min(id) FROM scored) WHERE id = 5000"),
}


@pytest.mark.parametrize(("before", "meanwhile"), REPEATED.values(), ids=REPEATED)
def test_keys_that_repeat_what_was_scored_are_found(
    db: modeldb.Database, points: psycopg.Connection, before: str, meanwhile: str
) -> None:
    points.execute(before.encode())
    interrupted(db)
    points.execute(meanwhile.encode())
    with pytest.raises(InvalidSource, match="not unique"):
        db.score("points", model="m", key="id", into="scored")


def test_what_a_later_run_scored_is_not_scored_again(db: modeldb.Database, points: psycopg.Connection) -> None:
    interrupted(db)
    points.execute("UPDATE points SET a = -a")
    interrupted(db)
    kept = answer(points, "SELECT count(*) FROM scored")
    assert db.score("points", model="m", key="id", into="scored").scored == ROWS - kept > 0
    assert differing(points, "scored", RIGHT) == 0


def test_a_backend_that_outlives_its_client_is_waited_for(
    db: modeldb.Database, points: psycopg.Connection, session: Session
) -> None:
    interrupted(db)
    straggler = session()
    sessions.join(straggler, "public.scored")
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(db.score, "points", model="m", key="id", into="scored")
        while not answer(points, waiting):
            assert not run.done()
        straggler.execute("INSERT INTO scored SELECT 100000, 1; INSERT INTO scored SELECT id, 2 * a + b FROM points")
        straggler.close()
        assert run.result().resumed
    assert differing(points, "scored", RIGHT) == 0


def test_a_promotion_meanwhile_changes_nothing(
    db: modeldb.Database, points: psycopg.Connection, register: Register
) -> None:
    interrupted(db)
    register(5.0, promote=True)
    told: list[Progress] = []
    done = db.score("points", model="m", key="id", into="scored", progress=told.append)
    assert done.pinned == "m/1"
    assert any("m means version 2 by now; the run goes on with m/1" in now.note for now in told)
    assert differing(points, "scored", RIGHT) == 0


IS_NEW = [
    (100, 90, 200, True),
    (100, 100, 200, True),
    (100, 101, 200, False),
    (2, 90, 200, False),
    (4294967290, 2**32 - 50, 2**32 + 5, True),  # before the counter wrapped around
    (4294967200, 2**32 - 50, 2**32 + 5, False),
    (4, 2**32 - 50, 2**32 + 5, True),
    (4, 2**32 + 5, 2**32 + 9, False),
    (300, 2**32 + 100, 2**32 + 200, False),  # of the time before
    (150, 2**32 + 100, 2**32 + 200, True),  # of either time: it cannot be told
    (5, 10, 2**33, True),
]


def test_whether_a_row_version_is_new(points: psycopg.Connection) -> None:
    for xmin, since, following, new in IS_NEW:
        assert answer(points, "SELECT " + resume.is_new(f"'{xmin}'::xid", since, following)) is new
