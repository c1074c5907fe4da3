"""Checks of the server: its version, PL/Python, pg_cron, and its roles."""

from __future__ import annotations

from sqlalchemy import Connection, text

from modeldb.doctor.check import Check

OLDEST_SERVER = 14  # the first with SQL functions in BEGIN ATOMIC
ROLES = ("modeldb_owner", "modeldb_admin", "modeldb_publisher", "modeldb_user", "modeldb_worker", "modeldb_cron")


def version(connection: Connection) -> Check:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    found = f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"
    if number // 10000 < OLDEST_SERVER:
        return Check("server", "fail", found, f"modeldb needs PostgreSQL {OLDEST_SERVER} or newer")
    return Check("server", "ok", found)


def plpython(connection: Connection) -> Check:
    query = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'plpython3u'"
    row = connection.execute(text(query)).one_or_none()
    if row is None:
        major = connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
        return Check("PL/Python", "fail", "not on this server", f"apt-get install postgresql-plpython3-{major}")
    if row.installed_version is None:
        return Check("PL/Python", "fail", "available, but not in this database", "modeldb install")
    return Check("PL/Python", "ok", f"plpython3u {row.installed_version}")


def cron(connection: Connection) -> Check:
    query = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'pg_cron'"
    row = connection.execute(text(query)).one_or_none()
    libraries = "SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'"  # hidden from some roles
    preloaded = "pg_cron" in (connection.scalar(text(libraries)) or "")
    if row is None:
        major = connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
        advice = f"only schedules inside the database need it: apt-get install postgresql-{major}-cron"
        return Check("pg_cron", "warn", "not on this server", advice)
    if not preloaded:
        advice = "only schedules need it: add it to shared_preload_libraries and restart the server"
        return Check("pg_cron", "warn", f"{row.default_version}, not preloaded", advice)
    return Check("pg_cron", "ok", f"{row.default_version}, {'created' if row.installed_version else 'preloaded'}")


def roles(connection: Connection) -> Check:
    found = set(
        connection.scalars(text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)"), {"names": [*ROLES]})
    )
    if lost := [name for name in ROLES if name not in found]:
        return Check("roles", "fail", f"there is no {', '.join(lost)}", "modeldb install")
    return Check("roles", "ok", ", ".join(ROLES))
