"""Bring a database's modeldb schema up to date: pending revisions, then every function, view and privilege again.

All of it is one transaction under an advisory lock, so that two installers wait for each other and a failed one leaves
nothing. The connection comes from modeldb.install; run through the alembic command, from MODELDB_URL.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text

from modeldb.schema import LOCK, apply_definitions, apply_file

config = context.config


def migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    apply_file(connection, "roles.sql")
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS modeldb"))
    context.configure(connection=connection, version_table_schema="modeldb", transactional_ddl=True)
    context.run_migrations()
    if context.get_context().get_current_heads() == tuple(context.script.get_heads()):
        # Functions go with the newest tables; at a revision before that they are left out.
        apply_definitions(connection, config.attributes.get("paths", []))


if context.is_offline_mode():
    raise SystemExit("modeldb's migrations need a connection: they read the database")
if (given := config.attributes.get("connection")) is not None:
    migrate(given)
else:
    with create_engine(os.environ["MODELDB_URL"]).begin() as own:
        migrate(own)
