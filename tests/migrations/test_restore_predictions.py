"""pg_dump and pg_restore carry batch predictions, with their schedule and their runs, to another cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.answers import answer, answers
from support.dumps import connect, register_linear, run
from support.models import Trained
from support.tables import write_table

from modeldb.cluster import DATABASE, Cluster

ROWS = 500
SETUP = f"""
    CREATE ROLE analyst IN ROLE modeldb_user;
    CREATE SCHEMA work AUTHORIZATION analyst;
    CREATE TYPE work.mood AS ENUM ('glad', 'sad');
    CREATE TABLE work.rows (id uuid DEFAULT gen_random_uuid(), part int, a float8, b float8, mood work.mood,
        changed_at timestamptz DEFAULT now(), PRIMARY KEY (id, part));
    INSERT INTO work.rows (part, a, b, mood) SELECT i % 3, i, nullif(i, 7), 'glad' FROM generate_series(1, {ROWS}) i;
    GRANT SELECT ON work.rows, flowers TO analyst"""
PREDICTIONS = [
    """SELECT create_predictions('work.whole', 'm', 'work.rows', '{id,part}'::text[], '{mood,a}',
        on_error => 'null')""",
    """SELECT create_predictions('work.kept', 'm@challenger', 'work.rows', '{id,part}'::text[], '{mood}',
        on_error => 'null', incremental => true, changed_at => 'changed_at')""",
    """SELECT create_predictions('work."Große Blüten"', 'flower', 'SELECT * FROM flowers WHERE petal_width > 1',
        'row_id', class => 'virginica')""",
    """SELECT create_predictions('work.again', 'm',
        'SELECT part, prediction AS a, 1 AS b, id FROM work.whole WHERE a < 9', 'id', on_error => 'null')""",
]
VIEWS = ["work.whole", "work.kept", 'work."Große Blüten"', "work.again"]
KEPT = [
    "SELECT * FROM modeldb.prediction_set ORDER BY name",
    "SELECT * FROM modeldb.prediction_schedule ORDER BY predictions",
    "SELECT * FROM modeldb.batch_runs ORDER BY id",
    """SELECT name, owner, version, behind, rows, scored_at, schedule, last_run, last_error, broken
        FROM modeldb.predictions ORDER BY name""",
    *(f"SELECT v::text FROM {view} v ORDER BY v::text" for view in VIEWS),
]
"""What is to be in the restored database as it was."""


@pytest.fixture(scope="module")
def source(iris: Trained) -> Iterator[Cluster]:
    """A cluster with predictions of all kinds; the champion moved on after they were made."""
    with Cluster.temporary() as cluster:
        db = cluster.connect()
        db.install()
        write_table(db, "flowers", iris.X)
        db.register("flower", iris.estimator, sample=iris.X)
        db.engine.dispose()
        with connect(cluster) as connection:
            register_linear(connection)
            connection.execute("SELECT promote('m', 2, 'challenger')")
            connection.execute(SETUP.encode())
            connection.execute("SET SESSION AUTHORIZATION analyst")
            for query in PREDICTIONS:
                connection.execute(query.encode())
            connection.execute(
                "SELECT refresh_predictions('work.kept'), schedule_predictions('work.kept', '0 5 1 1 *')"
            )
            connection.execute("SELECT schedule_predictions('work.\"Große Blüten\"', '*/7 1-3 * * 1')")
            connection.execute("RESET SESSION AUTHORIZATION")
            connection.execute("SELECT promote('m', 2)")
        yield cluster


@pytest.fixture(scope="module")
def target() -> Iterator[Cluster]:
    """An empty cluster, that has modeldb and the roles."""
    with Cluster.temporary() as cluster:
        db = cluster.connect("first")
        db.install()
        db.engine.dispose()
        with connect(cluster, "first") as connection:
            connection.execute("CREATE ROLE analyst IN ROLE modeldb_user")
        yield cluster


@pytest.fixture(params=["custom", "custom --jobs", "plain"])
def restored(request: pytest.FixtureRequest, source: Cluster, target: Cluster, tmp_path: Path) -> str:
    """The name of the database of the target that the dump was restored into."""
    file, (kind, *options) = str(tmp_path / "dump"), request.param.split()
    # pg_cron can be in one database of a cluster only, the one of its settings.
    name, less = (DATABASE, []) if kind == "custom" else ("other", ["--extension", "plpython3u"])
    run("pg_dump", "--format", kind, "--file", file, *less, source.url())
    with connect(target, "postgres") as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    if kind == "custom":
        run("pg_restore", "--exit-on-error", *(f"{option}=2" for option in options), "--dbname", target.url(name), file)
    else:
        run("psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", file, target.url(name))
    return name


def test_restored_predictions_are_the_same_and_go_on(source: Cluster, target: Cluster, restored: str) -> None:
    with connect(source) as before, connect(target, restored) as after:
        for query in KEPT:
            assert after.execute(query.encode()).fetchall() == before.execute(query.encode()).fetchall(), query
        assert answers(after, "SELECT DISTINCT model_version FROM work.whole") == [1]
    db = target.connect(restored)
    db.install()
    db.engine.dispose()
    with connect(target, restored) as after:
        if restored == DATABASE:
            assert all(answers(after, "SELECT modeldb._cron_serves(predictions) FROM modeldb.prediction_schedule"))
        after.execute("SET SESSION AUTHORIZATION analyst")
        runs = answer(after, "SELECT max(id) FROM batch_runs")
        for view in VIEWS:
            assert answers(after, "SELECT error FROM refresh_predictions(%s)", view) == [None]
        assert answers(after, "SELECT version FROM batch_runs WHERE id > %s ORDER BY id", runs) == [2, 2, 1, 2]
        assert (
            answer(after, "SELECT scored FROM batch_runs WHERE predictions = 'work.kept' ORDER BY id DESC LIMIT 1") == 0
        )
        assert answers(after, "SELECT DISTINCT model_version FROM work.whole") == [2]
        for view in reversed(VIEWS):
            after.execute("SELECT drop_predictions(%s)", [view])
        assert (
            answers(after, "SELECT relname FROM pg_class WHERE relowner = 'analyst'::regrole AND relkind <> 'c'") == []
        )
