"""Ways to gain a worker's rights, or another owner's, by an asynchronous scorer: none of them leads anywhere."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest
from support.answers import answer, answers, refusal
from support.online import drain, due_now, queued
from support.roles import Login

from modeldb.errors import InvalidScorer, MissingPrivilege

ESCAPES = [
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "RESET ROLE",
    "SET LOCAL ROLE modeldb_worker",
    "SELECT set_config(''role'', ''postgres'', true)",
    "CREATE TEMP TABLE trap (x int)",
    "DECLARE later CURSOR WITH HOLD FOR SELECT 1",
    "SELECT modeldb._drain(1, 1)",
    "SELECT modeldb._waiting()",
]
PLACES = {
    "a trigger": """CREATE TRIGGER sly BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION shared.row_trap()""",
    "a deferred trigger": """CREATE CONSTRAINT TRIGGER sly AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION shared.row_trap()""",
    "a check": "ALTER TABLE t ADD CONSTRAINT sly CHECK (score IS NULL OR shared.trap())",
    "an index": "CREATE INDEX ON t (shared.fixed_trap(score)) WHERE score IS NOT NULL",
    "a trigger on the queue": """CREATE TRIGGER sly BEFORE DELETE ON modeldb_scorers.queue_{id}
        FOR EACH ROW EXECUTE FUNCTION shared.row_trap()""",
    "a policy of the queue": """ALTER TABLE modeldb_scorers.queue_{id} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE modeldb_scorers.queue_{id} FORCE ROW LEVEL SECURITY;
        CREATE POLICY sly ON modeldb_scorers.queue_{id} USING (shared.trap())""",
}
TRAPS = """
    CREATE OR REPLACE FUNCTION shared.trap() RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE told text := current_user;
    BEGIN
        BEGIN EXECUTE '{}'; EXCEPTION WHEN OTHERS THEN told := told || ' ' || SQLSTATE; END;
        told := told || ' ' || current_user || ' ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
        RAISE NOTICE 'trap: %', told;
        RETURN true;
    END $$;
    CREATE OR REPLACE FUNCTION shared.fixed_trap(score float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN PERFORM shared.trap(); RETURN score; END $$;
    CREATE OR REPLACE FUNCTION shared.row_trap() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM shared.trap(); RETURN coalesce(NEW, OLD); END $$"""


@pytest.fixture
def scorer(admin: psycopg.Connection, login: Login) -> int:
    """The scorer of alice's table t, with an entry in its queue."""
    alice = login("alice")
    number = int(answer(alice, "SELECT (attach_scorer('t', 'm', mode => 'async')).id"))
    alice.execute("UPDATE t SET a = a + 1 WHERE id = 1")
    return number


def traps(connection: psycopg.Connection) -> list[str]:
    """What the traps tell on a connection, from now on."""
    told: list[str] = []
    connection.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    return told


@pytest.mark.parametrize("place", PLACES)
def test_the_owners_code_runs_as_the_owner(admin: psycopg.Connection, login: Login, scorer: int, place: str) -> None:
    alice = login("alice")
    alice.execute(TRAPS.format("SELECT 1").encode())
    alice.execute(PLACES[place].format(id=scorer).encode())
    for attempt in ESCAPES:
        alice.execute(TRAPS.format(attempt).encode())
        due_now(alice, scorer)
        told = traps(admin)
        if place == "a view instead of the queue":
            refusal(admin, f"SELECT modeldb._drain({scorer}, 1)", InvalidScorer, "the queue")
        else:
            with suppress(psycopg.errors.InsufficientPrivilege):  # policies are refused where they are forced
                drain(admin, scorer)
            alice.execute("UPDATE t SET a = a + 1 WHERE id = 1")
        answer(admin, "SELECT count(*) FROM modeldb._waiting()")
        answer(admin, "SELECT count(*) FROM modeldb._queue_state(%s)", scorer)
        lines = [line for line in told if line.startswith("trap: ")]
        assert lines, attempt
        for line in lines:
            before, *state, after, superuser = line.removeprefix("trap: ").split()
            assert (before, after, superuser) == ("test_alice", "test_alice", "false"), (attempt, line)
            assert state in ([], ["42501"], ["25001"], ["0A000"], ["MD907"]), (attempt, line)
    assert admin.execute("SELECT current_user, session_user").fetchone() == ("postgres", "postgres")


def test_nothing_is_left_for_the_end_of_the_transaction(admin: psycopg.Connection, login: Login, scorer: int) -> None:
    """A trigger that puts constraints off again, so that another one would run at COMMIT, as the worker."""
    alice = login("alice")
    alice.execute(TRAPS.format("SELECT 1").encode())
    alice.execute("CREATE TABLE other (x int)")
    alice.execute("""
        CREATE CONSTRAINT TRIGGER sly AFTER INSERT ON other DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION shared.row_trap();
        CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql SET search_path = private AS $$
        BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO other VALUES (1); RETURN NEW; END $$;
        CREATE TRIGGER put_off BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION put_off()""")
    told = traps(admin)
    assert drain(admin, scorer) == {"taken": 1, "failed": 1, "retried": 1}
    assert [line for line in told if "postgres" in line] == []
    assert answers(admin, "SELECT x FROM private.other") == []


def test_what_a_trigger_sets_ends_with_the_drain(admin: psycopg.Connection, login: Login, scorer: int) -> None:
    alice = login("alice")
    alice.execute("""
        CREATE FUNCTION sets() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM set_config('search_path', 'private', false), set_config('work_mem', '1MB', false);
            RETURN NEW;
        END $$;
        CREATE TRIGGER sets BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sets()""")
    query = "SELECT current_setting('search_path') || current_setting('work_mem')"
    before = answer(admin, query)
    assert drain(admin, scorer) == {"taken": 1, "scored": 1}
    assert answer(admin, query) == before


def test_a_worker_needs_no_right_to_the_table(admin: psycopg.Connection, login: Login, scorer: int) -> None:
    admin.execute("SET ROLE modeldb_worker")
    assert drain(admin, scorer) == {"taken": 1, "scored": 1}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        admin.execute("SELECT FROM private.t")
    admin.execute("RESET ROLE")


def test_strangers_neither_fill_nor_read_nor_drain_a_queue(
    admin: psycopg.Connection, login: Login, scorer: int
) -> None:
    bob = login("bob")
    for statement in (
        f"INSERT INTO modeldb_scorers.queue_{scorer} (key_1) VALUES (1)",
        f"SELECT FROM modeldb_scorers.queue_{scorer}",
        f"SELECT modeldb_scorers._{scorer}()",
        f"""CREATE TABLE shared.bait (id int);
            CREATE TRIGGER sly AFTER INSERT ON shared.bait FOR EACH ROW EXECUTE FUNCTION modeldb_scorers._{scorer}()""",
        "SELECT modeldb._waiting()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bob.execute(statement.encode())
    refusal(bob, f"SELECT modeldb._drain({scorer}, 1)", MissingPrivilege, "test_bob")
    assert queued(admin, scorer) == 1


def test_members_of_the_owner_drain(login: Login, scorer: int) -> None:
    assert drain(login("member"), scorer) == {"taken": 1, "scored": 1}


def test_a_queue_of_another_owner_is_not_touched(admin: psycopg.Connection, login: Login, scorer: int) -> None:
    """Its owner could have put code into it that would run as the owner of the table."""
    admin.execute(f"ALTER TABLE modeldb_scorers.queue_{scorer} OWNER TO test_bob")
    refusal(admin, f"SELECT modeldb._drain({scorer}, 1)", InvalidScorer, "another owner")
    admin.execute(f"ALTER TABLE modeldb_scorers.queue_{scorer} OWNER TO test_alice")
    due_now(admin, scorer)
    assert drain(admin, scorer)["scored"] == 1


def test_an_owner_who_may_not_predict_any_more(admin: psycopg.Connection, login: Login, scorer: int) -> None:
    admin.execute("REVOKE modeldb_user FROM test_alice")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        drain(admin, scorer)
    admin.execute("GRANT modeldb_user TO test_alice")
    assert drain(admin, scorer) == {"taken": 1, "scored": 1}


def test_what_has_the_name_of_a_queue_is_not_asked(admin: psycopg.Connection, login: Login) -> None:
    """The scorer is synchronous, so there is no queue; the view would be read with the rights of the table's owner."""
    number = int(answer(login("alice"), "SELECT (attach_scorer('t', 'm')).id"))
    admin.execute(TRAPS.format("SELECT 1").encode())
    view = f"modeldb_scorers.queue_{number}"
    admin.execute(f"CREATE VIEW {view} AS SELECT now() AS queue_time, now() AS queue_due WHERE shared.trap()".encode())
    admin.execute(f"ALTER VIEW {view} OWNER TO test_bob".encode())
    told = traps(admin)
    assert admin.execute("SELECT queued FROM modeldb._queue_state(%s)", [number]).fetchall() == [(None,)]
    admin.execute("SELECT * FROM modeldb._waiting()")
    assert told == []


def test_an_owner_without_rights_leaves_the_view_to_the_others(
    admin: psycopg.Connection, login: Login, scorer: int
) -> None:
    admin.execute("REVOKE modeldb_user FROM test_alice")
    try:
        assert answers(login("bob"), "SELECT queued FROM modeldb.scorers WHERE \"into\" = 'score'") == [None]
    finally:
        admin.execute("GRANT modeldb_user TO test_alice")


def test_a_trigger_reads_no_events_by_the_rights_of_the_worker(
    admin: psycopg.Connection, login: Login, scorer: int
) -> None:
    drain(admin, scorer)
    alice = login("alice")
    alice.execute(
        f"""CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM modeldb._scored({scorer}, 0, 10);
            RETURN NEW;
        END $$;
        CREATE TRIGGER follow BEFORE UPDATE OF score ON t FOR EACH ROW EXECUTE FUNCTION follow();
        UPDATE t SET a = a + 1 WHERE id = 2""".encode()
    )
    assert drain(admin, scorer)["failed"] == 1
    assert "another role's rights" in answer(admin, f"SELECT queue_error FROM modeldb_scorers.queue_{scorer}")
