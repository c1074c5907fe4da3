"""Who may what with predictions, and as whom they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from support.answers import answer, answers, refusal
from support.batch import KINDS, Connect, run, wrong_rows

from modeldb.errors import MissingPrivilege, PredictionsMismatch, UnknownPredictions

TABLE = """
    CREATE TABLE t (id int PRIMARY KEY, a float8, b float8);
    INSERT INTO t SELECT i, i * 0.1, -i FROM generate_series(1, 100) AS i"""
ROLES = ("test_alice", "test_bob", "test_member", "test_reader", "test_nobody")
Login = Callable[[str], psycopg.Connection]


@pytest.fixture
def admin(clean: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A superuser; alice, bob and member may predict, member is one of alice's; reader and nobody are strangers.

    Alice has a schema that nobody else may use, and a table t in it.
    """
    for role in ROLES:
        clean.execute(f"CREATE ROLE {role}".encode())
    clean.execute(
        f"""GRANT modeldb_user TO test_alice, test_bob, test_member; GRANT test_alice TO test_member;
        CREATE SCHEMA private AUTHORIZATION test_alice;
        CREATE SCHEMA shared; GRANT ALL ON SCHEMA shared TO PUBLIC;
        SET ROLE test_alice; SET search_path = private, modeldb; {TABLE}; RESET ROLE; RESET search_path""".encode()
    )
    yield clean
    clean.execute("DELETE FROM modeldb.prediction_set; DROP SCHEMA private, shared CASCADE")
    for role in ROLES:
        clean.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


@pytest.fixture
def login(connect: Connect) -> Login:
    def make(role: str) -> psycopg.Connection:
        connection = connect()
        connection.execute(
            f"SET SESSION AUTHORIZATION test_{role}; SET search_path = private, shared, modeldb".encode()
        )
        return connection

    return make


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


# --- code that comes with somebody's predictions -------------------------------------------------------------------

ESCAPES = [
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "RESET ROLE",
    "RESET SESSION AUTHORIZATION",
    "SET LOCAL ROLE postgres",
    "SELECT set_config(''role'', ''postgres'', true)",
    "CREATE TABLE private.caught (x int); DROP TABLE private.caught",
    "CREATE TEMP TABLE trap (x int)",
]


def make_trap(connection: psycopg.Connection, attempt: str) -> None:
    """A function that tells as whom it runs, before and after it has tried to become somebody else."""
    connection.execute(
        f"""CREATE OR REPLACE FUNCTION shared.trap() RETURNS float8 LANGUAGE plpgsql AS $$
        DECLARE told text := current_user;
        BEGIN
            BEGIN EXECUTE '{attempt}'; EXCEPTION WHEN OTHERS THEN told := told || ' ' || SQLSTATE; END;
            told := told || ' ' || current_user || ' ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
            RAISE NOTICE 'trap: %', told;
            RETURN 1;
        END $$""".encode()
    )


@KINDS
@pytest.mark.parametrize("attempt", ESCAPES)
def test_a_function_in_the_source_cannot_become_the_superuser_who_refreshes(
    admin: psycopg.Connection, login: Login, attempt: str, incremental: bool
) -> None:
    alice = login("alice")
    make_trap(alice, "SELECT 1")
    source = "SELECT id, a, shared.trap() AS b FROM t WHERE id <= 2"
    run(alice, "create_predictions('p', 'm', %s, 'id', incremental => %s)", source, incremental)
    make_trap(alice, attempt)
    alice.execute("UPDATE t SET a = a + 1")
    told: list[str] = []
    admin.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    assert run(admin, "refresh_predictions('private.p')")["error"] is None
    traps = {line for line in told if line.startswith("trap: ")}
    assert traps
    for line in traps:
        before, *state, after, superuser = line.removeprefix("trap: ").split()
        assert (before, after, superuser) == ("test_alice", "test_alice", "false"), line
        assert state in ([], ["42501"], ["25001"], ["0A000"]), line
    assert admin.execute("SELECT current_user, session_user").fetchone() == ("postgres", "postgres")


