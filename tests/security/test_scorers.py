"""Who may have rows scored, and whose rights the scoring has: never those of whoever writes the rows."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from support.answers import answer, answers, refusal
from support.roles import Login
from support.scorers import attach

from modeldb.errors import MissingPrivilege, UnknownScorer

MADE = """
    SELECT p.proname, p.proowner::regrole::text, p.prosecdef, p.proacl::text
    FROM pg_proc p WHERE p.pronamespace = 'modeldb_scorers'::regnamespace ORDER BY 1"""
EVIL = """
    CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.never(float8, float8) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'captured by %', current_user; END $$;
    CREATE FUNCTION evil.record_send(record) RETURNS bytea LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'captured by %', current_user; END $$;
    CREATE FUNCTION evil.abs(float8) RETURNS float8 LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'captured by %', current_user; END $$;
    CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'captured by %', current_user; END $$;
    CREATE OPERATOR evil.> (FUNCTION = evil.never, LEFTARG = float8, RIGHTARG = float8);
    CREATE TABLE evil.other (b float8)"""


def open_to(admin: psycopg.Connection, role: str) -> None:
    """Let a role write to alice's table."""
    admin.execute(f"GRANT USAGE ON SCHEMA private TO {role}; GRANT ALL ON private.t TO {role}".encode())


@pytest.fixture
def table(admin: psycopg.Connection) -> psycopg.Connection:
    """Alice's table, which is empty; bob, and reader, who may not predict, write to it."""
    admin.execute("DELETE FROM modeldb.scorer; TRUNCATE private.t")
    for role in ("test_bob", "test_reader"):
        open_to(admin, role)
    return admin


def test_rows_of_a_role_that_may_not_predict_are_scored(table: psycopg.Connection, login: Login) -> None:
    attach(
        login("alice"),
        "t",
        label="label",
        model_version="version",
        scored_at="at",
        where="a > 0",
        enrich="SELECT 1 AS x",
    )
    reader = login("reader")
    reader.execute("INSERT INTO private.t VALUES (1, 1, 1), (2, 0, 1)")
    reader.execute("UPDATE private.t SET b = 2 WHERE id = 1")
    assert answers(reader, "SELECT ARRAY[score::text, label, version::text] FROM private.t ORDER BY id") == [
        ["4", "4", "1"], [None, None, None],
    ]  # fmt: skip
    with pytest.raises(InsufficientPrivilege):
        reader.execute("SELECT modeldb.predict('m', t) FROM private.t")
    assert answer(table, "SELECT rows FROM modeldb.scorers") == 2


@pytest.mark.parametrize("role", ["bob", "reader", "nobody"])
def test_who_does_not_own_the_table_cannot_attach_or_detach(table: psycopg.Connection, login: Login, role: str) -> None:
    attach(login("alice"), "private.t")
    stranger = login(role)
    for call in ("attach_scorer('private.t', 'm', \"into\" => 'mine')", "detach_scorer('private.t')"):
        if role == "bob":
            refusal(stranger, f"SELECT modeldb.{call}", MissingPrivilege, "private.t")
        else:
            with pytest.raises(InsufficientPrivilege):
                stranger.execute(f"SELECT modeldb.{call}".encode())
    assert answer(table, "SELECT count(*) FROM modeldb.scorers") == 1


def test_a_member_of_the_owner_attaches_what_is_the_owners(table: psycopg.Connection, login: Login) -> None:
    member = login("member")
    found = attach(member, "private.t", enrich="SELECT 1 AS one")
    assert found["attached_by"] == "test_member"
    made = [row for row in table.execute(MADE.encode()).fetchall() if row[0].startswith(f"_{found['id']}")]
    assert [(name, owner, definer) for name, owner, definer, _ in made] == [
        (f"_{found['id']}", "test_alice", True),
        (f"_{found['id']}_enrich", "test_alice", False),
        (f"_{found['id']}_row", "test_alice", False),
    ]
    assert made[0][3] == "{test_alice=X/test_alice}"
    member.execute("SELECT detach_scorer('private.t')")
    assert answers(table, f"SELECT 1 FROM pg_proc WHERE proname LIKE '\\_{found['id']}%'") == []


