"""The SQL files and how they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from modeldb import __version__

LOCK = 0x6D6F64656C6462  # "modeldb"
WORKER_LOCK = LOCK + 1  # the leader of the workers has it
_HERE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder ``sql`` or ``migrations``: inside the installed package, beside it in a checkout."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name


def run(connection: Connection, script: str) -> None:
    """Send SQL as it is: a percent sign in a function body is no placeholder, and a file holds many statements."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(script)


def apply_file(connection: Connection, name: str) -> None:
    """Run a file of sql/."""
    run(connection, (folder("sql") / name).read_text(encoding="utf-8"))


def apply_definitions(connection: Connection, paths: Sequence[str]) -> None:
    """Create or replace every function and view, then the privileges and the jobs of pg_cron.

    paths: what the server's Python needs first on sys.path; baked into modeldb._python().
    """
    run(connection, "SET LOCAL check_function_bodies = off")  # the files may refer to each other in any order
    template = (folder("sql") / "python.sql").read_text(encoding="utf-8")
    run(connection, template.replace("{paths}", repr(list(paths))).replace("{version}", __version__))
    for part in ("functions", "views"):
        for file in sorted((folder("sql") / part).glob("*.sql")):
            apply_file(connection, f"{part}/{file.name}")
    for name in ("epoch.sql", "parallel.sql", "privileges.sql", "schedules.sql"):
        apply_file(connection, name)
