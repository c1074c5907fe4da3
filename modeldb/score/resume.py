"""Making what an interrupted run left right, by a new snapshot; what remains to be scored then.

A row version that was there before the oldest transaction of the earlier snapshot was read by that snapshot, if it was
there to be read: its prediction still holds. pg_visible_in_snapshot() would spare more rows, but it takes the rows of a
subtransaction that was in progress for visible ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from modeldb.score.sessions import Session, one, rows
from modeldb.score.source import TREE, Source
from modeldb.score.target import Job, identifiers

_SNAPSHOTS = """
    SELECT snapshot::text AS snapshot, pg_catalog.pg_snapshot_xmax(snapshot)::text::int8 AS next,
        pg_catalog.pg_snapshot_xmin(%s::pg_catalog.pg_snapshot)::text::int8 AS since
    FROM pg_catalog.pg_current_snapshot() AS snapshot"""
_ALTERED = """{tree}
    SELECT EXISTS (
        SELECT FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid WHERE {class_new}
        UNION ALL SELECT FROM tree JOIN pg_catalog.pg_attribute a ON a.attrelid = tree.oid WHERE {attribute_new}
        UNION ALL SELECT FROM tree JOIN pg_catalog.pg_inherits i ON i.inhrelid = tree.oid WHERE {inherits_new})"""


@dataclass(frozen=True)
class Remainder:
    """What is to be scored: the rows that fulfil a condition on s (None: all); ``rows`` of the source, if counted."""

    condition: str | None = None
    rows: int | None = None
    note: str = ""


def settle(session: Session, job: Job, source: Source, exported: str) -> Remainder:
    """Let the target hold only what is right by an exported snapshot, and note that snapshot down with the job.

    Both in one transaction: whenever the run ends, the target and the snapshot fit each other.
    """
    with session.transaction():
        session.execute(
            f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{exported}'".encode()
        )
        session.execute("SET LOCAL synchronous_commit = on")  # row versions are compared with it after a crash, too
        remainder = Remainder() if job.snapshot is None else _settle(session, job, source)
        session.execute("SELECT modeldb._score_snapshot(%s, pg_catalog.pg_current_snapshot())", [job.relation])
    return remainder


def _settle(session: Session, job: Job, source: Source) -> Remainder:
    [found] = rows(session, _SNAPSHOTS, [job.snapshot])
    since, following = found["since"], found["next"]
    fresh = {alias: is_new(f"{alias}.xmin", since, following) for alias in ("s", "c", "a", "i")}
    altered = _ALTERED.format(tree=TREE, class_new=fresh["c"], attribute_new=fresh["a"], inherits_new=fresh["i"])
    if since > following or one(session, altered, [source.oid]):
        session.execute(f"TRUNCATE {job.target}".encode())
        return Remainder(note=f"{source.name} was altered or rewritten meanwhile: all of it is scored again")
    names = identifiers(session, job.key)
    same = " AND ".join(f"s.{name} = t.{name}" for name in names)
    session.execute(f"ANALYZE {job.target}".encode())
    session.execute(
        f"DELETE FROM {job.target} AS t WHERE NOT EXISTS ("
        f"SELECT FROM {source.name} AS s WHERE {same} AND NOT {fresh['s']})".encode()
    )
    kept = one(session, f"SELECT pg_catalog.count(*) FROM {job.target}")
    return Remainder(
        # OFFSET keeps the planner from hashing the whole target for each part, in place of looking up its rows.
        f"({fresh['s']} OR NOT EXISTS (SELECT FROM {job.target} AS t WHERE {same} OFFSET 0))",
        one(session, f"SELECT pg_catalog.count(*) FROM {source.name}"),
        f"going on with {job.pinned}; {kept:,} rows are there already",
    )


def is_new(xmin: str, since: int, following: int) -> str:
    """SQL: whether a row version is not older than a transaction.

    xmin has the lower 32 bits of a transaction's number, also for rows that are frozen long ago. The newest number up
    to ``following`` that has these bits is taken: then some old rows may pass for new, and no new one for old.
    """
    return f"((({following} - {xmin}::text::int8) & 4294967295) <= {following - since})"
