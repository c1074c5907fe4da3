"""What the registry's functions refuse: the same error in SQL and in Python, with its words and its HINT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.answers import answer, refusal
from support.registering import Register

import modeldb
from modeldb.errors import (
    InvalidArgument,
    InvalidName,
    ModeldbError,
    NothingToRollBack,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
    VersionInUse,
)
from modeldb.registry import Registry

# (call in SQL, the same in Python, error, words of the message)
REFUSALS: list[tuple[str, Callable[[Registry], Any], type[ModeldbError], str]] = [
    ("promote('mm', 1)", lambda db: db.promote("mm", 1), UnknownModel, "'mm'"),
    ("promote('m', 9)", lambda db: db.promote("m", 9), UnknownVersion, "no version 9"),
    ("promote('m', 1, 'no name')", lambda db: db.promote("m", 1, "no name"), InvalidName, "'no name'"),
    ("promote('m', 1, '')", lambda db: db.promote("m", 1, ""), InvalidName, "''"),
    ("rollback('mm')", lambda db: db.rollback("mm"), UnknownModel, "'mm'"),
    ("rollback('m', 'x')", lambda db: db.rollback("m", "x"), UnknownAlias, "'x'"),
    ("rollback('m')", lambda db: db.rollback("m"), NothingToRollBack, "'m'"),
    ("rollback('m', steps => 0)", lambda db: db.rollback("m", steps=0), InvalidArgument, "steps"),
    ("rollback('m', steps => -1)", lambda db: db.rollback("m", steps=-1), InvalidArgument, "steps"),
    ("retire('mm', 1)", lambda db: db.retire("mm", 1), UnknownModel, "'mm'"),
    ("retire('m', 9)", lambda db: db.retire("m", 9), UnknownVersion, "no version 9"),
    ("retire('m', 1)", lambda db: db.retire("m", 1), VersionInUse, "champion"),
    ("delete_model('mm', 1)", lambda db: db.delete("mm", 1), UnknownModel, "'mm'"),
    ("delete_model('m', 9)", lambda db: db.delete("m", 9), UnknownVersion, "no version 9"),
    ("delete_model('m', 1)", lambda db: db.delete("m", 1), VersionInUse, "champion"),
    ("delete_model('m')", lambda db: db.delete("m"), InvalidArgument, "'m'"),
    ("delete_model('mm', cascade => true)", lambda db: db.delete("mm", cascade=True), UnknownModel, "'mm'"),
    ("drop_alias('mm', 'x')", lambda db: db.drop_alias("mm", "x"), UnknownModel, "'mm'"),
    ("drop_alias('m', 'x')", lambda db: db.drop_alias("m", "x"), UnknownAlias, "'x'"),
    ("configure('mm', 'null')", lambda db: db.configure("mm", on_null="null"), UnknownModel, "'mm'"),
    ("configure('m', 'zero')", lambda db: db.configure("m", on_null="zero"), InvalidArgument, "'zero'"),
    ("describe('mm')", lambda db: db.describe("mm"), UnknownModel, "'mm'"),
    ("describe('m/9')", lambda db: db.describe("m/9"), UnknownVersion, "no version 9"),
    ("describe('m@x')", lambda db: db.describe("m@x"), UnknownAlias, "'x'"),
    ("describe('m@')", lambda db: db.describe("m@"), InvalidName, "'m@'"),
    ("load('mm')", lambda db: db.load("mm"), UnknownModel, "'mm'"),
]  # fmt: skip


def test_every_refusal_is_the_same_in_sql_and_in_python(
    db: modeldb.Database, sql: psycopg.Connection, register: Register
) -> None:
    register(1.0)
    for call, python, kind, words in REFUSALS:
        hint = refusal(sql, f"SELECT {call}", kind, words)
        with pytest.raises(kind) as caught:
            python(db)
        assert type(caught.value) is kind
        assert words in caught.value.message
        assert str(caught.value).endswith(f"HINT: {hint}")
    assert answer(sql, "SELECT predict('m', ROW(1, 0))") == 1.0


@pytest.mark.parametrize(
    "call",
    [
        "promote(NULL, 1)",
        "promote('m', NULL)",
        "promote('m', 1, NULL)",
        "rollback(NULL)",
        "rollback('m', NULL)",
        "rollback('m', steps => NULL)",
        "retire(NULL, 1)",
        "retire('m', NULL)",
        "delete_model(NULL, 1)",
        "delete_model(NULL, cascade => true)",
        "delete_model('m', cascade => NULL)",
        "drop_alias(NULL, NULL)",
        "drop_alias('m', NULL)",
        "configure(NULL, 'null')",
        "configure('m', NULL)",
        "describe(NULL)",
        "load(NULL)",
    ],
)
def test_null_for_an_argument_is_refused_with_one_of_our_errors(reader: psycopg.Connection, call: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        reader.execute(f"SELECT {call}".encode())
    assert (caught.value.sqlstate or "").startswith("MD1")
    assert caught.value.diag.message_hint
