"""Predictions of whole tables from Python: a typed client of the SQL functions, which do all the work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ClauseElement, Connection, Table, text
from sqlalchemy.dialects import postgresql

from modeldb.errors import BatchError, by_sqlstate


@dataclass(frozen=True)
class BatchRun:
    """A row of batch_runs. rows: how many predictions there are now; scored: how many of them this run made.

    version, rows, scored and rows_per_second are None where the run did not get so far.
    """

    id: int
    predictions: str
    model: str
    version: int | None
    runner: str
    run_by: str
    started_at: datetime
    finished_at: datetime
    rows: int | None
    scored: int | None
    rows_per_second: float | None
    error: str | None
    sqlstate: str | None

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.finished_at - self.started_at).total_seconds()


class Batch:
    """The predictions of whole tables of ``modeldb.connect(...)``."""

    def transaction(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        raise NotImplementedError

    def create_predictions(
        self,
        name: str,
        model: str,
        source: str | ClauseElement,
        key: str | Sequence[str],
        *,
        columns: Sequence[str] = (),
        on_error: str = "raise",
        class_: str | None = None,
        incremental: bool = False,
        changed_at: str | None = None,
    ) -> BatchRun:
        """Make a view ``name`` with the model's predictions for every row of a source; the first run.

        source: the name of a table or view, a query, or a Table or select() of SQLAlchemy. key: the column, or the
        columns, that tell its rows apart. columns: further ones to carry along. class_: the class that the column
        probability is of, when not the predicted one. on_error: "raise", or "null" for rows that cannot be predicted
        to have NULL and the reason in a column error. incremental: keep a table, and score only what has changed, by
        the time in the source's column changed_at.
        Raises NameTaken (MD502), InvalidSource (MD503), InvalidArgument (MD108), and what a prediction raises.
        """
        values = {
            "name": name,
            "model": model,
            "source": _sql(source),
            "key": [key] if isinstance(key, str) else list(key),
            "columns": list(columns),
            "on_error": on_error,
            "class": class_,
            "incremental": incremental,
            "changed_at": changed_at,
        }
        with self.transaction() as connection:
            return BatchRun(**connection.execute(_CREATE, values).mappings().one())

    def refresh_predictions(self, name: str, *, full: bool = False) -> BatchRun:
        """Bring predictions up to date, while readers go on with those before. full: score every row again.

        A run that fails is recorded in batch_runs and leaves the predictions as they were; its error is raised: one of
        modeldb's, or BatchError (MD500) with PostgreSQL's message. Raises UnknownPredictions (MD501).
        """
        with self.transaction() as connection:
            run = BatchRun(**connection.execute(_REFRESH, {"name": name, "full": full}).mappings().one())
        if run.error is not None:
            message, _, detail = run.error.partition("\nDETAIL: ")
            kind = by_sqlstate(run.sqlstate)
            if kind is None:
                raise BatchError(message, detail=detail or f"SQLSTATE {run.sqlstate}", hint="")
            raise kind(message, detail=detail or None)
        return run

    def schedule_predictions(self, name: str, cron: str) -> str:
        """Refresh predictions at the times of five fields of cron, in UTC; who will: "pg_cron" or "worker".

        Raises UnknownPredictions (MD501) and InvalidSchedule (MD504).
        """
        [row] = self.query("SELECT modeldb.schedule_predictions(:name, :cron) AS who", name=name, cron=cron)
        return str(row["who"])

    def unschedule_predictions(self, name: str) -> None:
        """Refresh predictions no more by themselves. Raises UnknownPredictions (MD501)."""
        self.query("SELECT modeldb.unschedule_predictions(:name)", name=name)

    def drop_predictions(self, name: str, *, cascade: bool = False) -> None:
        """Drop predictions with their views; with cascade, also views of others that read them.

        Raises UnknownPredictions (MD501).
        """
        self.query("SELECT modeldb.drop_predictions(:name, :cascade)", name=name, cascade=cascade)

    def describe_predictions(self, name: str) -> dict[str, Any]:
        """What predictions are made of, how fresh they are, and their last ten runs. Raises MD501."""
        [row] = self.query("SELECT modeldb.describe_predictions(:name) AS card", name=name)
        card: dict[str, Any] = row["card"]
        return card

    def predictions(self) -> list[dict[str, Any]]:
        """All predictions and how fresh they are: the rows of the view modeldb.predictions."""
        return self.query("SELECT * FROM modeldb.predictions ORDER BY name")


_CREATE = text(
    """SELECT * FROM modeldb.create_predictions(:name, :model, :source, CAST(:key AS text[]), CAST(:columns AS text[]),
        :on_error, :class, :incremental, :changed_at)"""
)
_REFRESH = text("SELECT * FROM modeldb.refresh_predictions(:name, :full)")


def _sql(source: str | ClauseElement) -> str:
    """A source as SQL writes it."""
    if isinstance(source, str):
        return source
    # Of another style of parameters than pyformat, for which percent signs would be doubled.
    dialect: Any = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    if isinstance(source, Table):
        return str(dialect.identifier_preparer.format_table(source))
    return str(source.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
