"""The row of prediction_set, as the functions that work on it have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plpy

from modeldb.errors import PredictionsMismatch, UnknownPredictions
from modeldb.server.backend import refuse_parallel

RESERVED = ("prediction", "label", "probability", "error", "model", "model_version", "scored_at", "features_hash")

_OWNER = """
    SELECT modeldb._shown_by($2, $1)::bigint AS owner, c.relispopulated AS populated
    FROM pg_class c WHERE c.oid = modeldb._relation($1)"""

_EQUALITY = """
    SELECT a.attname AS name, format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS operator
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::int2[], i.indclass::oid[]) AS k (attnum, opclass)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    JOIN pg_opclass c ON c.oid = k.opclass
    JOIN pg_amop s ON s.amopfamily = c.opcfamily AND s.amoplefttype = c.opcintype AND s.amoprighttype = c.opcintype
        AND s.amopstrategy = 3
    JOIN pg_operator o ON o.oid = s.amopopr
    JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE i.indrelid = modeldb._relation($1) AND i.indisprimary"""


@dataclass(frozen=True)
class Predictions:
    """What create_predictions() was told, and the state that the last run left. Relations are qualified and quoted."""

    name: str
    stored: str
    source: str
    model: str
    key: list[str]
    columns: list[str]
    shape: list[str]
    label: str | None
    on_error: str
    incremental: bool
    changed_at: str | None
    version: int | None
    setting: int | None
    rows: int | None
    complete_until: str | None

    @property
    def kept(self) -> list[str]:
        return [*self.key, *self.columns]

    @property
    def model_name(self) -> str:
        """The model without alias or version."""
        return model_name(self.model)


def model_name(reference: str) -> str:
    """The model of name, name@alias or name/version."""
    return reference.partition("@")[0].partition("/")[0]


def lock(name: str) -> Predictions:
    """The predictions of a name, locked against other runs until the transaction ends. Raises UnknownPredictions.

    NO KEY: who schedules them meanwhile refers to the row, and does not wait.
    """
    refuse_parallel()
    query = """SELECT name, stored, source, model, key, columns, shape, class AS label, on_error, incremental,
                   changed_at, version, setting, rows, complete_until::text
               FROM modeldb.prediction_set WHERE name = $1 FOR NO KEY UPDATE"""
    found = plpy.execute(plpy.prepare(query, ["text"]), [name])
    if not found:
        raise UnknownPredictions(f"there are no predictions {name!r}")
    return Predictions(**found[0])


def owner(predictions: Predictions) -> Any:
    """{"owner": oid, "populated": whether it was ever filled} of what is stored. Raises PredictionsMismatch (MD505).

    A run has the rights of this owner.
    """
    found = plpy.execute(plpy.prepare(_OWNER, ["text", "text"]), [predictions.stored, predictions.name])
    if not found:
        raise PredictionsMismatch(f"{predictions.stored}, where the predictions are stored, was dropped or renamed")
    if found[0]["owner"] is None:
        raise PredictionsMismatch(
            f"the view {predictions.name} was dropped, renamed, or given to another owner than {predictions.stored}"
        )
    return found[0]


def equality(predictions: Predictions) -> dict[str, str]:
    """By column of the key, the operator by which the primary key tells values apart: not each type's is just "="."""
    found = plpy.execute(plpy.prepare(_EQUALITY, ["text"]), [predictions.stored])
    return {row["name"]: row["operator"] for row in found}
