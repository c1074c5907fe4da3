"""Look at a server and its modeldb, and say what is wrong and what to run. Everything is rolled back."""

from __future__ import annotations

import ast
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from modeldb import __version__
from modeldb.database import connect, translate
from modeldb.errors import ModeldbError
from modeldb.install import environment_paths, probe
from modeldb.schema import folder

OLDEST_SERVER = 14  # the first with SQL functions in BEGIN ATOMIC
DISTRIBUTIONS = {"numpy": "numpy", "onnxruntime": "onnxruntime", "onnx": "onnx", "orjson": "orjson"}
ROLES = ("modeldb_admin", "modeldb_publisher", "modeldb_user")


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and what to run. A warning does not keep modeldb from working."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    advice: str | None = None


@dataclass(frozen=True)
class Schema:
    """What the database has: its revision, the package's version, and where the server's Python finds the package."""

    revision: str | None
    version: str | None
    paths: list[str]


def examine(url: str) -> list[Check]:
    """Check a database. Raises ConnectionFailed (MD906) when there is none."""
    with connect(url).transaction() as connection:
        return _database_checks(connection)


def unreachable(error: ModeldbError) -> Check:
    """The only finding where there is no server to look at."""
    return Check("server", "fail", " ".join(filter(None, [error.message, error.detail])), error.hint)


def _database_checks(connection: Connection) -> list[Check]:
    """Every check, each in a savepoint of its own that is rolled back."""
    checks = [_guarded(connection, "server", _server), _guarded(connection, "PL/Python", _plpython)]
    schema = _schema(connection) if _installed(connection) else None
    checks += _python_checks(connection, schema)
    checks += [_revision(schema), _package(schema)]
    rest: dict[str, Callable[[Connection], Check]] = {"search_path": _search_path, "pg_cron": _cron}
    if schema is not None:
        rest = {"roles": _roles, "privileges": _privileges, "epoch": _epoch, "backend": _backend} | rest
    return checks + [_guarded(connection, name, check) for name, check in rest.items()]


def _guarded(connection: Connection, name: str, check: Callable[[Connection], Check]) -> Check:
    """A check whose error is its finding."""
    savepoint = connection.begin_nested()
    try:
        return check(connection)
    except DBAPIError as error:
        known = translate(error.orig) or ModeldbError(str(error.orig).splitlines()[0], hint="")
        return Check(name, "fail", known.message, known.hint or None)
    finally:
        savepoint.rollback()


# --- the server ----------------------------------------------------------------------------------------------------


def _server(connection: Connection) -> Check:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    found = f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"
    if number // 10000 < OLDEST_SERVER:
        return Check("server", "fail", found, f"modeldb needs PostgreSQL {OLDEST_SERVER} or newer")
    return Check("server", "ok", found)


def _plpython(connection: Connection) -> Check:
    query = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'plpython3u'"
    row = connection.execute(text(query)).one_or_none()
    if row is None:
        major = connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
        return Check("PL/Python", "fail", "not on this server", f"apt-get install postgresql-plpython3-{major}")
    if row.installed_version is None:
        return Check("PL/Python", "fail", "available, but not in this database", "modeldb install")
    return Check("PL/Python", "ok", f"plpython3u {row.installed_version}")


def _cron(connection: Connection) -> Check:
    query = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'pg_cron'"
    row = connection.execute(text(query)).one_or_none()
    preloaded = "pg_cron" in (connection.scalar(text("SHOW shared_preload_libraries")) or "")
    if row is None:
        major = connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
        advice = f"only schedules inside the database need it: apt-get install postgresql-{major}-cron"
        return Check("pg_cron", "warn", "not on this server", advice)
    if not preloaded:
        advice = "only schedules need it: add it to shared_preload_libraries and restart the server"
        return Check("pg_cron", "warn", f"{row.default_version}, not preloaded", advice)
    return Check("pg_cron", "ok", f"{row.default_version}, {'created' if row.installed_version else 'preloaded'}")


# --- its Python ----------------------------------------------------------------------------------------------------


def _python_checks(connection: Connection, schema: Schema | None) -> list[Check]:
    """What the server's Python is and can import; needs a superuser, as an untrusted language does."""
    if not connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
        advice = "run modeldb doctor as a superuser to have it looked at"
        return [Check("server's Python", "warn", "only a superuser may look at it", advice)]
    paths = (schema.paths if schema else None) or environment_paths()
    savepoint = connection.begin_nested()
    try:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS plpython3u"))
        found = probe(connection, paths)
    except DBAPIError as error:
        return [Check("server's Python", "fail", str(error.orig).splitlines()[0], "see the server's log")]
    finally:
        savepoint.rollback()
    return [_python(found, paths), _readable(found, paths), *_packages(found)]


