"""A check of online scoring: that every scorer is whole, and that somebody scores what waits."""

from __future__ import annotations

from sqlalchemy import Connection, text

from modeldb.doctor.check import Check

_QUERY = """
    SELECT count(*) AS scorers, count(*) FILTER (WHERE mode = 'async') AS asynchronous,
        string_agg(name, ', ' ORDER BY name) FILTER (WHERE broken) AS broken,
        string_agg(name, ', ' ORDER BY name) FILTER (WHERE oldest_waiting > '1 minute') AS late,
        coalesce(sum(failures), 0) AS failures
    FROM modeldb.scorers, format('%s (%s)', "table", "into") AS name"""


def scorers(connection: Connection) -> Check:
    """Whether scorers are broken, or rows have waited for more than a minute."""
    row = connection.execute(text(_QUERY)).one()
    if row.broken:
        advice = "SELECT detach_scorer(table, into), and attach it again"
        return Check("scorers", "fail", f"a trigger is gone, disabled or not its table's owner's: {row.broken}", advice)
    if row.late:
        return Check("scorers", "warn", f"rows have waited for more than a minute: {row.late}", "run modeldb worker")
    if row.failures:
        advice = "mend what scorer_failures tells, and SELECT retry_failures(table)"
        return Check("scorers", "warn", f"{row.failures} rows could not be scored", advice)
    return Check("scorers", "ok", f"{row.scorers}, {row.asynchronous} of them asynchronous")
