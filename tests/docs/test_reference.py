"""docs/sql.md names every public function, docs/errors.md every error, and neither names more."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest
from support.documents import ROOT

import modeldb
from modeldb.errors import all_errors

SQL = sorted((ROOT / "sql").rglob("*.sql"))


def functions(db: modeldb.Database) -> list[str]:
    """The headings that the functions ask for: signature, without casts of the defaults, and result."""
    rows = db.query(
        """SELECT format('%s(%s) → %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid)) AS heading
           FROM pg_proc WHERE pronamespace = 'modeldb'::regnamespace AND proname NOT LIKE '\\_%'"""
    )
    return sorted(re.sub(r"(DEFAULT (?:NULL|'[^']*'))::\w+(?:\[\])?", r"\1", row["heading"]) for row in rows)


def test_the_reference_has_every_function_with_its_signature_and_no_other(db: modeldb.Database) -> None:
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### `(.*)`$", page, re.MULTILINE)) == functions(db)


@pytest.mark.parametrize(
    ("catalog", "query"),
    [
        ("pg_proc", "SELECT oid, proname AS name FROM pg_proc WHERE pronamespace = 'modeldb'::regnamespace"),
        ("pg_class", "SELECT oid, relname AS name FROM pg_class WHERE relnamespace = 'modeldb'::regnamespace"),
    ],
)
def test_everything_of_the_schema_has_a_comment(db: modeldb.Database, catalog: str, query: str) -> None:
    bare = db.query(f"SELECT name FROM ({query}) AS o WHERE obj_description(oid, '{catalog}') IS NULL")
    indexes = {row["name"] for row in db.query("SELECT indexrelid::regclass::text AS name FROM pg_index")}
    assert {row["name"] for row in bare} - {name.removeprefix("modeldb.") for name in indexes} <= {"alembic_version"}


def test_the_page_of_errors_is_what_its_generator_writes() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == generator().page(), "run: python docs/generate_errors.py"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_errors", ROOT / "docs" / "generate_errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_every_error() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    states = [error.sqlstate for error in all_errors()][1:]
    assert re.findall(r"^\| (MD\d{3}) ", page, re.MULTILINE) == states


@pytest.mark.parametrize("file", SQL, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_sqlstate_in_sql_is_an_error_of_modeldb(file: Any) -> None:
    known = {error.sqlstate for error in all_errors()}
    assert set(re.findall(r"\bMD\d{3}\b", file.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("page", ["README.md", "docs/sql.md", "docs/models.md"])
def test_every_sqlstate_in_a_page_is_an_error_of_modeldb(page: str) -> None:
    known = {error.sqlstate for error in all_errors()}
    assert set(re.findall(r"\bMD\d{3}\b", (ROOT / page).read_text(encoding="utf-8"))) <= known
