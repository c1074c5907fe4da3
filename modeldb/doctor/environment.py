"""Checks of the server's Python: which it is, what it can read and import, against this environment."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from modeldb import __version__
from modeldb.doctor.check import Check
from modeldb.install import environment_paths, probe

DISTRIBUTIONS = ("numpy", "onnxruntime", "onnx", "orjson")


def checks(connection: Connection, installed: list[str]) -> list[Check]:
    """What the server's Python is, reads and imports; needs a superuser, as an untrusted language does.

    installed: the folders that the database's modeldb uses; this environment's own when there are none.
    """
    if not connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
        advice = "run modeldb doctor as a superuser to have it looked at"
        return [Check("server's Python", "warn", "only a superuser may look at it", advice)]
    paths = installed or environment_paths()
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
    both = f"{server}, this environment has {here}"
    if same:
        return Check("server's Python", "ok", both)
    if paths == environment_paths():
        minor = ".".join(map(str, found["python"][:2]))
        return Check("server's Python", "fail", both, f"make env, which makes the environment with python{minor}")
    return Check("server's Python", "ok", f"{both}; the server uses an environment of its own")


def _readable(found: dict[str, Any], paths: list[str]) -> Check:
    if found["unreadable"]:
        both = f"the server's user {found['user']!r} cannot read {', '.join(found['unreadable'])}"
        advice = "make env makes an environment that it can read; then run modeldb install from there"
        return Check("environment", "fail", both, advice)
    other = "" if paths == environment_paths() else "; this command runs in another one"
    return Check("environment", "ok", f"user {found['user']!r} reads {paths[0]}{other}")


def _packages(found: dict[str, Any]) -> list[Check]:
    """The versions that the server imports, against those of this environment."""
    here: dict[str, str | None] = {distribution: _version(distribution) for distribution in DISTRIBUTIONS} | {
        "modeldb": __version__
    }
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


def backend(connection: Connection) -> Check:
    connection.execute(text("SELECT modeldb._python()"))
    return Check("backend", "ok", "modeldb._python() prepares the server's Python")
