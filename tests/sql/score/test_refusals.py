"""What db.score() refuses, and the errors that end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.answers import answer, answers
from support.fixtures import Session
from support.scoring import RIGHT, ROWS, as_role, differing, interrupted
from support.server import in_database

import modeldb
from modeldb.errors import (
    ConnectionFailed,
    InvalidArgument,
    InvalidSource,
    MissingPrivilege,
    ModeldbError,
    ScoreConflict,
    UnknownModel,
)
from modeldb.score import sessions
from modeldb.score.task import Progress

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
