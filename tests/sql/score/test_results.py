"""db.score() and `modeldb score`: whole tables into new ones, over several connections."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from click.testing import CliRunner
from support.answers import answer, answers
from support.scoring import RIGHT, ROWS, as_role, differing

import modeldb
from modeldb.cli import main
from modeldb.errors import NullFeature
from modeldb.score.task import Progress


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


def test_old_runs_are_forgotten(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("UPDATE modeldb.settings SET keep_runs = 2; UPDATE points SET a = NULL WHERE id = 4000")
    for _ in range(3):
        with pytest.raises(NullFeature):
            db.score("points", model="m", key="id", into="scored")
    assert answers(points, "SELECT id FROM modeldb.batch_runs ORDER BY id") == [2, 3]


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


def test_on_error_null(db: modeldb.Database, points: psycopg.Connection) -> None:
    points.execute("UPDATE points SET a = NULL WHERE id % 100 = 0")
    db.score("points", model="m", key="id", into="scored", on_error="null")
    assert (
        answer(points, "SELECT count(*) FROM scored WHERE prediction IS NULL AND error LIKE '%feature%'") == ROWS // 100
    )
    assert (
        answer(points, "SELECT count(*) FROM scored WHERE prediction IS NOT NULL AND error IS NULL") == ROWS * 99 // 100
    )


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
