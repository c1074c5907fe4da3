"""Ways to gain somebody else's rights by predictions, none of which lead anywhere."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.batch import KINDS, run
from support.roles import Login

from modeldb.errors import MissingPrivilege, PredictionsMismatch, UnknownPredictions

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


def test_dropping_takes_nothing_that_has_become_somebody_elses(admin: psycopg.Connection, login: Login) -> None:
    alice, bob = login("alice"), login("bob")
    run(alice, "create_predictions('shared.p', 'm', 'private.t', 'id', incremental => true)")
    alice.execute("DROP VIEW shared.p; DROP TABLE shared.p_stored")
    bob.execute("CREATE TABLE shared.p_stored (x int)")
    admin.execute("SELECT drop_predictions('shared.p')")
    assert answer(bob, "SELECT count(*) FROM shared.p_stored") == 0
    refusal(admin, "SELECT drop_predictions('shared.p')", UnknownPredictions)
