"""db.score() and `modeldb score`: whole tables into new ones, over several connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine
from support.answers import answer, answers
from support.fixtures import Session, execute
from support.onnx_models import described, linear
from support.registering import Register
from support.server import in_database

import modeldb
from modeldb.cli import main
from modeldb.errors import (
    ConnectionFailed,
    InvalidArgument,
    InvalidSource,
    MissingPrivilege,
    ModeldbError,
    NullFeature,
    ScoreConflict,
    UnknownModel,
)
from modeldb.score import client, resume, sessions, source
from modeldb.score.task import Progress

ROWS = 5000
POINTS = f"""
    CREATE TABLE points (id int, name text, day date, a float8, b float8, note text) WITH (fillfactor = 20);
    INSERT INTO points
    SELECT i, 'p' || i, date '2024-01-01' + i % 7, i, i % 10, 'n' FROM generate_series(1, {ROWS}) AS i
"""


@pytest.fixture(scope="module")
def template(server: str, template: str) -> Iterator[str]:
    """A database with the table points and the model m, which predicts 2 a + b; each test works in a copy of it."""
    name = f"{template}_points"
    execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    with psycopg.connect(in_database(server, name)) as connection:
        connection.execute(POINTS.encode())
        values = [linear(2.0, 1.0), Jsonb(described("a", "b"))]
        connection.execute("SELECT modeldb.register_model('m', %s, %s::jsonb)", values)
    yield name
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_BLOCKS", 16)
    monkeypatch.setattr(source, "LEAST_BLOCKS", 4)
    monkeypatch.setattr(client, "MOST_JOBS", 1)  # a backend that is new costs more than the rows do


@pytest.fixture
def points(sql: psycopg.Connection) -> psycopg.Connection:
    """A connection to the test's database."""
    return sql


def differing(sql: psycopg.Connection, target: str, wanted: str) -> int:
    """How many rows of a table and of a query are not the other's."""
    more, less = f"TABLE {target} EXCEPT ALL ({wanted})", f"({wanted}) EXCEPT ALL TABLE {target}"
    return int(answer(sql, f"SELECT count(*) FROM (({more}) UNION ALL ({less})) AS d"))


RIGHT = "SELECT id, 2 * a + b FROM points"


class Interrupt:
    """Ends a run like Ctrl-C when so many parts are done."""

    def __init__(self, parts: int = 3) -> None:
        self.parts = parts

    def __call__(self, now: Progress) -> None:
        self.parts -= now.blocks > 0
        if self.parts == 0:
            raise KeyboardInterrupt


def interrupted(db: modeldb.Database, **changes: Any) -> None:
    arguments: dict[str, Any] = {"model": "m", "key": "id", "into": "scored", "jobs": 2, **changes}
    with pytest.raises(KeyboardInterrupt):
        db.score("points", progress=Interrupt(), **arguments)


# --- what is made ----------------------------------------------------------------------------------------------------


def test_a_table_is_scored(db: modeldb.Database, points: psycopg.Connection) -> None:
    told: list[Progress] = []
    done = db.score("points", model="m", key="id", into="scored", jobs=2, progress=told.append)
    assert (done.target, done.pinned, done.rows, done.scored, done.resumed) == (
        "public.scored",
        "m/1",
        ROWS,
        ROWS,
        False,
    )
    assert done.rows_per_second > 0
    assert differing(points, "scored", RIGHT) == 0
    assert answers(
        points, "SELECT attname::text FROM pg_attribute WHERE attrelid = 'scored'::regclass AND attnum > 0"
    ) == [
        "id",
        "prediction",
    ]
    assert answer(points, "SELECT indisprimary FROM pg_index WHERE indrelid = 'scored'::regclass")
    assert answer(points, "SELECT reltuples FROM pg_class WHERE oid = 'scored'::regclass") == ROWS
    assert [now.phase for now in told[:1] + told[-1:]] == ["scoring", "indexing"]
    scoring = [now for now in told if now.blocks]
    assert len(scoring) > 5
    assert (scoring[-1].rows, scoring[-1].blocks) == (ROWS, scoring[-1].total)
    assert [now.rows for now in told] == sorted(now.rows for now in told)


