"""Scheduled runs: what the role that runs them may do, and what code of the predictions' owner may do within them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql as sql_text
from support.answers import answer, answers
from support.fixtures import Session
from support.registering import Register
from support.workers import TABLES, schedule_missed

MAY = """
SELECT p.proname FROM pg_proc p
WHERE p.pronamespace = 'modeldb'::regnamespace AND has_function_privilege(%s, p.oid, 'EXECUTE') ORDER BY 1
"""
RUN = "SELECT error FROM modeldb._run_scheduled('public.scores', 'worker')"

# What the owner's code tries when it is run: each attempt's outcome goes to the table tried.
ATTEMPTS = """
CREATE TABLE tried (what text, outcome text);
CREATE FUNCTION escape(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE what;
    INSERT INTO public.tried VALUES (what, 'done as ' || current_user);
EXCEPTION WHEN OTHERS THEN
    INSERT INTO public.tried VALUES (what, SQLSTATE);
END
$$;
CREATE FUNCTION mischief() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.tried VALUES ('nothing', 'done as ' || current_user);
    PERFORM public.escape('RESET ROLE'), public.escape('SET ROLE modeldb_worker'), public.escape('SET ROLE postgres'),
        public.escape('SET SESSION AUTHORIZATION DEFAULT'), public.escape('RESET SESSION AUTHORIZATION'),
        public.escape('UPDATE modeldb.prediction_schedule SET handled_until = now()'),
        public.escape('SELECT modeldb._due()'), public.escape('SELECT pg_read_file(''pg_hba.conf'')');
    RETURN true;
END
$$;
CREATE VIEW trap AS SELECT p.* FROM points p WHERE public.mischief();
"""


@pytest.fixture
def owner(
    sql: psycopg.Connection, register: Register, session: Session, make_role: Callable[..., str]
) -> Iterator[str]:
    """A role with modeldb_user that owns predictions scores of its view trap, due now, whose code is malicious."""
    register(2.0)
    name = make_role("modeldb_user")
    sql.execute(sql_text.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql_text.Identifier(name)))
    own = session(role=name)
    own.execute(TABLES)
    own.execute("CREATE VIEW trap AS SELECT * FROM points")
    own.execute("SELECT create_predictions('scores', 'm', 'trap', 'id')")
    own.execute(ATTEMPTS.replace("CREATE VIEW", "CREATE OR REPLACE VIEW").encode())
    schedule_missed_by(sql, own)
    yield name
    own.close()


def schedule_missed_by(admin: psycopg.Connection, own: psycopg.Connection) -> None:
    """The owner makes the schedule; only a superuser can make it look missed."""
    own.execute("SELECT schedule_predictions('scores', '0 0 1 1 *')")
    schedule_missed(admin, "scores")


def test_a_worker_may_run_what_is_due_and_do_nothing_else(sql: psycopg.Connection) -> None:
    public = [
        *("_attempt", "_drain", "_due", "_fail_scheduled", "_forget_events", "_run_scheduled", "_take_back_attempt"),
        "_waiting",
    ]
    assert answers(sql, MAY, "modeldb_worker") == public
    assert set(answers(sql, MAY, "modeldb_cron")) - set(public) == {
        *("_cron_command", "_cron_job", "_cron_ready"),
    }
    for role in ("modeldb_worker", "modeldb_cron"):
        query = """SELECT relname FROM pg_class WHERE relnamespace = 'modeldb'::regnamespace AND relkind IN ('r', 'v')
                   AND has_table_privilege(%s, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"""
        assert answers(sql, query, role) == []
    assert answers(sql, "SELECT roleid::regrole FROM pg_auth_members WHERE member = 'modeldb_worker'::regrole") == []


def test_a_worker_cannot_change_what_others_call(session: Session) -> None:
    worker = session(role="modeldb_worker")
    for statement in (
        "ALTER FUNCTION modeldb._cron_schedule(text, text) SECURITY INVOKER",
        "ALTER FUNCTION modeldb._run_scheduled(text, text) SET search_path = public",
        "CREATE OR REPLACE FUNCTION modeldb._due() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE modeldb_cron",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            worker.execute(statement.encode())


@pytest.mark.parametrize("runner", ["modeldb_worker", "postgres"])
def test_code_of_the_owner_stays_the_owners(sql: psycopg.Connection, session: Session, owner: str, runner: str) -> None:
    connection = session(role=runner)
    assert answer(connection, RUN) is None
    assert set(answers(sql, "SELECT outcome FROM tried WHERE what = 'nothing'")) == {f"done as {owner}"}
    failed = answers(sql, "SELECT outcome FROM tried WHERE what <> 'nothing'")
    assert len(failed) >= 8
    assert set(failed) <= {"42501", "22023"}, answers(sql, "SELECT tried::text FROM tried")
    assert answer(connection, "SELECT current_user::text") == runner


def test_a_trigger_of_the_owner_does_not_fire_after_the_run_as_somebody_else(
    sql: psycopg.Connection, session: Session, owner: str
) -> None:
    """A deferred trigger fires at COMMIT, when the run's role is left: PostgreSQL refuses it, and the run says so."""
    own = session(role=owner)
    own.execute("SELECT create_predictions('more', 'm', 'points', 'id', incremental => true)")
    own.execute("""
        CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.tried VALUES ('trigger', current_user); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON more_stored
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
        GRANT INSERT ON tried TO PUBLIC;
        UPDATE points SET a = a + 1;
        SELECT schedule_predictions('more', '0 0 1 1 *')
    """)
    schedule_missed(sql, "more")
    error = answer(session(role="modeldb_worker"), RUN.replace("scores", "more"))
    assert answers(sql, "SELECT DISTINCT outcome FROM tried WHERE what = 'trigger'") in ([], [owner])
    assert error is None or "deferred trigger" in error