@KINDS
@pytest.mark.parametrize("place", ["index", "check", "domain", "policy", "trigger"])
def test_code_elsewhere_runs_as_the_owner(
    admin: psycopg.Connection, login: Login, place: str, incremental: bool
) -> None:
    """Wherever PostgreSQL calls a function of the owner's while a superuser refreshes."""
    alice = login("alice")
    make_trap(alice, "SET ROLE postgres")
    source = "t"
    if place == "policy":
        alice.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        alice.execute("CREATE POLICY sly ON t USING (shared.trap() = 1)")
    if place == "domain":
        alice.execute("CREATE DOMAIN private.checked AS int CHECK (shared.trap() = 1)")
        source = "SELECT id::private.checked AS id, a, b FROM t"
    run(alice, "create_predictions('p', 'm', %s, 'id', incremental => %s)", source, incremental)
    if place == "index":
        alice.execute(
            "CREATE FUNCTION private.sly(int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT shared.trap()'"
        )
        alice.execute("CREATE INDEX ON p_stored (private.sly(id))")
    if place == "trigger" and incremental:
        alice.execute(
            """CREATE FUNCTION private.fired() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN PERFORM shared.trap(); RETURN NEW; END';
            CREATE TRIGGER fired BEFORE INSERT OR UPDATE ON p_stored FOR EACH ROW EXECUTE FUNCTION private.fired()"""
        )
    if place == "check" and incremental:
        alice.execute("ALTER TABLE p_stored ADD CHECK (shared.trap() = 1)")
    alice.execute("UPDATE t SET a = a + 1")
    told: list[str] = []
    admin.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    assert run(admin, "refresh_predictions('private.p')")["error"] is None
    lines = {line.removeprefix("trap: ") for line in told if line.startswith("trap: ")}
    assert all(line.startswith("test_alice ") and line.endswith(" test_alice false") for line in lines), lines
    assert admin.execute("SELECT current_user, session_user").fetchone() == ("postgres", "postgres")


# --- the record cannot be bent to run somebody else's relations -----------------------------------------------------

REGISTER = """SELECT modeldb._register_predictions({name}, {stored}, {source}, {owns}, 'm', '{{id}}', '{{}}',
    '{{prediction}}', NULL, 'raise', true, NULL)"""
SHARED = {
    "name": "'shared.v'",
    "stored": "'shared.s'",
    "source": "'shared.src'",
    "owns": "false",
    "incremental": "true",
}


@pytest.fixture
def relations(admin: psycopg.Connection, login: Login) -> psycopg.Connection:
    """Bob with a view and a table of his own; hers is alice's."""
    login("alice").execute(
        "CREATE TABLE shared.hers (id int, prediction float8); CREATE VIEW shared.her_view AS SELECT 1"
    )
    bob = login("bob")
    bob.execute("CREATE TABLE shared.s (id int PRIMARY KEY, prediction float8, features_hash bigint)")
    bob.execute("CREATE VIEW shared.v AS SELECT * FROM shared.s")
    return bob


BENT = [
    {"stored": "'shared.hers'"},
    {"name": "'shared.her_view'"},
    {"name": "'shared.her_view'", "stored": "'shared.hers'"},
    {"stored": "'shared.nothing_yet'"},
    {"name": "'shared.nothing_yet'"},
    {"source": "'shared.her_view'", "owns": "true"},
    {"source": "'shared.nothing_yet'", "owns": "true"},
    {"source": "'shared.v; DROP TABLE shared.hers'", "owns": "true"},
    {"stored": "'shared.s; DROP TABLE shared.hers'"},
    {"name": "'s'"},
    {"name": "NULL"},
    {"stored": "NULL"},
    {"source": "NULL", "owns": "true"},
]


def test_nothing_can_be_registered_but_what_is_ones_own(
    admin: psycopg.Connection, relations: psycopg.Connection
) -> None:
    for changes in BENT:
        with pytest.raises(psycopg.Error):
            relations.execute(REGISTER.format(**{**SHARED, **changes}).encode())
    assert answer(admin, "SELECT count(*) FROM modeldb.prediction_set") == 0
    assert answer(admin, "SELECT to_regclass('shared.hers') IS NOT NULL")


