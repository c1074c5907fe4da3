"""Who may what, and that a backend's cache does not blur it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from support.fixtures import Session, execute
from support.models import Trained
from support.tables import write_table

import modeldb
from modeldb.errors import MissingPrivilege

MakeRole = Callable[..., str]
PREDICT = "SELECT predict('m', p) FROM patients p WHERE row_id = 1"

HIDDEN_TABLES = ["artifact_chunk", "smoke"]
PUBLISHING = [
    "SELECT promote('m', 1)",
    "SELECT rollback('m')",
    "SELECT retire('m', 1)",
    "SELECT delete_model('m', 1)",
    "SELECT drop_alias('m', 'champion')",
    "SELECT configure('m', 'null')",
    "SELECT register_model('x', '\\x00', '{}')",
    "SELECT modeldb.load('m')",
]
INTERNAL = [
    "SELECT modeldb._publish('promote', 'm', 1, 'champion')",
    "SELECT modeldb._write_epoch(99)",
    "SELECT modeldb._point('m', 'champion', 1, 'promote', NULL)",
    "SELECT modeldb._lock_registry()",
    "SELECT modeldb._gate('m', '\\x00', '{}', NULL)",
    "SELECT modeldb._replay('m', 1)",
]


@pytest.fixture
def m(db: modeldb.Database, url: str, cancer: Trained) -> modeldb.Database:
    """Model m, and a table that everybody may read."""
    db.register("m", cancer.estimator, sample=cancer.X)
    write_table(db, "patients", cancer.X)
    execute(url, "GRANT SELECT ON patients TO PUBLIC")
    return db


def test_user_predicts_without_being_able_to_read_weights(
    m: modeldb.Database, session: Session, make_role: MakeRole
) -> None:
    user = session(role=make_role("modeldb_user"))
    assert user.execute(PREDICT).fetchone() == (0,)
    for table in HIDDEN_TABLES:
        with pytest.raises(InsufficientPrivilege):
            user.execute(f"SELECT * FROM modeldb.{table}".encode())
    for view in ("models", "versions", "aliases", "alias_history"):
        assert user.execute(f"SELECT count(*) FROM modeldb.{view}".encode()).fetchone() == (1,)
    assert user.execute("SELECT describe('m') ->> 'model'").fetchone() == ("m",)


@pytest.mark.parametrize("statement", PUBLISHING + INTERNAL)
def test_user_may_not(m: modeldb.Database, session: Session, make_role: MakeRole, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        session(role=make_role("modeldb_user")).execute(statement.encode())


@pytest.mark.parametrize("statement", INTERNAL)
def test_publisher_may_not(m: modeldb.Database, session: Session, make_role: MakeRole, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        session(role=make_role("modeldb_publisher")).execute(statement.encode())


@pytest.mark.parametrize("statement", [PREDICT, "SELECT * FROM modeldb.models", "SELECT modeldb._load('x')"])
def test_others_may_nothing(m: modeldb.Database, session: Session, make_role: MakeRole, statement: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session(role=make_role()).execute(statement.encode())
    assert caught.value.sqlstate in ("42501", "42883")  # without USAGE the schema is not even searched


def test_publisher_registers_and_promotes(
    m: modeldb.Database, session: Session, make_role: MakeRole, cancer2: Trained
) -> None:
    role = make_role("modeldb_publisher")
    with m.engine.connect() as connection:
        connection.exec_driver_sql(f"SET SESSION AUTHORIZATION {role}")
        mine = modeldb.connect(connection)
        assert mine.register("m", cancer2.estimator, sample=cancer2.X).version == 2
        assert mine.promote("m", 2) == 2
        assert len(mine.load("m")) > 100
        assert mine.rollback("m") == 1
        connection.commit()
    version, alias = m.versions("m")[1], m.query("SELECT * FROM modeldb.aliases")[0]
    assert version["created_by"] == role
    assert alias["changed_by"] == role


def test_cache_does_not_serve_a_role_that_may_not_predict(
    m: modeldb.Database, session: Session, make_role: MakeRole
) -> None:
    """Alice warms the backend; Bob, who takes it over with SET ROLE, gets nothing from her cache."""
    alice, bob = make_role("modeldb_user"), make_role()
    connection = session()
    connection.execute(f"GRANT USAGE ON SCHEMA modeldb TO {bob}".encode())
    connection.execute(
        "GRANT EXECUTE ON FUNCTION modeldb._predict, modeldb._epoch, modeldb.predict(text, anyelement) "
        f"TO {bob}".encode()
    )
    connection.execute(f"SET ROLE {alice}".encode())
    assert connection.execute(PREDICT).fetchone() == (0,)
    connection.execute(f"SET ROLE {bob}".encode())
    with pytest.raises(InsufficientPrivilege):
        connection.execute(PREDICT)
    connection.execute(f"SET ROLE {alice}".encode())
    assert connection.execute(PREDICT).fetchone() == (0,)


def test_revoked_membership_bites_at_once(m: modeldb.Database, session: Session, make_role: MakeRole) -> None:
    role = make_role("modeldb_user")
    user, admin = session(role=role), session()
    user.execute("PREPARE score AS " + PREDICT)
    assert [user.execute("EXECUTE score").fetchone() for _ in range(7)] == [(0,)] * 7
    admin.execute(f"REVOKE modeldb_user FROM {role}".encode())
    with pytest.raises(InsufficientPrivilege):
        user.execute("EXECUTE score")


def test_revoked_read_of_the_registry_bites_a_warm_backend(
    m: modeldb.Database, session: Session, make_role: MakeRole
) -> None:
    """The functions alone do not suffice: each route is asked for as the invoker."""
    role = make_role("modeldb_user")
    user, admin = session(role=role), session()
    assert user.execute(PREDICT).fetchone() == (0,)
    admin.execute("REVOKE SELECT ON modeldb.model_version FROM modeldb_user")
    with pytest.raises(InsufficientPrivilege):
        user.execute(PREDICT)


def test_row_level_security_on_models_is_respected(m: modeldb.Database, session: Session, make_role: MakeRole) -> None:
    """A policy on the registry decides which models a role can use, cache or not."""
    admin, user = session(), session(role=make_role("modeldb_user"))
    assert user.execute(PREDICT).fetchone() == (0,)
    admin.execute("ALTER TABLE modeldb.model_version ENABLE ROW LEVEL SECURITY")
    with pytest.raises(psycopg.Error) as caught:
        user.execute(PREDICT)
    assert caught.value.sqlstate == "MD102"


FORGED = [
    "SELECT modeldb._predict('m', '\\x', 0)",
    "SELECT modeldb._predict('m', '\\x00000001', 1)",
    "SELECT modeldb._predict('m', '\\x00000001000002bd0000000800000000', modeldb._epoch())",
    "SELECT modeldb._predict('m', '\\x00000001000003fe7fffffff00000001000000000000000102ffffff', modeldb._epoch())",
    "SELECT modeldb._predict('m', '\\x00000001ffffffff0000000400000000', modeldb._epoch())",
    "SELECT modeldb._predict('m', '\\x00000001'::bytea || int4send('patients'::regtype::oid::int) || '\\x0000ffff', 1)",
    "SELECT modeldb._predict('m', '\\x00000001000003fe0000001405f5e10000000000000002bd', modeldb._epoch())",
    "SELECT modeldb._predict('m', '\\x00000001000003fe00000014ffffffff00000000000002bd', modeldb._epoch())",
    "SELECT modeldb._predict('m', NULL, NULL)",
    "SELECT modeldb._predict_rows('m', 'x', modeldb._epoch())",
    "SELECT modeldb._predict_rows('m', NULL, modeldb._epoch())",
    "SELECT modeldb._predict_rows('m', '[[]]', modeldb._epoch())",
    "SELECT modeldb._load('nothing')",
    "SELECT modeldb._load(NULL)",
]


@pytest.mark.parametrize("statement", FORGED)
def test_forged_arguments_are_refused_and_do_no_harm(
    m: modeldb.Database, session: Session, make_role: MakeRole, statement: str
) -> None:
    user = session(role=make_role("modeldb_user"))
    assert user.execute(PREDICT).fetchone() == (0,)
    outcome: str | None
    try:
        outcome = str(user.execute(statement.encode()).fetchone())
    except psycopg.Error as error:
        outcome = error.sqlstate
    assert outcome == "(None,)" or (outcome or "").startswith("MD")
    assert user.execute(PREDICT).fetchone() == (0,)


def test_forged_epoch_does_not_poison_the_cache(
    m: modeldb.Database, session: Session, make_role: MakeRole, cancer2: Trained
) -> None:
    """A route asked for under a future epoch is not what that epoch will find."""
    user, admin = session(role=make_role("modeldb_user")), session()
    for ahead in range(1, 10):
        user.execute(
            "SELECT modeldb._predict('m', record_send(ROW(p)), modeldb._epoch() + %s) FROM patients p LIMIT 1", [ahead]
        )
    m.register("m", cancer2.estimator, sample=cancer2.X, promote=True)
    assert user.execute(PREDICT).fetchone() == (1,)
    assert admin.execute(PREDICT).fetchone() == (1,)


def test_owner_of_the_functions_is_no_superuser(module_db: modeldb.Database) -> None:
    rows = module_db.query(
        """SELECT DISTINCT r.rolname, r.rolsuper, r.rolcanlogin FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
           WHERE p.pronamespace = 'modeldb'::regnamespace"""
    )
    assert sorted(rows, key=lambda row: str(row["rolname"])) == [
        {"rolname": "modeldb_cron", "rolsuper": False, "rolcanlogin": True},  # of the few that call pg_cron
        {"rolname": "modeldb_owner", "rolsuper": False, "rolcanlogin": False},
    ]


def test_public_has_nothing(module_db: modeldb.Database) -> None:
    functions = module_db.query(
        """SELECT p.oid::regprocedure::text AS name FROM pg_proc p, aclexplode(coalesce(p.proacl,
           acldefault('f', p.proowner))) a WHERE p.pronamespace = 'modeldb'::regnamespace AND a.grantee = 0"""
    )
    relations = module_db.query(
        """SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a
           WHERE c.relnamespace = 'modeldb'::regnamespace AND a.grantee = 0"""
    )
    assert functions == relations == []


def test_python_raises_missing_privilege(m: modeldb.Database, make_role: MakeRole) -> None:
    role = make_role("modeldb_user")
    with m.engine.connect() as connection:
        connection.exec_driver_sql(f"SET SESSION AUTHORIZATION {role}")
        with pytest.raises(MissingPrivilege) as caught:
            modeldb.connect(connection).promote("m", 1)
    assert "modeldb_publisher" in str(caught.value)
