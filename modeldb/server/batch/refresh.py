"""A run: predictions are brought up to date by one version, in one transaction, and the run is recorded."""

from __future__ import annotations

import time
from typing import Any

import plpy

from modeldb.errors import InvalidSource, MissingPrivilege, ModeldbError, PredictionsMismatch
from modeldb.server import boundary
from modeldb.server.backend import refuse_parallel
from modeldb.server.batch import incremental, results, scoring, statements, stored
from modeldb.server.batch.owner import acting_as, check_unrestricted
from modeldb.server.batch.stored import Predictions

_ENDS_THE_SESSION = ("57014", "57P01", "57P02", "57P03", "57P05")  # cancelled, shut down: not a failure of the run
_NOT_UNIQUE = "23505"

# The memory for the index is the same for any number of rows; the section of the owner's rights ends it.
_BOUND_MEMORY = """
    SELECT set_config('maintenance_work_mem', least(setting::bigint, 32768)::text, true)
    FROM pg_settings WHERE name = 'maintenance_work_mem'"""
_MAY = """
    SELECT pg_has_role(modeldb._who(), $1, 'USAGE') OR pg_has_role(modeldb._who(), 'modeldb_worker', 'USAGE') AS may,
        modeldb._who() AS who"""
_RECORD = """
    SELECT * FROM modeldb._record_run($1, $2, $3, $4, clock_timestamp() - make_interval(secs => $5), $6, $7, $8, $9)"""


def refresh(name: str, full: bool, runner: str, raises: bool) -> dict[str, Any]:
    """The body of _refresh(): a row of batch_runs. raises: let an error through instead of recording it."""
    refuse_parallel()
    check_unrestricted()
    predictions = stored.lock(name)
    run = Run(predictions)
    run.check_privilege()
    started, before = time.monotonic(), scoring.scored
    try:
        with plpy.subtransaction():
            rows = run.execute(full=full)
    except (ModeldbError, plpy.SPIError) as error:
        if raises or _sqlstate(error) in _ENDS_THE_SESSION:
            raise run.explained(error) from None
        return run.failed(run.explained(error), runner, time.monotonic() - started)
    return run.record(runner, time.monotonic() - started, rows, scoring.scored - before)


class Run:
    """One run of predictions that are locked."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self.version = predictions.version

    def check_privilege(self) -> None:
        """Raise MissingPrivilege (MD907) unless the caller has the rights of the owner, or is a worker."""
        self.owner = stored.owner(self.predictions)
        [found] = plpy.execute(plpy.prepare(_MAY, ["oid"]), [self.owner["owner"]])
        if not found["may"]:
            raise MissingPrivilege(
                f"role {found['who']!r} may not refresh the predictions {self.predictions.name}",
                hint="Their owner may, and the members of that role.",
            )

    def execute(self, *, full: bool) -> int:
        """Do it, with the rights of the owner; the number of rows. Raises PredictionsMismatch (MD505)."""
        p = self.predictions
        until = incremental.complete_until(p.complete_until)
        with acting_as(self.owner["owner"]):
            _, version, signature = statements.route(p.model)
        self.version = version
        if (shape := results.shape(signature)) != p.shape:
            raise PredictionsMismatch(
                f"the predictions have {_and(p.shape)}, version {version} of the model gives {_and(shape)}"
            )
        setting = self._newest_setting()
        kept = "version = $2, setting = $3, scored_at = clock_timestamp()"
        self._keep(kept, ["integer", "bigint"], [version, setting])
        if p.incremental:
            anew = full or (version, setting) != (p.version, p.setting)
            with acting_as(self.owner["owner"]):
                plpy.execute(_BOUND_MEMORY)
                rows = incremental.Update(p, signature, version).run(full=anew)
        else:
            with statements.strictly(p.name):
                rows = self._refresh_view()
        self._keep("rows = $2, complete_until = $3::timestamptz", ["bigint", "text"], [rows, until])
        return rows

    def _newest_setting(self) -> int | None:
        """What configure() set last may change predictions of rows and versions that stay the same."""
        query = "SELECT max(epoch) AS epoch FROM modeldb.model_setting WHERE model = $1"
        [found] = plpy.execute(plpy.prepare(query, ["text"]), [self.predictions.model_name])
        epoch: int | None = found["epoch"]
        return epoch

    def _refresh_view(self) -> int:
        before, how = scoring.scored, "CONCURRENTLY " if self.owner["populated"] else ""
        with acting_as(self.owner["owner"], restricted=False):
            plpy.execute(_BOUND_MEMORY)
            plpy.execute(f"REFRESH MATERIALIZED VIEW {how}{self.predictions.stored}")
            rows = scoring.scored - before
            if how:
                self._check_unique(rows)
        return rows

    def _check_unique(self, rows: int) -> None:
        """Rows that repeat in every column would otherwise be taken for one. Raises InvalidSource (MD503)."""
        [found] = plpy.execute(f"SELECT count(*) AS stored FROM {self.predictions.stored}")
        if found["stored"] != rows:
            raise self._not_unique(f"{rows} rows of the source have {found['stored']} different keys.")

    def _not_unique(self, detail: str | None) -> InvalidSource:
        return InvalidSource(
            f"the key ({', '.join(self.predictions.key)}) is not unique in the source",
            detail=detail,
            hint="Create the predictions with more columns as the key, or with a query that has one row for each.",
        )

    def _keep(self, assignments: str, types: list[str], values: list[Any]) -> None:
        query = f"UPDATE modeldb.prediction_set SET {assignments} WHERE name = $1"
        plpy.execute(plpy.prepare(query, ["text", *types]), [self.predictions.name, *values])

    def explained(self, error: Any) -> Any:
        """The error as modeldb's own, where it is one or can be put in its words."""
        if isinstance(error, ModeldbError):
            return error
        if known := boundary.from_spi(error):
            return known
        if _sqlstate(error) == _NOT_UNIQUE:
            return self._not_unique(boundary.parts(error)[2])
        return error

    def failed(self, error: Any, runner: str, seconds: float) -> dict[str, Any]:
        """Warn, and record the error; what was predicted before stays."""
        _, message, detail, hint = (
            (None, error.message, error.detail, error.hint)
            if isinstance(error, ModeldbError)
            else boundary.parts(error)
        )
        more = {name: text for name, text in (("detail", detail), ("hint", hint)) if text}
        plpy.warning(f"the predictions {self.predictions.name} stay as they were: {message}", **more)
        text = f"{message}\nDETAIL: {detail}" if detail else message
        return self.record(runner, seconds, None, None, text, _sqlstate(error))

    def record(
        self,
        runner: str,
        seconds: float,
        rows: int | None,
        scored: int | None,
        error: str | None = None,
        sqlstate: str | None = None,
    ) -> dict[str, Any]:
        """Write the run to batch_runs; its row."""
        types = ["text", "text", "integer", "text", "float8", "bigint", "bigint", "text", "text"]
        p = self.predictions
        values = [p.name, p.model, self.version, runner, seconds, rows, scored, error, sqlstate]
        [row] = plpy.execute(plpy.prepare(_RECORD, types), values)
        return dict(row)


def _sqlstate(error: Any) -> str:
    """The SQLSTATE of an error of ours or of SPI's."""
    if isinstance(error, ModeldbError):
        return error.sqlstate
    return str(getattr(error, "sqlstate", None) or boundary.sqlstate(error) or "XX000")


def _and(names: list[str]) -> str:
    return " and ".join(names)