def test_the_owner_has_to_be_one_who_may_predict(table: psycopg.Connection) -> None:
    table.execute("ALTER TABLE private.t OWNER TO test_nobody")
    hint = refusal(table, "SELECT modeldb.attach_scorer('private.t', 'm')", MissingPrivilege, "test_nobody")
    assert "GRANT modeldb_user TO" in hint


def test_a_table_in_a_schema_of_somebody_else(table: psycopg.Connection, login: Login) -> None:
    """Alice owns the table, and may make nothing in its schema."""
    table.execute("""CREATE SCHEMA others AUTHORIZATION test_bob;
        GRANT USAGE ON SCHEMA others TO test_alice, test_reader;
        CREATE TABLE others.t (a float8, b float8); ALTER TABLE others.t OWNER TO test_alice;
        GRANT INSERT, SELECT ON others.t TO test_reader""")
    attach(login("alice"), "others.t", where="a > 0", enrich="SELECT count(*) AS rows FROM others.t")
    reader = login("reader")
    reader.execute("INSERT INTO others.t VALUES (1, 1)")
    assert answers(reader, "SELECT score FROM others.t") == [3]
    login("alice").execute("SELECT modeldb.detach_scorer('others.t')")
    table.execute("DROP SCHEMA others CASCADE")


def test_rows_are_refused_once_the_owner_may_not_predict(table: psycopg.Connection, login: Login) -> None:
    attach(login("alice"), "private.t")
    reader = login("reader")
    reader.execute("INSERT INTO private.t VALUES (1, 1, 1)")
    table.execute("REVOKE modeldb_user FROM test_alice")
    with pytest.raises(InsufficientPrivilege):
        reader.execute("INSERT INTO private.t VALUES (2, 1, 1)")
    table.execute("SELECT modeldb.detach_scorer('private.t')")


# --- whose rights code has ------------------------------------------------------------------------------------------

TELL = """
    CREATE FUNCTION shared.tell(float8) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        RAISE NOTICE '% %', current_user, current_setting('search_path');
        RETURN true;
    END $$; GRANT EXECUTE ON FUNCTION shared.tell TO PUBLIC"""


def test_what_a_superuser_attaches_runs_as_the_owner(table: psycopg.Connection, login: Login) -> None:
    table.execute(TELL.encode())
    table.execute("SET search_path = shared, modeldb")
    attach(table, "private.t", where="tell(a)", reject_if="NOT tell(score)", enrich="SELECT tell(new.a) AS told")
    notices: list[str] = []
    for connection in (table, login("reader"), login("bob")):
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        connection.execute("INSERT INTO private.t VALUES ((SELECT count(*) FROM private.t), 1, 1)")
    assert notices == ["test_alice pg_catalog, pg_temp"] * 9
    owners = "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'modeldb_scorers'::regnamespace"
    assert answers(table, owners) == ["test_alice"]
    assert answers(table, "SELECT relname FROM pg_class WHERE relnamespace = 'modeldb_scorers'::regnamespace") == []


def test_the_writers_search_path_captures_nothing(table: psycopg.Connection, login: Login) -> None:
    table.execute(EVIL.encode())
    table.execute("CREATE TABLE private.other (b float8); GRANT ALL ON private.other TO test_alice")
    query = "SELECT count(*) + abs(new.a) AS more FROM other o WHERE o.b > new.a"
    attach(
        login("alice"), "t", where="a > 0.5", reject_if="abs(score) > 100", enrich=query, scored_at="at", label="label"
    )
    attach(login("alice"), "t", into="plain", columns={"b": "id"})
    reader = login("reader")
    reader.execute("SET search_path = evil, pg_catalog, pg_temp; CREATE TEMP TABLE other (b float8)")
    reader.execute("INSERT INTO private.t (id, a, b) VALUES (1, 1, 1), (2, 0, 0)")
    assert answers(reader, "SELECT ARRAY[score, plain] FROM private.t ORDER BY id") == [[3, 3], [None, 2]]
    table.execute("DROP SCHEMA evil CASCADE")


def test_the_search_path_of_who_attaches_says_what_names_mean(table: psycopg.Connection, login: Login) -> None:
    alice = login("alice")
    alice.execute("CREATE TABLE shared.rates (rate float8); INSERT INTO shared.rates VALUES (5)")
    attach(alice, "t", columns={"b": "rate"}, enrich="SELECT r.rate FROM rates r")
    alice.execute("RESET search_path; INSERT INTO private.t VALUES (1, 1)")
    assert answers(alice, "SELECT score FROM private.t") == [7]


