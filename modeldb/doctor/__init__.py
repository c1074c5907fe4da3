"""Look at a server and its modeldb, and say what is wrong and what to run. Everything is rolled back."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from modeldb.database import connect, translate
from modeldb.doctor import environment, schema, scorers, server
from modeldb.doctor.check import Check
from modeldb.errors import ModeldbError

__all__ = ["Check", "check_database", "examine", "unreachable"]


def examine(url: str) -> list[Check]:
    """Check a database. Raises ConnectionFailed (MD906) when there is none."""
    db = connect(url)
    try:
        with db.transaction() as connection:
            return check_database(connection)
    finally:
        db.engine.dispose()


def unreachable(error: ModeldbError) -> Check:
    """The only finding where there is no server to look at."""
    return Check("server", "fail", " ".join(filter(None, [error.message, error.detail])), error.hint)


def check_database(connection: Connection) -> list[Check]:
    """Every check, each in a savepoint of its own that is rolled back."""
    installed = schema.read(connection)

    def run(checks: dict[str, Callable[[Connection], Check]]) -> list[Check]:
        return [_guarded(connection, name, check) for name, check in checks.items()]

    found = run({"server": server.version, "PL/Python": server.plpython, "pg_cron": server.cron})
    found += environment.checks(connection, installed.paths if installed else [])
    found += [schema.revision(installed), schema.package(installed)]
    if installed is None:
        return found + run({"search_path": schema.search_path})
    found += run({"search_path": schema.search_path, "roles": server.roles, "privileges": schema.privileges})
    if found[-1].status == "ok":
        found += run({"epoch": schema.epoch, "schedules": schema.schedules, "scorers": scorers.scorers})
        found += run({"backend": environment.backend})
    return found


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
