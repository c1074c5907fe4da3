"""Revisions: released ones are frozen, every one names a file, and step by step leads where a fresh install leads."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from support.answers import answers
from support.catalog import snapshot
from support.server import plain

import modeldb
from modeldb.install import check_server, environment_paths, extend_search_path
from modeldb.schema import folder

SCHEMA = sorted((folder("sql") / "schema").glob("*.sql"))
FROZEN = Path(__file__).with_name("frozen.json")
ADVICE = f"""
A file of sql/schema is applied once and never again, so databases that have it would not get the change.
Undo it, and put the change into a new file sql/schema/NNNN_slug.sql, with a revision in migrations/versions that names
it; then add the new file's SHA-256 to {FROZEN.name}.
"""


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    return ScriptDirectory.from_config(config)


def revisions() -> list[str]:
    """From the first to the newest."""
    return [script.revision for script in scripts().walk_revisions()][::-1]


def test_released_files_are_frozen() -> None:
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in SCHEMA}
    frozen = json.loads(FROZEN.read_text())
    changed = [name for name, digest in frozen.items() if found.get(name) != digest]
    assert not changed, f"changed or removed: {', '.join(changed)}.{ADVICE}"
    assert not set(found) - set(frozen), f"not in {FROZEN.name}: {json.dumps(found, indent=4)}"


def test_every_schema_file_belongs_to_the_revision_of_its_number() -> None:
    named = {}
    for script in scripts().walk_revisions():
        [file] = re.findall(r'"(schema/[^"]+\.sql)"', Path(script.path).read_text())
        named[script.revision] = file
    assert {f"schema/{file.name}": file.name[:4] for file in SCHEMA} == {file: number for number, file in named.items()}
    assert len(scripts().get_heads()) == 1


def test_step_by_step_leads_where_a_fresh_installation_leads(empty_url: str, url: str) -> None:
    engine = create_engine(empty_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    for revision in revisions():
        with engine.begin() as connection:
            check_server(connection, environment_paths())
            config = Config()
            config.set_main_option("script_location", str(folder("migrations")))
            config.attributes.update(connection=connection, paths=environment_paths())
            command.upgrade(config, revision)
            extend_search_path(connection)
    with psycopg.connect(plain(empty_url)) as stepwise, psycopg.connect(plain(url)) as fresh:
        assert snapshot(stepwise) == snapshot(fresh)
        assert answers(stepwise, "SELECT version_num FROM modeldb.alembic_version") == [revisions()[-1]]


def test_no_overload_is_left_that_no_file_creates(url: str) -> None:
    created = Counter({"_epoch": 1})
    for file in [*sorted((folder("sql") / "functions").glob("*.sql")), folder("sql") / "python.sql"]:
        created.update(re.findall(r"^CREATE OR REPLACE FUNCTION modeldb\.(\w+)\(", file.read_text(), re.MULTILINE))
    with psycopg.connect(plain(url)) as connection:
        query = "SELECT proname FROM pg_proc WHERE pronamespace = 'modeldb'::regnamespace"
        assert Counter(answers(connection, query)) == created


def test_every_function_resolves_its_names_with_an_empty_search_path(url: str) -> None:
    """As pg_restore has it; SQL bodies are checked when they are created."""
    with psycopg.connect(plain(url)) as connection:
        connection.execute("SET LOCAL search_path = ''; SET LOCAL check_function_bodies = on")
        for _ in range(2):
            for file in [
                *sorted((folder("sql") / "functions").glob("*.sql")),
                *(folder("sql") / "views").glob("*.sql"),
            ]:
                connection.execute(file.read_bytes())


def test_the_wheel_ships_what_an_installation_needs() -> None:
    for name in ("sql", "migrations"):
        assert folder(name).parent == Path(modeldb.__file__).parent