def test_nobody_else_can_use_the_trigger_function(table: psycopg.Connection, login: Login) -> None:
    id_ = attach(login("alice"), "private.t", enrich="SELECT count(*) AS secret FROM private.t")["id"]
    bob = login("bob")
    bob.execute("CREATE TABLE shared.mine (id int, a float8, b float8, score float8)")
    trigger = "CREATE TRIGGER steal BEFORE INSERT ON shared.mine FOR EACH ROW EXECUTE FUNCTION"
    with pytest.raises(InsufficientPrivilege):
        bob.execute(f"{trigger} modeldb_scorers._{id_}()".encode())


def test_nobody_else_can_teach_a_session_to_misread_rows(table: psycopg.Connection, login: Login) -> None:
    """A record of other types, handed in directly, in the session and the statement in which rows are written."""
    table.execute("ALTER TABLE private.t ALTER COLUMN b TYPE int")
    id_ = attach(login("alice"), "private.t")["id"]
    bob = login("bob")
    lie = f"SELECT modeldb._online({id_}, modeldb._epoch(), record_send(ROW(1::float8, '{{}}'::text)))"
    refusal(bob, lie, MissingPrivilege, "only the trigger function")
    bob.execute("INSERT INTO private.t VALUES (1, 2, 3)")
    refusal(bob, lie, MissingPrivilege, "only the trigger function")
    for _ in range(2):
        bob.execute("INSERT INTO private.t VALUES ((SELECT count(*) + 1 FROM private.t), 2, 3)")
    assert answers(bob, "SELECT DISTINCT score FROM private.t") == [7]
    refusal(bob, "SELECT modeldb._online(999999, 1, '')", UnknownScorer)
    for call in ("_online_label({})", "_online_version({})", "_online_error({})", "_online_error({}, 'spoilt')"):
        refusal(bob, f"SELECT modeldb.{call.format(id_)}", MissingPrivilege, "only the trigger function")


def test_a_query_that_is_refreshed_cannot_attach(table: psycopg.Connection, login: Login) -> None:
    bob = login("bob")
    bob.execute("""
        CREATE TABLE shared.mine (a float8, b float8);
        CREATE FUNCTION shared.sneak() RETURNS int LANGUAGE sql VOLATILE AS
            $$ SELECT (modeldb.attach_scorer('shared.mine', 'm')).id $$;
        CREATE MATERIALIZED VIEW shared.trap AS SELECT shared.sneak() AS x WITH NO DATA""")
    refusal(table, "REFRESH MATERIALIZED VIEW shared.trap", MissingPrivilege)
    assert answer(table, "SELECT count(*) FROM modeldb.scorer") == 0


def test_statistics_are_written_by_nobody_else(table: psycopg.Connection, login: Login) -> None:
    attach(login("alice"), "private.t")
    for role in ("bob", "alice"):
        for query in (
            "SELECT * FROM modeldb.scorer_activity",
            "DELETE FROM modeldb.scorer",
            "SELECT modeldb._compact_activity(1)",
        ):
            with pytest.raises(InsufficientPrivilege):
                login(role).execute(query.encode())
    assert answer(login("bob"), 'SELECT "table"::text FROM modeldb.scorers') == "t"


def test_a_table_of_another_owner_shows_and_can_be_detached_and_attached(
    table: psycopg.Connection, login: Login
) -> None:
    attach(login("alice"), "private.t", enrich="SELECT 1 AS one")
    table.execute("ALTER TABLE private.t OWNER TO test_bob; GRANT ALL ON SCHEMA private TO test_bob")
    assert answers(table, "SELECT broken FROM modeldb.scorers") == [True]
    bob = login("bob")
    bob.execute("SELECT modeldb.detach_scorer('private.t')")
    attach(bob, "private.t")
    bob.execute("INSERT INTO private.t VALUES (1, 1, 1)")
    assert answers(bob, "SELECT score FROM private.t") == [3]
    assert answers(table, "SELECT broken FROM modeldb.scorers") == [False]
