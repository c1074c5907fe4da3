"""A check of online scoring: that every scorer is whole, and that somebody scores what waits."""

from __future__ import annotations

from sqlalchemy import Connection, text

from modeldb.doctor.check import Check

_QUERY = """
    SELECT count(*) AS scorers, count(*) FILTER (WHERE mode = 'async') AS asynchronous,
        string_agg(name, ', ' ORDER BY name) FILTER (WHERE broken) AS broken,
        string_agg(name, ', ' ORDER BY name) FILTER (WHERE oldest_waiting > '1 minute') AS late,
        coalesce(sum(failures), 0) AS failures,
        EXISTS (SELECT FROM pg_stat_activity a
                WHERE a.datname = current_database() AND a.application_name = 'modeldb worker') AS worker
    FROM modeldb.scorers, format('%s (%s)', "table", "into") AS name"""


def scorers(connection: Connection) -> Check:
    """Whether scorers are broken, or rows have waited for more than a minute."""
    row = connection.execute(text(_QUERY)).one()
    if row.broken:
        found = "a column or a trigger is gone, renamed or disabled, or the owner changed or may not predict"
        return Check(
            "scorers", "fail", f"{found}: {row.broken}", "SELECT detach_scorer(table, into), and attach it again"
        )
    if row.late:
        advice = "a worker runs: its log says why they wait" if row.worker else "run modeldb worker"
        return Check("scorers", "warn", f"rows have waited for more than a minute: {row.late}", advice)
    if row.failures:
        advice = "mend what scorer_failures tells, and SELECT retry_failures(table)"
        return Check("scorers", "warn", f"{row.failures} rows could not be scored", advice)
    return Check("scorers", "ok", f"{row.scorers}, {row.asynchronous} of them asynchronous")
