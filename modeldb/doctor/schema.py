"""Checks of the schema: its revision, the package that it goes with, the epoch, and the search_path."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from modeldb import __version__
from modeldb.doctor.check import Check
from modeldb.schema import WORKER_LOCK, folder


@dataclass(frozen=True)
class Schema:
    """What the database has: its revision, the package's version, and where the server's Python finds the package."""

    revision: str | None
    version: str | None
    paths: list[str]


def read(connection: Connection) -> Schema | None:
    """What the database says of its modeldb; None when it has none."""
    if not connection.scalar(text("SELECT true FROM pg_namespace WHERE nspname = 'modeldb'")):
        return None
    query = "SELECT version_num FROM modeldb.alembic_version"
    readable = connection.scalar(text("SELECT has_schema_privilege('modeldb', 'USAGE')"))
    source = connection.scalar(
        text("""SELECT prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname = 'modeldb' AND p.proname = '_python'""")
    )
    paths = re.search(r"for path in (\[.*?\]) if", source or "")
    version = re.search(r'check_version\("(.*?)"\)', source or "")
    return Schema(
        connection.scalar(text(query)) if readable else None,
        version.group(1) if version else None,
        ast.literal_eval(paths.group(1)) if paths else [],
    )


def revision(schema: Schema | None) -> Check:
    if schema is None:
        return Check("schema", "fail", "modeldb is not installed in this database", "modeldb install")
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    if schema.revision in (newest, None):
        return Check("schema", "ok", f"revision {schema.revision or 'not readable by this role'}")
    known = schema.revision in {script.revision for script in scripts.walk_revisions()}
    advice = "modeldb install" if known else f"upgrade this environment: it knows revisions up to {newest}"
    return Check("schema", "fail", f"revision {schema.revision}, the package's newest is {newest}", advice)


def package(schema: Schema | None) -> Check:
    if schema is None:
        return Check("schema's package", "fail", "none", "modeldb install")
    if schema.version == __version__:
        return Check("schema's package", "ok", __version__)
    return Check("schema's package", "fail", f"{schema.version}, this package is {__version__}", "modeldb install")


def epoch(connection: Connection) -> Check:
    row = connection.execute(
        text("SELECT modeldb._epoch() AS now, (SELECT coalesce(max(epoch), 0) FROM modeldb.publication) AS logged")
    ).one()
    if row.now == row.logged:
        return Check("epoch", "ok", f"{row.now}, as the publications say")
    found = f"_epoch() says {row.now}, the newest publication is {row.logged}: predictions would be stale"
    return Check("epoch", "fail", found, "modeldb install")


def search_path(connection: Connection) -> Check:
    found = connection.scalar(text("SHOW search_path")) or ""
    if "modeldb" in [part.strip().strip('"') for part in found.split(",")]:
        return Check("search_path", "ok", found)
    return Check("search_path", "warn", found, "write modeldb.predict(...), or run modeldb install")


def privileges(connection: Connection) -> Check:
    row = connection.execute(
        text("""SELECT current_user AS role, has_schema_privilege('modeldb', 'USAGE')
                    AND has_function_privilege('modeldb.predict(text, anyelement)', 'EXECUTE') AS allowed""")
    ).one()
    if row.allowed:
        return Check("privileges", "ok", f"role {row.role} may predict")
    return Check("privileges", "fail", f"role {row.role} may not predict", f'GRANT modeldb_user TO "{row.role}"')


def schedules(connection: Connection) -> Check:
    """Who refreshes the predictions that have a schedule."""
    row = connection.execute(
        text("""SELECT (SELECT count(*) FROM modeldb.prediction_schedule) AS scheduled,
                    modeldb._cron_at_work() AS cron,
                    EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                            WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted
                              AND l.classid = (:lock >> 32)::oid AND l.objid = (:lock & x'ffffffff'::bigint)::oid
                              AND l.objsubid = 1) AS worker"""),
        {"lock": WORKER_LOCK},
    ).one()
    runners = [name for name, runs in (("pg_cron", row.cron), ("modeldb worker", row.worker)) if runs]
    if runners or not row.scheduled:
        return Check("schedules", "ok", f"{row.scheduled}, run by {' and '.join(runners) or 'nobody'}")
    advice = (
        "run modeldb worker; or let pg_cron do it: preload it with cron.database_name of this database, "
        "cron.use_background_workers on and, where there is such a setting, cron.timezone UTC, then modeldb install"
    )
    return Check("schedules", "warn", f"{row.scheduled}, and nobody runs them", advice)
