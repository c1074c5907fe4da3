"""Who may what with predictions, and as whom they are made."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from support.answers import answer, answers, refusal
from support.batch import KINDS, run, wrong_rows
from support.roles import Login

from modeldb.errors import MissingPrivilege, PredictionsMismatch, UnknownPredictions


@KINDS
@pytest.mark.parametrize("source", ["t", "SELECT * FROM t"])
def test_a_user_makes_refreshes_and_drops_predictions(
    admin: psycopg.Connection, login: Login, source: str, incremental: bool
) -> None:
    """In a schema that neither others nor modeldb's own roles may use."""
    alice = login("alice")
    found = run(alice, "create_predictions('p', 'm', %s, 'id', incremental => %s)", source, incremental)
    assert (found["rows"], found["run_by"], found["predictions"]) == (100, "test_alice", "private.p")
    alice.execute("UPDATE t SET a = 0 WHERE id <= 3")
    assert run(alice, "refresh_predictions('p')")["error"] is None
    assert wrong_rows(alice, "p", "t", "m", "id") == []
    assert answers(alice, "SELECT owner FROM modeldb.predictions") == ["test_alice"]
    relations = "FROM pg_class WHERE relnamespace = 'private'::regnamespace AND relname LIKE 'p%'"
    assert answers(admin, f"SELECT DISTINCT relowner::regrole::text {relations}") == ["test_alice"]
    alice.execute("SELECT drop_predictions('p')")
    assert answer(admin, f"SELECT count(*) {relations}") == 0


@KINDS
def test_members_of_the_owner_and_superusers_refresh_as_the_owner(
    admin: psycopg.Connection, login: Login, incremental: bool
) -> None:
    alice = login("alice")
    run(
        alice,
        "create_predictions('p', 'm', 'SELECT *, current_user::text AS who FROM t', 'id', columns => '{who}',"
        " incremental => %s)",
        incremental,
    )
    for connection, name in ((login("member"), "test_member"), (admin, "postgres")):
        found = run(connection, "modeldb.refresh_predictions('private.p', true)")
        assert (found["error"], found["run_by"]) == (None, name)
        assert answers(alice, "SELECT DISTINCT who FROM p") == ["test_alice"]
    member = login("member")
    member.execute("SELECT drop_predictions('private.p')")
    assert answer(admin, "SELECT count(*) FROM modeldb.predictions") == 0


FORBIDDEN = [
    "refresh_predictions('private.p')",
    "refresh_predictions('private.p', true)",
    "drop_predictions('private.p')",
    "drop_predictions('private.p', true)",
    "schedule_predictions('private.p', '* * * * *')",
    "unschedule_predictions('private.p')",
    "_refresh('private.p', false, 'session')",
    "_refresh('private.p', false, 'session', true)",
    "_forget_predictions('private.p')",
    "_drop_predictions('private.p', true)",
    "_schedule('private.p', '* * * * *')",
    "_unschedule('private.p')",
    "_check_owner('private.p')",
]


def test_others_may_not_touch_them(admin: psycopg.Connection, login: Login) -> None:
    run(login("alice"), "create_predictions('p', 'm', 't', 'id')")
    before = admin.execute("SELECT * FROM modeldb.prediction_set").fetchall()
    bob, nobody = login("bob"), login("nobody")
    for call in FORBIDDEN:
        refusal(bob, f"SELECT modeldb.{call}", MissingPrivilege, "'test_bob'")
        with pytest.raises(InsufficientPrivilege):
            nobody.execute(f"SELECT modeldb.{call}".encode())
    assert admin.execute("SELECT * FROM modeldb.prediction_set").fetchall() == before
    assert answer(admin, "SELECT count(*) FROM modeldb.prediction_schedule") == 0


def test_others_see_that_there_are_predictions(admin: psycopg.Connection, login: Login) -> None:
    """Though they may not use the schema, nor read the rows."""
    run(login("alice"), "create_predictions('p', 'm', 't', 'id')")
    bob = login("bob")
    assert answers(bob, "SELECT name FROM modeldb.predictions WHERE NOT broken") == ["private.p"]
    assert answer(bob, "SELECT describe_predictions('private.p') ->> 'owner'") == "test_alice"
    with pytest.raises(InsufficientPrivilege):
        bob.execute("SELECT * FROM private.p")
    refusal(bob, "SELECT refresh_predictions('p')", UnknownPredictions, "'p'")
    bob.execute("CREATE TABLE shared.t AS SELECT 1 AS id, 1 AS a, 1 AS b")
    assert run(bob, "create_predictions('p', 'm', 't', 'id')")["predictions"] == "shared.p"
    assert run(bob, "refresh_predictions('p')")["predictions"] == "shared.p"


@KINDS
def test_a_reader_needs_the_view_alone(admin: psycopg.Connection, login: Login, incremental: bool) -> None:
    """Neither modeldb's schema, nor the source, nor what is stored."""
    alice = login("alice")
    alice.execute("CREATE TABLE shared.src AS SELECT * FROM t")
    run(alice, "create_predictions('shared.p', 'm', 'shared.src', 'id', incremental => %s)", incremental)
    alice.execute("GRANT SELECT ON shared.p TO test_reader")
    reader = login("reader")
    assert answer(reader, "SELECT count(*) FROM shared.p WHERE model_version = 1 AND scored_at < now()") == 100
    alice.execute("UPDATE shared.src SET a = 0")
    run(alice, "refresh_predictions('shared.p')")
    assert answer(reader, "SELECT sum(prediction) FROM shared.p") == -5050
    for relation in ("shared.src", "shared.p_stored", "modeldb.prediction_set"):
        with pytest.raises(InsufficientPrivilege):
            reader.execute(f"SELECT * FROM {relation}".encode())