def test_relations_that_others_made_later_are_not_run(
    admin: psycopg.Connection, relations: psycopg.Connection, login: Login
) -> None:
    """Bob registers his relations and drops them; what alice then makes by these names is not filled as alice."""
    bob, alice = relations, login("alice")
    make_trap(bob, "SELECT 1")
    evil = "'(SELECT 1 AS id, 2 AS a, shared.trap() AS b)'"
    bob.execute(REGISTER.format(**{**SHARED, "source": evil}).encode())
    bob.execute("SELECT schedule_predictions('shared.v', '* * * * *')")
    bob.execute("DROP VIEW shared.v; DROP TABLE shared.s")
    alice.execute("CREATE TABLE shared.s (id int PRIMARY KEY, prediction float8, features_hash bigint)")
    refusal(admin, "SELECT modeldb._refresh('shared.v', false, 'worker')", PredictionsMismatch, "shared.v")
    alice.execute("CREATE VIEW shared.v AS SELECT 1 AS id")
    refusal(admin, "SELECT modeldb._refresh('shared.v', false, 'worker')", PredictionsMismatch, "shared.v")
    assert answer(alice, "SELECT count(*) FROM shared.s") == 0
    refusal(bob, "SELECT refresh_predictions('shared.v')", PredictionsMismatch, "shared.v")
    refusal(alice, "SELECT drop_predictions('shared.v', true)", MissingPrivilege, "'test_alice'")
    bob.execute("SELECT drop_predictions('shared.v', true)")
    assert answer(alice, "SELECT count(*) FROM shared.v JOIN shared.s ON true") == 0


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


def test_no_search_path_is_left_to_those_who_come_after(admin: psycopg.Connection, login: Login) -> None:
    """What records the run has more rights than the owner, and must not meet the owner's operators."""
    alice = login("alice")
    alice.execute(
        """CREATE FUNCTION shared.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN RAISE NOTICE 'caught %', current_user; RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
        CREATE OPERATOR shared.= (FUNCTION = shared.same, LEFTARG = text, RIGHTARG = text);
        CREATE FUNCTION shared.leak() RETURNS float8 LANGUAGE sql AS
            $$SELECT length(set_config('search_path', 'shared, pg_catalog', false))::float8$$"""
    )
    told: list[str] = []
    alice.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    source = "SELECT id, a, shared.leak() AS b FROM t WHERE id <= 2"
    for incremental in (True, False):
        name = f"p{incremental}"
        run(alice, "create_predictions(%s, 'm', %s, 'id', incremental => %s)", name, source, incremental)
        assert run(alice, "refresh_predictions(%s)", name)["error"] is None
    assert [line for line in told if "modeldb" in line] == []
    assert answer(alice, "SHOW search_path") == "private, shared, modeldb"


@pytest.mark.parametrize(
    "attempt",
    [
        "modeldb._register_predictions(''shared.q'', ''shared.q_stored'', ''private.t'', false, ''m'', ''{id}'', "
        "''{}'', ''{prediction}'', NULL, ''raise'', false, NULL)",
        "modeldb.refresh_predictions(''shared.q'')",
        "modeldb.unschedule_predictions(''shared.q'')",
        "modeldb._forget_predictions(''shared.q'')",
    ],
)
@KINDS
def test_a_source_has_no_hand_in_the_predictions_of_others(
    admin: psycopg.Connection, login: Login, attempt: str, incremental: bool
) -> None:
    """Not even when a superuser refreshes, whose rights the role of the session has."""
    alice, bob = login("alice"), login("bob")
    bob.execute("CREATE TABLE shared.u AS SELECT 1 AS id, 1.0::float8 AS a, 2.0::float8 AS b")
    run(bob, "create_predictions('shared.q', 'm', 'shared.u', 'id')")
    alice.execute(
        f"""CREATE FUNCTION shared.hand() RETURNS float8 LANGUAGE plpgsql AS $$
        BEGIN
            EXECUTE 'SELECT {attempt}';
            RAISE NOTICE 'done';
            RETURN 1;
        EXCEPTION WHEN SQLSTATE 'MD907' THEN RETURN 1; END $$""".encode()
    )
    source = "SELECT id, a, shared.hand() AS b FROM t WHERE id <= 2"
    run(alice, "create_predictions('p', 'm', %s, 'id', incremental => %s)", source, incremental)
    told: list[str] = []
    admin.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    assert run(admin, "refresh_predictions('private.p')")["error"] is None
    assert told == []
    assert answers(admin, "SELECT source FROM modeldb.prediction_set WHERE name = 'shared.q'") == ["shared.u"]


def test_dropping_takes_nothing_that_has_become_somebody_elses(admin: psycopg.Connection, login: Login) -> None:
    alice, bob = login("alice"), login("bob")
    run(alice, "create_predictions('shared.p', 'm', 'private.t', 'id', incremental => true)")
    alice.execute("DROP VIEW shared.p; DROP TABLE shared.p_stored")
    bob.execute("CREATE TABLE shared.p_stored (x int)")
    admin.execute("SELECT drop_predictions('shared.p')")
    assert answer(bob, "SELECT count(*) FROM shared.p_stored") == 0
    refusal(admin, "SELECT drop_predictions('shared.p')", UnknownPredictions)


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
