"""Put modeldb into a database: check that the server's Python and this environment go together, then migrate."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

import modeldb
from modeldb.errors import BrokenEnvironment, MissingPrivilege, WrongPython
from modeldb.schema import LOCK, folder, run

NEEDED = ("numpy", "onnxruntime", "onnx", "orjson", "cronsim", "modeldb.server")

_PROBE = """
CREATE OR REPLACE FUNCTION pg_temp.modeldb_probe(paths text) RETURNS text LANGUAGE plpython3u AS $probe$
import getpass, importlib, json, os, sys
folders = json.loads(paths)
sys.path[:0] = [path for path in folders if path not in sys.path]
found = {"python": list(sys.version_info[:3]), "user": getpass.getuser(), "versions": {}, "broken": {}}
found["unreadable"] = [path for path in folders if not os.access(path, os.R_OK | os.X_OK)]
for name in NEEDED:
    try:
        importlib.import_module(name)
        found["versions"][name] = getattr(sys.modules[name.split(".")[0]], "__version__", "unknown")
    except Exception as error:
        found["broken"][name] = f"{type(error).__name__}: {error}"
return json.dumps(found)
$probe$
"""


def install(connection: Connection, *, search_path: bool = True, server_path: Sequence[str] = ()) -> None:
    """Install or upgrade modeldb in the connection's database, in the connection's transaction.

    search_path: also append the schema modeldb to the database's search_path.
    server_path: where the environment is on the server, when that is another machine; else this environment's own.
    Raises MissingPrivilege (MD907), BrokenEnvironment (MD902), WrongPython (MD904).
    """
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK}
    )  # two installers wait for each other
    paths = list(server_path) or environment_paths()
    check_server(connection, paths)
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    config.attributes.update(connection=connection, paths=paths)
    command.upgrade(config, "head")
    if search_path:
        extend_search_path(connection)


def environment_paths() -> list[str]:
    """The folders from which this Python imports modeldb and what it needs.

    The folder of a checkout is among them only where modeldb is not installed: a program that is started in a checkout
    imports that one, but the server is to have what is installed.
    """
    libraries = list(dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))
    if any((Path(folder) / "modeldb").is_dir() for folder in libraries):
        return libraries
    return [*libraries, str(Path(modeldb.__file__).resolve().parent.parent)]


def check_server(connection: Connection, paths: list[str]) -> dict[str, Any]:
    """Create PL/Python if need be, and let the server's Python import everything; what it found."""
    if not connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
        raise MissingPrivilege(
            "installing modeldb needs a superuser, because PL/Python is an untrusted language",
            hint="Connect as a superuser for `modeldb install`; afterwards the roles modeldb_* are enough.",
        )
    available = connection.scalar(text("SELECT 1 FROM pg_available_extensions WHERE name = 'plpython3u'"))
    if not available:
        major = (connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))) or ""
        raise BrokenEnvironment(
            "the server has no PL/Python", hint=f"On the server: apt-get install postgresql-plpython3-{major}"
        )
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS plpython3u"))
    found = probe(connection, paths)
    _judge(found, paths)
    return found


def probe(connection: Connection, paths: list[str]) -> dict[str, Any]:
    """What the server's Python is, and which of the needed packages it can import from the paths."""
    run(connection, _PROBE.replace("NEEDED", repr(NEEDED)))
    answer = connection.scalar(text("SELECT pg_temp.modeldb_probe(:paths)"), {"paths": json.dumps(paths)})
    found: dict[str, Any] = json.loads(answer or "{}")
    return found


def _judge(found: dict[str, Any], paths: list[str]) -> None:
    server, here = ".".join(map(str, found["python"][:2])), f"{sys.version_info[0]}.{sys.version_info[1]}"
    own = paths == environment_paths()
    if own and server != here:
        raise WrongPython(
            f"the server's PL/Python is Python {server}, this environment is Python {here}",
            hint=f"Make the environment with python{server} on the server: make env does.",
        )
    if found["unreadable"]:
        raise BrokenEnvironment(
            f"the server's user {found['user']!r} cannot read {', '.join(found['unreadable'])}",
            hint="Make the environment where that user can read it: make env does.",
        )
    if found["broken"]:
        name, why = next(iter(found["broken"].items()))
        raise BrokenEnvironment(
            f"the server's Python {server} cannot import {name}: {why}",
            detail=f"Looked for in: {', '.join(paths)}",
            hint="Install modeldb there with pip, or name the folder with --server-path.",
        )


def extend_search_path(connection: Connection) -> None:
    """Append modeldb to the database's search_path; what the database or the server had set stays in front."""
    setting = connection.scalar(
        text("""SELECT substr(s, length('search_path=') + 1) FROM pg_db_role_setting, unnest(setconfig) AS s
                WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND setrole = 0 AND s LIKE 'search_path=%'""")
    )
    extended = with_modeldb(setting, configured_search_path(connection))
    if extended is None:
        return
    connection.execute(text("SELECT set_config('search_path', :path, false)"), {"path": extended})
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    run(connection, f"ALTER DATABASE {database} SET search_path FROM CURRENT")


def configured_search_path(connection: Connection) -> str:
    """The search_path of the server's command line or files: what is set for roles and this session does not count."""
    found: str = connection.execute(
        text("""SELECT coalesce(CASE WHEN source = 'command line' THEN reset_val END,
                                (SELECT f.setting FROM pg_file_settings f WHERE f.name = s.name AND f.applied),
                                boot_val)
                FROM pg_settings s WHERE name = 'search_path'""")
    ).scalar_one()
    return found


def with_modeldb(setting: str | None, configured: str) -> str | None:
    """The search_path to set for a database that has the setting, if any; None when modeldb is in it already."""
    current = configured if setting is None else setting
    if "modeldb" in [part.strip().strip('"') for part in current.split(",")]:
        return None
    return f"{current}, modeldb" if current.strip() else "modeldb"
