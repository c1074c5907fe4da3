"""Installing: twice, at once, in part, over what is there, and where it cannot be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from support.answers import answer, answers
from support.catalog import snapshot
from support.fixtures import Session
from support.registering import Register
from support.server import plain

import modeldb
from modeldb import install
from modeldb.errors import BrokenEnvironment, MissingPrivilege, NotInstalled, WrongPython


def engine_of(url: str) -> Any:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)


def test_a_second_installation_changes_nothing(
    db: modeldb.Database, session: Session, sql: psycopg.Connection, register: Register
) -> None:
    for weight in (1.0, 2.0, 3.0):
        register(weight, promote=True)
    sql.execute("SELECT rollback('m'); SELECT promote('m', 1, 'x'); SELECT configure('m', 'null')")
    before, epoch = snapshot(sql), answer(sql, "SELECT modeldb._epoch()")
    db.install()
    fresh = session()
    assert snapshot(fresh) == before
    assert answer(fresh, "SELECT modeldb._epoch()") == epoch
    for connection in (sql, fresh):
        assert answer(connection, "SELECT predict('m', ROW(1, 0))") == 2.0
    assert register(4.0, promote=True) == 4
    assert answer(fresh, "SELECT predict('m', ROW(1, 0))") == 4.0
    assert answer(fresh, "SELECT modeldb._epoch()") > epoch


def test_what_users_made_of_it_stays(db: modeldb.Database, sql: psycopg.Connection, register: Register) -> None:
    register(1.0)
    sql.execute(
        "CREATE VIEW guesses AS SELECT predict('m', ROW(1, 0)) AS guess, (SELECT count(*) FROM models) AS models"
    )
    sql.execute("GRANT SELECT ON guesses TO modeldb_user; UPDATE modeldb.settings SET max_artifact_bytes = 12345")
    db.install()
    assert sql.execute("SELECT * FROM guesses").fetchall() == [(1.0, 1)]
    assert answer(sql, "SELECT has_table_privilege('modeldb_user', 'guesses', 'SELECT')")
    assert answer(sql, "SELECT max_artifact_bytes FROM modeldb.settings") == 12345


def test_what_was_lost_or_granted_by_hand_is_put_right(db: modeldb.Database, sql: psycopg.Connection) -> None:
    before = snapshot(sql)
    sql.execute(
        "GRANT SELECT ON modeldb.artifact_chunk TO modeldb_user; GRANT EXECUTE ON FUNCTION modeldb.promote TO PUBLIC"
    )
    sql.execute(
        "DROP FUNCTION modeldb.cache(); DROP VIEW modeldb.aliases; REVOKE ALL ON modeldb.models FROM modeldb_user"
    )
    assert snapshot(sql) != before
    db.install()
    assert snapshot(sql) == before


def test_two_installations_at_once(empty_url: str) -> None:
    def installed(_: int) -> None:
        modeldb.connect(engine_of(empty_url)).install()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(installed, range(4)))
    with psycopg.connect(plain(empty_url)) as connection:
        assert answers(connection, "SELECT count(*) FROM modeldb.alembic_version") == [1]


@pytest.mark.parametrize("broken", ["modeldb.install.extend_search_path", "modeldb.schema.apply_definitions"])
def test_a_failed_installation_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(RuntimeError, match="the disk is full"):
        modeldb.connect(engine_of(empty_url)).install()
    with psycopg.connect(plain(empty_url)) as connection:
        assert answers(connection, "SELECT nspname FROM pg_namespace WHERE nspname = 'modeldb'") == []
        assert answers(connection, "SELECT extname FROM pg_extension WHERE extname = 'plpython3u'") == []


def test_an_installation_is_part_of_the_callers_transaction(empty_url: str) -> None:
    engine = engine_of(empty_url)
    with engine.connect() as connection:
        modeldb.connect(connection).install()
        assert modeldb.connect(connection).models() == []
        connection.rollback()
        assert connection.scalar(text("SELECT to_regnamespace('modeldb')")) is None


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        (None, True, '"$user", public, modeldb'),
        ("app, public", True, "app, public, modeldb"),
        ('modeldb, "my schema"', True, 'modeldb, "my schema"'),
        (None, False, '"$user", public'),
        ("app", False, "app"),
    ],
)
def test_the_search_path_of_the_database(empty_url: str, before: str | None, asked: bool, after: str) -> None:
    with psycopg.connect(plain(empty_url), autocommit=True) as connection:
        if before:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET search_path = {before}".encode())
    for _ in range(2):
        modeldb.connect(engine_of(empty_url)).install(search_path=asked)
    with psycopg.connect(plain(empty_url)) as connection:
        assert answer(connection, "SHOW search_path") == after


@pytest.mark.parametrize(
    ("setting", "configured", "extended"),
    [
        (None, '"$user", public', '"$user", public, modeldb'),
        (None, "app,public", "app,public, modeldb"),
        (None, '"a, b"', '"a, b", modeldb'),
        (None, "$user, public", "$user, public, modeldb"),
        (None, "", "modeldb"),
        (None, 'app, "modeldb"', None),
        ("other", "app, public", "other, modeldb"),
        ('""', "app, public", '"", modeldb'),
        ("modeldb, public", "app", None),
    ],
)
def test_the_search_path_that_a_database_gets(setting: str | None, configured: str, extended: str | None) -> None:
    assert install.with_modeldb(setting, configured) == extended


def test_the_search_path_of_the_servers_configuration_stays(empty_url: str) -> None:
    engine = engine_of(f"{empty_url}{'&' if '?' in empty_url else '?'}options=-csearch_path%3Dsession")
    with psycopg.connect(plain(empty_url), autocommit=True) as connection:
        # Only the file is written: without a reload the server and its other databases do not see it.
        connection.execute('ALTER SYSTEM SET search_path = app, "$user", public')
        try:
            modeldb.connect(engine).install()
        finally:
            connection.execute("ALTER SYSTEM RESET search_path")
    with psycopg.connect(plain(empty_url)) as connection:
        assert answer(connection, "SHOW search_path") == 'app, "$user", public, modeldb'


def test_a_database_without_modeldb_says_so(empty_url: str) -> None:
    db = modeldb.connect(engine_of(empty_url))
    for call in (db.models, lambda: db.predict("m", [[1.0]]), lambda: db.promote("m", 1)):
        with pytest.raises(NotInstalled) as caught:
            call()
        assert caught.value.hint == "Run: modeldb install"


def test_only_a_superuser_installs(empty_url: str) -> None:
    with engine_of(empty_url).connect() as connection:
        connection.execute(text("SET ROLE pg_monitor"))
        with pytest.raises(MissingPrivilege) as caught:
            modeldb.connect(connection).install()
        assert "superuser" in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("path", ["/nowhere", "/proc/1/root/nowhere"])
def test_an_environment_that_the_server_cannot_read(empty_url: str, path: str) -> None:
    with pytest.raises(BrokenEnvironment) as caught:
        modeldb.connect(engine_of(empty_url)).install(server_path=[path])
    assert path in caught.value.message
    assert caught.value.hint


def test_an_environment_without_what_is_needed(empty_url: str) -> None:
    with pytest.raises(BrokenEnvironment) as caught:
        modeldb.connect(engine_of(empty_url)).install(server_path=["/usr"])
    assert "cannot import" in caught.value.message
    assert "/usr" in (caught.value.detail or "")


def test_a_python_of_another_version_is_refused(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"python": [3, 1, 4], "user": "postgres", "versions": {}, "broken": {}, "unreadable": []}
    monkeypatch.setattr(install, "probe", lambda connection, paths: found)
    with pytest.raises(WrongPython) as caught:
        modeldb.connect(engine_of(empty_url)).install()
    assert "3.1" in caught.value.message
    assert "python3.1" in (caught.value.hint or "")