def test_the_run_is_recorded(db: modeldb.Database, points: psycopg.Connection) -> None:
    db.score("points", model="m@champion", key="id", into="scored")
    [run] = db.query("SELECT * FROM modeldb.batch_runs")
    assert (run["predictions"], run["model"], run["version"], run["runner"]) == (
        "public.scored",
        "m@champion",
        1,
        "score",
    )
    assert (run["rows"], run["scored"], run["error"], run["run_by"]) == (ROWS, ROWS, None, "postgres")
    assert run["finished_at"] > run["started_at"]
    assert run["rows_per_second"] > 0


def test_columns_and_a_key_of_several(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute('ALTER TABLE points RENAME note TO "A note"; CREATE SCHEMA "My schema"')
    db.score(
        "public.points", model="m/1", key=["day", "name"], into='"My schema"."My scores"', columns=["A note", "id"]
    )
    wanted = 'SELECT day, name, "A note", id, 2 * a + b FROM points'
    assert differing(points, '"My schema"."My scores"', wanted) == 0
    key = 'SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = \'"My schema"."My scores"\'::regclass'
    assert answer(points, key) == "PRIMARY KEY (day, name)"


def test_partitions_of_uneven_sizes(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("""
        CREATE TABLE parted (b float8, id int, a float8) PARTITION BY RANGE (id);
        CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (300);
        CREATE TABLE part_2 (a float8, gone int, id int, b float8) WITH (fillfactor = 20);
        ALTER TABLE part_2 DROP gone;
        ALTER TABLE parted ATTACH PARTITION part_2 FOR VALUES FROM (300) TO (4500);
        CREATE TABLE part_3 PARTITION OF parted DEFAULT PARTITION BY HASH (id);
        CREATE TABLE part_4 PARTITION OF part_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE part_5 PARTITION OF part_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO parted SELECT b, id, a FROM points""")
    assert db.score("parted", model="m", key="id", into="scored", jobs=3).rows == ROWS
    assert differing(points, "scored", RIGHT) == 0


def test_children_that_inherit(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("""
        CREATE TABLE more () INHERITS (points);
        INSERT INTO more SELECT id + 10000, name, day, a, b FROM points WHERE id % 3 = 0""")
    assert db.score("points", model="m", key="id", into="scored").rows == ROWS + ROWS // 3
    assert differing(points, "scored", RIGHT) == 0


def test_a_materialized_view(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("CREATE MATERIALIZED VIEW seen AS SELECT * FROM points WHERE id > 100")
    assert db.score("seen", model="m", key="name", into="scored").rows == ROWS - 100
    assert differing(points, "scored", "SELECT name, 2 * a + b FROM points WHERE id > 100") == 0


def test_an_empty_table(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("TRUNCATE points")
    assert db.score("points", model="m", key="id", into="scored").rows == 0
    assert answer(points, "SELECT count(*) FROM scored") == 0


def test_row_security_of_the_source_holds(
    db: modeldb.Database, points: psycopg.Connection, make_role: Callable[..., str], url: str
) -> None:
    role = make_role("modeldb_user")
    points.execute(
        f"""
        GRANT CREATE ON SCHEMA public TO {role};
        GRANT SELECT ON points TO {role};
        ALTER TABLE points ENABLE ROW LEVEL SECURITY;
        CREATE POLICY few ON points TO {role} USING (id <= 10)""".encode()
    )
    assert as_role(db, role).score("points", model="m", key="id", into="scored").rows == 10
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'scored'::regclass"
    assert answer(points, owner) == role
    assert db.query("SELECT run_by FROM modeldb.batch_runs") == [{"run_by": role}]


def as_role(db: modeldb.Database, role: str) -> modeldb.Database:
    return modeldb.connect(create_engine(db.engine.url, connect_args={"options": f"-c role={role}"}))


def test_on_error_null(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("UPDATE points SET a = NULL WHERE id % 100 = 0")
    db.score("points", model="m", key="id", into="scored", on_error="null")
    assert (
        answer(points, "SELECT count(*) FROM scored WHERE prediction IS NULL AND error LIKE '%feature%'") == ROWS // 100
    )
    assert (
        answer(points, "SELECT count(*) FROM scored WHERE prediction IS NOT NULL AND error IS NULL") == ROWS * 99 // 100
    )


# --- what is refused -------------------------------------------------------------------------------------------------

SET_UP = """
    CREATE VIEW some_points AS SELECT * FROM points;
    CREATE TABLE odd AS SELECT id, id / 2 AS half, nullif(id, 7) AS seven, to_json(id) AS document, a, b FROM points;
"""


@pytest.mark.parametrize(
    ("table", "changes", "error", "words"),
    [
        ("pints", {}, InvalidSource, "there is no table 'pints'"),
        ("no table", {}, InvalidSource, "not the name of a table"),
        ("a.b.c.d", {}, InvalidSource, "not the name of a table"),
        ("some_points", {}, InvalidSource, "public.some_points is a view"),
        ("points", {"key": "ident"}, InvalidSource, "'ident'"),
        ("points", {"columns": ["nte"]}, InvalidSource, "'nte'"),
        ("points", {"columns": ["id"]}, InvalidSource, "twice"),
        ("points", {"model": "nobody"}, UnknownModel, "nobody"),
        ("points", {"into": "points"}, ScoreConflict, "public.points exists"),
        ("points", {"into": "some_points"}, ScoreConflict, "public.some_points exists"),
        ("points", {"into": "no name"}, ScoreConflict, "not a name"),
        ("points", {"into": "a.b.c"}, ScoreConflict, "more than a schema"),
        ("odd", {"key": "half"}, InvalidSource, "not unique"),
        ("odd", {"key": "seven"}, InvalidSource, "NULL"),
        ("odd", {"key": "document"}, InvalidSource, "cannot be a key"),
        ("points", {"jobs": 0}, InvalidArgument, "jobs is 0"),
        ("points", {"key": []}, InvalidArgument, "key"),
        ("points", {"on_error": "ignore"}, InvalidArgument, "on_error"),
    ],
)
def test_what_does_not_fit_is_refused(
    db: modeldb.Database,
    points: psycopg.Connection,
    table: str,
    changes: dict[str, Any],
    error: type[ModeldbError],
    words: str,
) -> None:
    points.execute(SET_UP.encode())
    with pytest.raises(error) as caught:
        db.score(table, **{"model": "m", "key": "id", "into": "scored", **changes})
    assert words in caught.value.message
    assert caught.value.hint


def test_a_transaction_of_the_callers_is_refused(db: modeldb.Database, points: psycopg.Connection) -> None:
    with db.engine.connect() as connection, pytest.raises(InvalidArgument, match="several connections"):
        modeldb.connect(connection).score("points", model="m", key="id", into="scored")


def test_a_role_needs_its_privileges(
    db: modeldb.Database, points: psycopg.Connection, make_role: Callable[..., str]
) -> None:
    role = make_role("modeldb_user")
    user = as_role(db, role)
    for lacking, grant in (("points", f"SELECT ON points TO {role}"), ("public", f"CREATE ON SCHEMA public TO {role}")):
        with pytest.raises(MissingPrivilege, match=lacking):
            user.score("points", model="m", key="id", into="scored")
        points.execute(f"GRANT {grant}".encode())
    assert user.score("points", model="m", key="id", into="scored").rows == ROWS


def test_a_finished_target_is_not_written_again(db: modeldb.Database, points: psycopg.Connection) -> None:
    db.score("points", model="m", key="id", into="scored")
    with pytest.raises(ScoreConflict, match=r"scored by m \(version 1\)") as caught:
        db.score("points", model="m", key="id", into="scored")
    assert f"{ROWS} rows" in str(caught.value.detail)
    points.execute("DROP TABLE scored")
    assert not db.score("points", model="m", key="id", into="scored").resumed


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"model": "m/1"}, "model: m, now m/1."),
        ({"key": "name"}, "key: id, now name."),
        ({"columns": ["note"], "on_error": "null"}, "columns: none, now note; on-error: raise, now null."),
    ],
)
def test_what_another_run_left_is_not_gone_on_with(
    db: modeldb.Database, points: psycopg.Connection, changes: dict[str, Any], detail: str
) -> None:
    interrupted(db)
    with pytest.raises(ScoreConflict) as caught:
        db.score("points", **{"model": "m", "key": "id", "into": "scored", **changes})
    assert caught.value.detail == detail


def test_a_table_made_anew_under_the_name_is_not_the_runs(db: modeldb.Database, points: psycopg.Connection) -> None:
    interrupted(db)
    points.execute("DROP TABLE scored; CREATE TABLE scored (id int, prediction float8)")
    with pytest.raises(ScoreConflict, match="not an interrupted"):
        db.score("points", model="m", key="id", into="scored")


def test_another_role_cannot_touch_a_job(
    db: modeldb.Database, points: psycopg.Connection, make_role: Callable[..., str], session: Session
) -> None:
    interrupted(db)
    role = make_role("modeldb_user")
    relation = answer(points, "SELECT 'scored'::regclass::oid::int")
    user = session(role=role)
    for call in (
        f"_score_begin({relation}, 'points', 'm', 1, '{{id}}', '{{}}', NULL, 'raise')",
        f"_score_snapshot({relation}, pg_current_snapshot())",
        f"_score_end({relation}, now(), 1, 1, NULL, NULL)",
        "_score_end(NULL, now(), 1, 1, NULL, NULL)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute(f"SELECT modeldb.{call}".encode())
    points.execute(f"GRANT SELECT ON points TO {role}".encode())
    with pytest.raises(ScoreConflict, match="not an interrupted"):
        as_role(db, role).score("points", model="m", key="id", into="scored")


def test_only_one_run_writes_a_target(
    db: modeldb.Database, points: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CLAIM_SECONDS", 0.1)
    refused: list[ScoreConflict] = []

    def another(now: Progress) -> None:
        if now.blocks and not refused:
            with pytest.raises(ScoreConflict, match="is running") as caught:
                db.score("points", model="m", key="id", into="scored")
            refused.append(caught.value)

    assert db.score("points", model="m", key="id", into="scored", progress=another).rows == ROWS
    assert len(refused) == 1


@pytest.mark.parametrize("mode", ["ExclusiveLock", "ShareLock"], ids=["main", "worker"])
def test_a_lost_connection_is_explained(db: modeldb.Database, points: psycopg.Connection, mode: str) -> None:
    held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = %s LIMIT 1"

    def lose(now: Progress) -> None:
        if now.blocks and answers(points, held, mode):
            points.execute("SELECT pg_terminate_backend(%s)", [answers(points, held, mode)[0]])

    with pytest.raises(ConnectionFailed, match="lost") as caught:
        db.score("points", model="m", key="id", into="scored", jobs=2, progress=lose)
    assert "goes on from there" in str(caught.value.hint)
    assert db.score("points", model="m", key="id", into="scored").resumed
    assert differing(points, "scored", RIGHT) == 0


def test_an_unreachable_database(url: str) -> None:
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        modeldb.connect(in_database(url, "nowhere")).score("points", model="m", key="id", into="scored")


def test_old_runs_are_forgotten(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("UPDATE modeldb.settings SET keep_runs = 2; UPDATE points SET a = NULL WHERE id = 4000")
    for _ in range(3):
        with pytest.raises(NullFeature):
            db.score("points", model="m", key="id", into="scored")
    assert answers(points, "SELECT id FROM modeldb.batch_runs ORDER BY id") == [2, 3]


# --- going on --------------------------------------------------------------------------------------------------------

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


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command(db: modeldb.Database, points: psycopg.Connection, url: str) -> None:
    runner = CliRunner(env={"MODELDB_URL": url})
    command = ["score", "points", "--model", "m", "--key", "day", "--key", "name", "--column", "a", "--jobs", "2"]
    result = runner.invoke(main, [*command, "--into", "scored"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"public.scored: {ROWS:,} rows by m/1 in ")
    assert differing(points, "scored", "SELECT day, name, a, 2 * a + b FROM points") == 0
    result = runner.invoke(main, [*command, "--into", "scored"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("ERROR MD506: public.scored exists")
    found = json.loads(runner.invoke(main, [*command, "--into", "again", "--json"]).stdout)
    assert (found["target"], found["rows"], found["resumed"]) == ("public.again", ROWS, False)
    assert found["rows_per_second"] > 0
