"""Online scoring from Python: a typed client of the SQL functions, and the events of what was scored."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, text

from modeldb.errors import ModeldbError, OnlineError

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger("modeldb.online")

_LOOK_SECONDS = 5.0  # between looks at the events when no notification comes: the server may have left some out
_MOST = 5000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_ATTACH = text(
    """SELECT * FROM modeldb.attach_scorer(:table, :model, "into" => :into, mode => :mode, label => :label,
        model_version => :model_version, scored_at => :scored_at, columns => CAST(:columns AS jsonb), "where" => :where,
        on_error => :on_error, reject_if => :reject_if, enrich => :enrich, class => :class,
        key => CAST(:key AS text[]))"""
)


@dataclass(frozen=True)
class ScoredRow:
    """A row that an asynchronous scorer has scored. key: the values of the key columns, as JSON has them.

    score: None for a prediction that is NULL; label: None for models without. The row may have been changed or scored
    again since: the table tells, and a later event.
    """

    position: int
    key: tuple[Any, ...]
    score: float | None
    label: str | None
    version: int
    scored_at: datetime


class Online:
    """The scorers of ``modeldb.connect(...)``."""

    engine: Engine

    def transaction(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        raise NotImplementedError

    def attach_scorer(
        self,
        table: str,
        model: str,
        *,
        into: str = "score",
        mode: str = "sync",
        label: str | None = None,
        model_version: str | None = None,
        scored_at: str | None = None,
        columns: Mapping[str, str] | None = None,
        where: str | None = None,
        on_error: str = "raise",
        reject_if: str | None = None,
        enrich: str | None = None,
        class_: str | None = None,
        key: str | Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Have the rows of a table scored: as they are written ("sync"), or soon after, by a worker ("async").

        into: the column of the score, which is what predict() gives or, with class_, the probability of a class.
        label, model_version, scored_at: columns for more. Columns that are absent are added. columns: the table's
        columns by feature, where the names differ. where: a condition on rows; others have no score. on_error: "raise"
        refuses a row that cannot be scored, "null" accepts it with the reason in the column <into>_error. reject_if:
        a condition, also on ``score``, on which the row is refused. enrich: a query for features that are not in the
        row new. key: the columns that identify a row, where that is not the primary key. Returns what was attached.
        Raises ScorerConflict (MD602), InvalidScorer (MD603), InvalidArgument (MD108), and what a prediction raises.
        """
        values = {name: value for name, value in locals().items() if name not in ("self", "class_")}
        values |= {"class": class_, "columns": json.dumps(dict(columns or {}))}
        values["key"] = [key] if isinstance(key, str) else None if key is None else list(key)
        with self.transaction() as connection:
            return dict(connection.execute(_ATTACH, values).mappings().one())

    def detach_scorer(self, table: str, into: str | None = None) -> None:
        """Score the rows of a table no more; the columns stay. into: which scorer, where there are several.

        Raises UnknownScorer (MD601).
        """
        self.query("SELECT modeldb.detach_scorer(:table, :into)", table=table, into=into)

    def retry_failures(self, table: str, into: str | None = None) -> int:
        """Queue the rows once more that an asynchronous scorer had given up; how many. Raises UnknownScorer (MD601)."""
        [row] = self.query("SELECT modeldb.retry_failures(:table, :into) AS rows", table=table, into=into)
        return int(row["rows"])

    def queue_rows(self, table: str, into: str | None = None) -> int:
        """Queue all rows for an asynchronous scorer, also those that have a score; how many.

        Raises UnknownScorer (MD601), InvalidScorer (MD603).
        """
        [row] = self.query("SELECT modeldb.queue_rows(:table, :into) AS rows", table=table, into=into)
        return int(row["rows"])

    def enriched(self, table: str, enrich: str) -> str:
        """The query for a table's rows with the features that attach_scorer(enrich=...) adds: to train and score by."""
        [row] = self.query("SELECT modeldb.enriched(:table, :enrich) AS query", table=table, enrich=enrich)
        return str(row["query"])

    def scorers(self) -> list[dict[str, Any]]:
        """All scorers and how they are doing: the rows of the view modeldb.scorers."""
        return self.query('SELECT * FROM modeldb.scorers ORDER BY "table"::text, "into"')

    def scored(self, table: str, into: str | None = None, *, after: int | None = None) -> Iterator[ScoredRow]:
        """What an asynchronous scorer scores, in the order of the commits, without an end: for row in db.scored("t").

        after: the position of the last event that is known; None: from now on, that is from this call; 0: from the
        first one on. Positions have no gaps, and nothing is missed when the connection is lost: it is made again. The
        events have a connection of their own, also where ``connect`` was given a Connection.
        Raises UnknownScorer (MD601), EventsForgotten (MD605), MissingPrivilege (MD907).
        """
        [row] = self.query(
            """SELECT s.id, modeldb._scored_position(s.id) AS position
               FROM (SELECT modeldb._scorer_of(:table, :into) AS id) AS s""",
            table=table,
            into=into,
        )
        return _Events(self.engine, row["id"], row["position"] if after is None else after).follow()


class _Events:
    """The events of a scorer after a position."""

    def __init__(self, engine: Engine, scorer: int, after: int) -> None:
        self.engine, self.scorer, self.after = engine, scorer, after

    def follow(self) -> Iterator[ScoredRow]:
        """Events without an end, over as many connections as it takes."""
        pause = _FIRST_PAUSE
        while True:
            before = self.after
            lost = yield from self._read_on()
            pause = _FIRST_PAUSE if self.after > before else min(2 * pause, _LONGEST_PAUSE)
            log.warning("the events' connection was lost: %s; trying again in %.1f s", lost, pause)
            time.sleep(pause)

    def _read_on(self) -> Any:
        """Events until the connection is lost; the error that told so."""
        import psycopg

        session: psycopg.Connection[Any] | None = None
        try:
            session = _session(self.engine)
            session.execute("LISTEN modeldb_scored")
            while True:
                while rows := self._next(session):
                    for row in rows:
                        self.after = row.position
                        yield row
                for _ in session.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                    pass  # whatever it tells of, the next look is at the events
        except psycopg.OperationalError as error:
            return " ".join(str(error).split())
        except psycopg.Error as error:
            raise _translated(error) from error
        finally:
            if session is not None:
                session.close()

    def _next(self, session: psycopg.Connection[Any]) -> list[ScoredRow]:
        query = "SELECT position, key, score, label, version, scored_at FROM modeldb._scored(%s, %s, %s)"
        found = session.execute(query, [self.scorer, self.after, _MOST]).fetchall()
        return [ScoredRow(position, tuple(key), *rest) for position, key, *rest in found]


def _session(engine: Engine) -> psycopg.Connection[Any]:
    """A connection that is not the pool's any more, in autocommit mode."""
    pooled = engine.raw_connection()
    session = cast("psycopg.Connection[Any]", pooled.driver_connection)
    pooled.detach()
    session.autocommit = True
    session.prepare_threshold = None
    return session


def _translated(error: Exception) -> ModeldbError:
    from modeldb.database import translate

    return translate(error) or OnlineError(" ".join(str(error).split()), hint="")
