"""pg_dump and pg_restore carry models to another database, with the programs of the server on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psycopg
import pytest
from support.answers import answer, answers
from support.dumps import run
from support.models import Trained
from support.server import plain
from support.tables import write_table

import modeldb


@pytest.fixture
def source(db: modeldb.Database, url: str, cancer: Trained, cancer2: Trained) -> str:
    """The URL of a database with two versions, a history, and predictions in a view and a materialized view."""
    write_table(db, "patients", cancer.X)
    for trained in (cancer, cancer2):
        db.register("cancer", trained.estimator, sample=trained.X, promote=True)
    db.rollback("cancer")
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("CREATE VIEW seen AS SELECT row_id, modeldb.predict('cancer', p) AS ill FROM patients p")
        connection.execute("CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen")
    return url


@pytest.fixture(params=["custom", "plain"])
def restored(request: pytest.FixtureRequest, source: str, empty_url: str, tmp_path: Path) -> str:
    """The URL of the database that the dump was restored into."""
    file = str(tmp_path / "dump")
    run("pg_dump", "--format", request.param, "--file", file, plain(source))
    if request.param == "custom":
        run("pg_restore", "--exit-on-error", "--dbname", plain(empty_url), file)
    else:
        run("psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", file, plain(empty_url))
    return empty_url


def test_a_restored_database_predicts_and_goes_on(
    restored: str, source: str, cancer: Trained, cancer2: Trained
) -> None:
    with psycopg.connect(plain(restored), autocommit=True) as connection:
        expected = cancer.estimator.predict(cancer.X)
        for relation in ("seen", "kept"):
            assert answers(connection, f"SELECT ill FROM {relation} ORDER BY row_id") == expected.tolist()
        epoch = answer(connection, "SELECT modeldb._epoch()")
        assert epoch == answer(connection, "SELECT max(epoch) FROM modeldb.publication")
        assert answer(connection, "SELECT modeldb.promote('cancer', 2)") == 2
        assert answer(connection, "SELECT modeldb._epoch()") > epoch
        expected = cancer2.estimator.predict(cancer2.X)
        assert answers(connection, "SELECT ill FROM seen ORDER BY row_id") == expected.tolist()
    db = modeldb.connect(restored)
    assert db.rollback("cancer") == 1
    assert db.register("cancer", cancer2.estimator, sample=cancer2.X).version == 3
    db.install()
    np.testing.assert_array_equal(db.predict("cancer", cancer.X), cancer.estimator.predict(cancer.X))
    db.engine.dispose()


def test_the_model_alone_can_be_restored_beside_other_tables(source: str, empty_url: str, tmp_path: Path) -> None:
    """Only the schema modeldb, as when an application's tables are elsewhere."""
    file = str(tmp_path / "dump")
    run("pg_dump", "--format", "custom", "--schema", "modeldb", "--file", file, plain(source))
    with psycopg.connect(plain(empty_url), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION plpython3u")
    run("pg_restore", "--exit-on-error", "--dbname", plain(empty_url), file)
    with psycopg.connect(plain(empty_url)) as connection:
        assert answer(connection, "SELECT count(*) FROM modeldb.model_version") == 2