def test_what_the_creator_may_not(admin: psycopg.Connection, login: Login) -> None:
    bob = login("bob")
    alice = login("alice")
    alice.execute("CREATE TABLE shared.secret AS SELECT * FROM t; CREATE VIEW shared.open AS SELECT * FROM t")
    for source in ("shared.secret", "SELECT * FROM shared.secret", "private.t", "SELECT * FROM private.t"):
        with pytest.raises(InsufficientPrivilege):
            bob.execute("SELECT create_predictions('shared.q', 'm', %s, 'id')", [source])
        with pytest.raises(InsufficientPrivilege):
            bob.execute("SELECT predict_batch('m', %s)", [source])
    alice.execute("GRANT SELECT ON shared.open TO test_bob")
    assert run(bob, "create_predictions('shared.q', 'm', 'shared.open', 'id')")["rows"] == 100
    alice.execute("REVOKE SELECT ON shared.open FROM test_bob")
    assert run(bob, "refresh_predictions('shared.q')")["sqlstate"] == "42501"
    with pytest.raises(InsufficientPrivilege):
        bob.execute("SELECT create_predictions('private.q', 'm', 'SELECT 1 AS id, 1 AS a, 1 AS b', 'id')")


@pytest.mark.parametrize("call", ["create_predictions('q', 'm', 't', 'id')", "predict_batch('m', 't')"])
def test_a_role_that_may_not_predict(admin: psycopg.Connection, login: Login, call: str) -> None:
    nobody = login("nobody")
    nobody.execute("CREATE TABLE shared.t AS SELECT 1 AS id, 1 AS a, 1 AS b")
    with pytest.raises(InsufficientPrivilege, match="modeldb"):
        nobody.execute(f"SELECT modeldb.{call}".encode())


@KINDS
def test_an_owner_who_may_no_longer_predict(admin: psycopg.Connection, login: Login, incremental: bool) -> None:
    """Even though the run is a superuser's."""
    run(login("alice"), "create_predictions('p', 'm', 't', 'id', incremental => %s)", incremental)
    admin.execute("REVOKE modeldb_user FROM test_alice; UPDATE private.t SET a = 0")
    found = run(admin, "refresh_predictions('private.p')")
    assert found["sqlstate"] == "42501"


def test_predictions_given_to_another_owner(admin: psycopg.Connection, login: Login) -> None:
    """Both relations have to be given, and then they are made with the new owner's rights."""
    run(
        login("alice"),
        "create_predictions('shared.p', 'm', 'SELECT *, current_user::text AS who FROM t', 'id', columns => '{who}')",
    )
    admin.execute("ALTER VIEW shared.p OWNER TO test_bob")
    refusal(admin, "SELECT refresh_predictions('shared.p')", PredictionsMismatch, "owner")
    admin.execute("ALTER MATERIALIZED VIEW shared.p_stored OWNER TO test_bob")
    assert run(login("bob"), "refresh_predictions('shared.p')")["sqlstate"] == "42501"
    admin.execute("GRANT SELECT ON shared.p_source TO test_bob")
    assert run(login("bob"), "refresh_predictions('shared.p')")["error"] is None
    assert answers(admin, "SELECT DISTINCT who FROM shared.p") == ["test_bob"]
    refusal(login("alice"), "SELECT refresh_predictions('shared.p')", MissingPrivilege, "'test_alice'")


def test_the_tables_are_read_only(admin: psycopg.Connection, login: Login) -> None:
    alice = login("alice")
    for table in ("prediction_set", "prediction_schedule", "batch_runs", "score_job"):
        assert answer(alice, f"SELECT count(*) FROM modeldb.{table}") == 0
        for statement in ("INSERT INTO modeldb.{} DEFAULT VALUES", "DELETE FROM modeldb.{}", "TRUNCATE modeldb.{}"):
            with pytest.raises(InsufficientPrivilege):
                alice.execute(statement.format(table).encode())


def test_runs_are_shown_to_the_owner(admin: psycopg.Connection, login: Login) -> None:
    """An error may tell values of rows."""
    alice, bob = login("alice"), login("bob")
    run(alice, "create_predictions('p', 'm', 't', 'id')")
    alice.execute("UPDATE t SET a = NULL WHERE id = 42")
    assert "id = 42" in run(alice, "refresh_predictions('p')")["error"]
    assert answer(alice, "SELECT count(*) FROM modeldb.batch_runs") == 2
    assert answer(login("member"), "SELECT count(*) FROM modeldb.batch_runs") == 2
    assert answer(bob, "SELECT count(*) FROM modeldb.batch_runs") == 0
    assert answers(bob, "SELECT last_error FROM modeldb.predictions") == ["for the owner to see"]
    assert "id = 42" in answer(admin, "SELECT last_error FROM modeldb.predictions")


@KINDS
def test_a_source_that_predicts_itself_is_counted_once(
    admin: psycopg.Connection, login: Login, incremental: bool
) -> None:
    alice = login("alice")
    source = """SELECT t.id, t.a, p.prediction AS b
        FROM private.t JOIN modeldb.predict_batch('m', 'private.t', 'id') p ON p.row_key = t.id::text"""
    found = run(alice, "create_predictions('p', 'm', %s, 'id', incremental => %s)", source, incremental)
    assert (found["rows"], found["scored"]) == (100, 100)
    found = run(alice, "refresh_predictions('p')")
    assert (found["error"], found["rows"]) == (None, 100)