def _python(found: dict[str, Any], paths: list[str]) -> Check:
    server, here = ".".join(map(str, found["python"])), platform.python_version()
    same = found["python"][:2] == list(sys.version_info[:2])
    text_ = f"{server}, this environment has {here}"
    if same:
        return Check("server's Python", "ok", text_)
    if paths == environment_paths():
        minor = ".".join(map(str, found["python"][:2]))
        return Check("server's Python", "fail", text_, f"make env, which makes the environment with python{minor}")
    return Check("server's Python", "ok", f"{text_}; the server uses an environment of its own")


def _readable(found: dict[str, Any], paths: list[str]) -> Check:
    if found["unreadable"]:
        text_ = f"the server's user {found['user']!r} cannot read {', '.join(found['unreadable'])}"
        advice = "make env makes an environment that it can read; then run modeldb install from there"
        return Check("environment", "fail", text_, advice)
    other = "" if paths == environment_paths() else "; this command runs in another one"
    return Check("environment", "ok", f"user {found['user']!r} reads {paths[0]}{other}")


def _packages(found: dict[str, Any]) -> list[Check]:
    """The versions that the server imports, against those of this environment."""
    here = {name: _version(distribution) for name, distribution in DISTRIBUTIONS.items()} | {"modeldb": __version__}
    checks = []
    for name, mine in here.items():
        key = "modeldb.server" if name == "modeldb" else name
        theirs = found["versions"].get(key)
        if theirs is None:
            why = found["broken"].get(key, "not found")
            checks.append(Check(name, "fail", f"the server cannot import it: {why}", "pip install modeldb there"))
        elif mine in (None, theirs):
            checks.append(Check(name, "ok", theirs))
        else:
            advice = "modeldb install, from the environment that the server is to use"
            differ = f"{theirs} in the server, {mine} here"
            checks.append(Check(name, "fail" if name == "modeldb" else "warn", differ, advice))
    return checks


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _backend(connection: Connection) -> Check:
    connection.execute(text("SELECT modeldb._python()"))
    return Check("backend", "ok", "modeldb._python() prepares the server's Python")


# --- the schema ----------------------------------------------------------------------------------------------------


def _installed(connection: Connection) -> bool:
    return connection.scalar(text("SELECT true FROM pg_namespace WHERE nspname = 'modeldb'")) is True


def _schema(connection: Connection) -> Schema:
    revision = "SELECT version_num FROM modeldb.alembic_version"
    readable = connection.scalar(text("SELECT has_schema_privilege('modeldb', 'USAGE')"))
    source = connection.scalar(
        text("""SELECT prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname = 'modeldb' AND p.proname = '_python'""")
    )
    paths = re.search(r"for path in (\[.*?\]) if", source or "")
    version = re.search(r'check_version\("(.*?)"\)', source or "")
    return Schema(
        connection.scalar(text(revision)) if readable else None,
        version.group(1) if version else None,
        ast.literal_eval(paths.group(1)) if paths else [],
    )


def _revision(schema: Schema | None) -> Check:
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


def _package(schema: Schema | None) -> Check:
    found = schema.version if schema else None
    if schema is None or found == __version__:
        status: Literal["ok", "fail"] = "ok" if schema else "fail"
        return Check("schema's package", status, found or "none", None if schema else "modeldb install")
    return Check("schema's package", "fail", f"{found}, this package is {__version__}", "modeldb install")


def _epoch(connection: Connection) -> Check:
    row = connection.execute(
        text("SELECT modeldb._epoch() AS now, (SELECT coalesce(max(epoch), 0) FROM modeldb.publication) AS logged")
    ).one()
    if row.now == row.logged:
        return Check("epoch", "ok", f"{row.now}, as the publications say")
    found = f"_epoch() says {row.now}, the newest publication is {row.logged}: predictions would be stale"
    return Check("epoch", "fail", found, "modeldb install")


def _search_path(connection: Connection) -> Check:
    found = connection.scalar(text("SHOW search_path")) or ""
    if "modeldb" in [part.strip().strip('"') for part in found.split(",")]:
        return Check("search_path", "ok", found)
    return Check("search_path", "warn", found, "write modeldb.predict(...), or run modeldb install")


def _roles(connection: Connection) -> Check:
    found = set(
        connection.scalars(text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)"), {"names": [*ROLES]})
    )
    if lost := [name for name in ROLES if name not in found]:
        return Check("roles", "fail", f"there is no {', '.join(lost)}", "modeldb install")
    return Check("roles", "ok", ", ".join(ROLES))


def _privileges(connection: Connection) -> Check:
    row = connection.execute(
        text("""SELECT current_user AS role, has_schema_privilege('modeldb', 'USAGE')
                    AND has_function_privilege('modeldb.predict(text, anyelement)', 'EXECUTE') AS allowed""")
    ).one()
    if row.allowed:
        return Check("privileges", "ok", f"role {row.role} may predict")
    return Check("privileges", "fail", f"role {row.role} may not predict", f'GRANT modeldb_user TO "{row.role}"')
