"""The table that the predictions go to, and the job in modeldb.score_job that says what it is to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from modeldb.errors import InvalidSource, ScoreConflict
from modeldb.score.sessions import Session, one, rows, translated
from modeldb.score.source import Source
from modeldb.score.task import Task

_NAME = """
    SELECT CASE cardinality(parts) WHEN 1 THEN coalesce(current_schema(), 'public') WHEN 2 THEN parts[1] END AS schema,
        parts[cardinality(parts)] AS name
    FROM (SELECT pg_catalog.parse_ident(%s)::name[] AS parts) AS given"""
_JOB = """
    SELECT j.* FROM modeldb.score_job j JOIN pg_catalog.pg_class c ON c.oid = j.relation
    WHERE j.relation = %s AND j.target = %s AND pg_catalog.pg_has_role(c.relowner, 'USAGE')"""
_OTHER = "Drop that table, or score into another one."


@dataclass(frozen=True)
class Job:
    """What the target is to hold: of which source, by which version, since which snapshot."""

    relation: int
    target: str
    source: str
    model: str
    version: int
    key: tuple[str, ...]
    columns: tuple[str, ...]
    class_: str | None
    on_error: str
    snapshot: str | None = None

    @property
    def pinned(self) -> str:
        return f"{self.model.partition('@')[0].partition('/')[0]}/{self.version}"

    def statement(self, session: Session, condition: str | None) -> str:
        """A SELECT that scores the rows of the source that fulfil a condition on s."""
        values = [self.pinned, self.source, list(self.key), list(self.columns), self.class_, self.on_error, condition]
        query = "SELECT modeldb._score_statement(%s, %s, %s::text[], %s::text[], %s, %s, %s)"
        return str(one(session, query, values))


def target_name(session: Session, into: str) -> str:
    """The qualified name of a table to be created. Raises ScoreConflict (MD506)."""
    try:
        [found] = rows(session, _NAME, [into])
    except psycopg.errors.InvalidParameterValue as error:
        raise ScoreConflict(f"{into!r:.100} is not a name for a table", hint="Write name or schema.name.") from error
    if found["schema"] is None:
        raise ScoreConflict(f"{into!r:.100} has more than a schema and a name", hint="Write name or schema.name.")
    return str(
        one(session, "SELECT pg_catalog.format('%%I.%%I', %s::text, %s::text)", [found["schema"], found["name"]])
    )


def find(session: Session, asked: Job) -> Job | None:
    """The unfinished job of the target if that exists; of the version that it began with.

    Raises ScoreConflict (MD506) when the table is no job's, or that of another one.
    """
    target = asked.target
    relation = one(session, "SELECT pg_catalog.to_regclass(%s::text)::oid", [target])
    if relation is None:
        return None
    found = next(iter(rows(session, _JOB, [relation, target])), None)
    if found is None:
        raise ScoreConflict(f"{target} exists, and it is not an interrupted `modeldb score`", hint=_OTHER)
    if found["finished_at"] is not None:
        raise ScoreConflict(
            f"{target} exists: it was scored by {found['model']} (version {found['version']})",
            detail=f"It was finished at {found['finished_at']:%Y-%m-%d %H:%M:%S %Z}, with {found['rows']} rows.",
            hint=_OTHER,
        )
    job = _job(found)
    if differing := [name for name in _COMPARED if getattr(job, name) != getattr(asked, name)]:
        said = [f"{_COMPARED[n]}: {_shown(getattr(job, n))}, now {_shown(getattr(asked, n))}" for n in differing]
        raise ScoreConflict(
            f"{target} is what another, interrupted `modeldb score` wrote", detail="; ".join(said) + ".", hint=_OTHER
        )
    return job


_COMPARED = {
    "source": "table",
    "model": "model",
    "key": "key",
    "columns": "columns",
    "class_": "class",
    "on_error": "on-error",
}


def _shown(value: Any) -> str:
    return "none" if not value else ", ".join(value) if isinstance(value, tuple) else str(value)


def _job(found: dict[str, Any]) -> Job:
    same = {name: found[name] for name in ("relation", "target", "source", "model", "version", "on_error", "snapshot")}
    return Job(**same, key=tuple(found["key"]), columns=tuple(found["columns"]), class_=found["class"])


def new_job(task: Task, source: Source, version: int, target: str) -> Job:
    """The job of a target that is yet to be created."""
    return Job(0, target, source.name, task.model, version, task.key, task.columns, task.class_, task.on_error)


def create(session: Session, job: Job) -> Job:
    """Create the target and note down its job. Raises InvalidSource (MD503), and what _score_statement() raises."""
    with session.transaction():
        statement = job.statement(session, None)
        try:
            session.execute(f"CREATE TABLE {job.target} AS {statement} WITH NO DATA".encode())
        except psycopg.errors.DuplicateColumn as error:
            raise InvalidSource(
                f"{job.target} would have a column twice: {error.diag.message_primary}",
                hint="The key, --column and the prediction's columns need names of their own; a view may rename one.",
            ) from error
        for name in identifiers(session, job.key):
            session.execute(f"ALTER TABLE {job.target} ALTER {name} SET NOT NULL".encode())
        relation = one(session, "SELECT %s::text::regclass::oid", [job.target])
        try:
            with session.transaction(force_rollback=True):  # in the end is too late to see that it cannot be
                _add_key(session, job)
        except psycopg.errors.UndefinedObject as error:
            raise InvalidSource(
                f"({', '.join(job.key)}) cannot be a key: {error.diag.message_primary}",
                hint="Name columns of types that can be ordered.",
            ) from error
        noted = [relation, job.source, job.model, job.version, list(job.key), list(job.columns), job.class_]
        query = "SELECT modeldb._score_begin(%s, %s, %s, %s, %s::text[], %s::text[], %s, %s)"
        session.execute(query, [*noted, job.on_error])
    return Job(**{**vars(job), "relation": relation})


def _add_key(session: Session, job: Job) -> None:
    columns = ", ".join(identifiers(session, job.key))
    session.execute(f"ALTER TABLE {job.target} ADD PRIMARY KEY ({columns})".encode())


def identifiers(session: Session, names: Sequence[str]) -> list[str]:
    """Names as SQL writes them."""
    query = "SELECT pg_catalog.quote_ident(name) AS quoted FROM pg_catalog.unnest(%s::text[]) AS name"
    return [row["quoted"] for row in rows(session, query, [list(names)])]


def ensure_key(session: Session, job: Job) -> None:
    """Build the primary key if it is not there: last in a run, because that is faster. Raises InvalidSource (MD503)."""
    query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = %s AND indisprimary)"
    if not one(session, query, [job.relation]):
        with translated(job.key):
            _add_key(session, job)


def delete_repeated(session: Session, job: Job) -> None:
    """Delete every row whose key is not its own: all of them are scored again."""
    same = " AND ".join(f"o.{name} = t.{name}" for name in identifiers(session, job.key))
    query = f"DELETE FROM {job.target} AS t USING {job.target} AS o WHERE {same} AND o.ctid <> t.ctid"
    session.execute(query.encode())
