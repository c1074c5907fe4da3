"""A session whose package is not the schema's, or whose environment is gone, says so and does not predict."""

from __future__ import annotations

import psycopg
import pytest
from support.answers import answer, refusal
from support.fixtures import Session
from support.registering import Register

import modeldb
from modeldb.errors import BrokenEnvironment, VersionsDiffer

CALLS = [
    "predict('m', ROW(1, 0))",
    "predict_json('m', '[1, 0]')",
    "promote('m', 1, 'challenger')",
    "cache()",
    "register_model('n', '\\x00', '{}')",
]


def rewrite(sql: psycopg.Connection, old: str, new: str) -> None:
    """Change the function that prepares the server's Python, as an installation by another package would."""
    definition = answer(sql, "SELECT pg_get_functiondef('modeldb._python()'::regprocedure)")
    assert old in definition
    sql.execute(definition.replace(old, new).encode())


@pytest.mark.parametrize("call", CALLS)
def test_a_schema_of_another_version(session: Session, register: Register, call: str) -> None:
    register(1.0)
    rewrite(session(), f'check_version("{modeldb.__version__}")', 'check_version("0.0.9")')
    fresh = session()
    for _ in range(2):
        hint = refusal(fresh, f"SELECT {call}", VersionsDiffer, f"modeldb {modeldb.__version__}", "0.0.9")
        assert "modeldb install" in hint


def test_the_same_error_in_python_and_its_remedy(db: modeldb.Database, session: Session, register: Register) -> None:
    register(1.0)
    rewrite(session(), f'check_version("{modeldb.__version__}")', 'check_version("0.0.9")')
    db.engine.dispose()
    with pytest.raises(VersionsDiffer, match=r"HINT: .*modeldb install") as caught:
        db.predict("m", [[1.0, 0.0]])
    assert caught.value.message.startswith("this session runs modeldb")
    db.install()
    assert db.predict("m", [[1.0, 0.0]]).tolist() == [1.0]


def test_an_environment_that_is_gone(db: modeldb.Database, session: Session, register: Register) -> None:
    register(1.0)
    sql = session()
    paths = answer(
        sql, "SELECT substring(prosrc FROM 'for path in (\\[.*?\\])') FROM pg_proc WHERE proname = '_python'"
    )
    rewrite(sql, paths, "['/nowhere']")
    refusal(session(), "SELECT predict('m', ROW(1, 0))", BrokenEnvironment, "cannot import modeldb")
    db.engine.dispose()
    with pytest.raises(BrokenEnvironment, match=r"HINT: Run: modeldb doctor") as caught:
        db.predict("m", [[1.0, 0.0]])
    assert caught.value.message.startswith("the server's Python cannot import modeldb")
    db.install()
    assert db.predict("m", [[1.0, 0.0]]).tolist() == [1.0]
