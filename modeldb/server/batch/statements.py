"""The SQL around the set-returning function: array literals become columns of the right types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson

from modeldb.errors import ModeldbError
from modeldb.server import boundary
from modeldb.server.backend import ask
from modeldb.server.batch import results, scoring, source
from modeldb.server.batch.source import Column, literal
from modeldb.server.batch.stored import model_name
from modeldb.signature import Signature

ARRAYS = {
    "prediction": "modeldb._numbers((c).prediction, (c).rows)",
    "label": "(c).label::text[]",
    "probability": "modeldb._numbers((c).probability, (c).rows)",
    "error": "(c).error::text[]",
}
"""SQL for the outputs in a row c of _score()."""


def select(
    call: str, kept: Sequence[Column], outputs: Sequence[str], *, hashed: bool = False, source: str | None = None
) -> str:
    """A SELECT of the columns that the rows of a call of _score() hold: kept, outputs, and features_hash if hashed.

    source: what the rows come from, where PostgreSQL should know and cannot see it in the call.
    """
    fields = []
    for position, column in enumerate(kept, 1):
        array, cast = column.bare_type if column.collects else "text", f"::{column.type}"
        cast = "" if array == column.type else cast
        cast += f" COLLATE {column.collation}" if column.collation else ""
        fields.append(f"pg_catalog.unnest((c).kept_values[{position}]::{array}[]){cast} AS {column.quoted}")
    fields += [f"pg_catalog.unnest({ARRAYS[name]}) AS {name}" for name in outputs]
    if hashed:
        fields.append("pg_catalog.unnest((c).hash::int8[]) AS features_hash")
    always = f" WHERE NOT EXISTS (SELECT FROM {source} WHERE false)" if source else ""
    # OFFSET 0 keeps the function from being called once per field.
    return (
        f"SELECT {', '.join(fields)}\nFROM (SELECT {call} AS c{always} OFFSET 0) AS chunks\n"
        "WHERE (c).failure IS NULL OR modeldb._fail((c).failure)"
    )


def array(names: Sequence[str]) -> str:
    """A text[] in SQL."""
    return f"ARRAY[{', '.join(map(literal, names))}]::text[]"


def call(task: scoring.Task) -> str:
    """The call of _score() for a task."""
    arguments = [literal(task.model), literal(task.source), array(task.kept), str(task.key), literal(task.label)]
    arguments += [literal(task.on_error), str(task.hashed).lower()]
    return f"modeldb._score({', '.join(arguments)})"


def route(model: str) -> tuple[str, int, Signature]:
    """Name, version and signature that a reference means now, to the current role. Raises MD101 to MD106."""
    found = ask("SELECT model, version, signature FROM modeldb._route($1)", ["text"], [model])[0]
    return found["model"], found["version"], Signature.from_json(orjson.loads(found["signature"]))


def score_statement(
    model: str, given: str, key: list[str], columns: list[str], label: str | None, on_error: str, condition: str | None
) -> str:
    """The body of _score_statement()."""
    try:
        _, _, signature = route(model)
        where = given if condition is None else f"(SELECT s.* FROM {given} AS s WHERE {condition})"
        kept = [*key, *columns]
        task = scoring.Task(model, where, kept, len(key), label, on_error)
        outputs = results.shape(signature) + (["error"] if on_error == "null" else [])
        found = source.pick(source.columns(given), kept, "the key or the columns")
        return select(call(task), found, outputs)
    except ModeldbError as error:
        boundary.fail(error, model)


def score(*task: Any) -> Iterator[scoring.Row]:
    """The body of _score()."""
    found = scoring.Task(*task)
    return scoring.guarded(replace(found, counted=found.hashed))  # a hash is for incremental predictions


_strict: str | None = None


@contextmanager
def strictly(predictions: str) -> Iterator[None]:
    """Within the block, a row of these predictions that cannot be scored is what their on_error says.

    Elsewhere it has no prediction. So is it when a dump is restored: PostgreSQL then makes the rows by itself, of
    rows that may have come after the last run, and an error would leave the view without any.
    """
    global _strict
    _strict = predictions
    try:
        yield
    finally:
        _strict = None


def score_set(predictions: str) -> Iterator[scoring.Row]:
    """The body of _score_set()."""
    query = """SELECT model, version, source, key, columns, class, on_error
               FROM modeldb.prediction_set WHERE name OPERATOR(pg_catalog.=) $1"""
    [row] = ask(query, ["text"], [predictions])
    return scoring.guarded(_pinned(row, row["on_error"] if predictions == _strict else "null"))


def _pinned(row: Any, on_error: str) -> scoring.Task:
    """What a row of prediction_set asks for, of the version that it holds."""
    kept = [*row["key"], *row["columns"]]
    pinned = f"{model_name(row['model'])}/{row['version']}"
    return scoring.Task(pinned, row["source"], kept, len(row["key"]), row["class"], on_error, counted=True)
