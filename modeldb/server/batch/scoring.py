"""The set-returning function behind all batch predictions: chunks of a source in, chunks of array literals out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import plpy

from modeldb.errors import InvalidArgument, InvalidSource, ModeldbError, RunFailed
from modeldb.runtime import Array
from modeldb.server import arrays, boundary, predict
from modeldb.server.backend import ask
from modeldb.server.batch import binding, chunks, judging, results, source
from modeldb.server.batch.running import Runner
from modeldb.server.scorer import Scorer

ON_ERROR = ("raise", "null")
Row = tuple[int, list[str], bytes | None, str | None, bytes | None, str | None, str | None, str | None]
"""So many rows: columns carried along, prediction, label, probability, error, hash; None where all are NULL.

Array literals, and arrays of numbers as they lie in memory. The last is None, or an error in JSON.
"""


@dataclass(frozen=True)
class Task:
    """What is to be scored, and how."""

    model: str
    source: str
    kept: Sequence[str]
    key: int = 0
    """So many of the columns in ``kept`` are the key, which is never NULL."""
    label: str | None = None
    on_error: str = "raise"
    hashed: bool = False
    counted: bool = False


scored = 0
"""Rows that counted tasks have scored in this backend: a run compares before and after. A source may itself call
predict_batch(), whose rows are not the run's.
"""


def score(task: Task) -> Iterator[Row]:
    """The rows of a source scored by one version, chunk by chunk.

    Raises the errors of a single prediction, whose DETAIL names the row's key, InvalidSource (MD503) and
    InvalidArgument (MD108).
    """
    if task.on_error not in ON_ERROR:
        raise InvalidArgument(f"on_error is {task.on_error!r}; it is 'raise' or 'null'")
    epoch = ask("SELECT modeldb._epoch() AS epoch", [], [])[0]["epoch"]
    scorer, _ = predict.find(task.model, epoch)
    run = Run(scorer, task)
    for chunk in chunks.read(task.source, run.kept, run.readers, run.hashed):
        yield run.answer(chunk)


class Run:
    """One version over one source."""

    def __init__(self, scorer: Scorer, task: Task) -> None:
        self.scorer, self.task = scorer, task
        results.shape(scorer.signature)
        self.wanted = results.class_position(scorer, task.label)
        known = source.columns(task.source)
        self.kept = source.pick(known, list(task.kept), "the key or the columns")
        columns = list(known.values())
        self.readers = binding.inputs(scorer.signature, columns)
        self.hashed = binding.bound_columns(scorer.signature, columns) if task.hashed else []
        self.runner = Runner(scorer)

    def answer(self, chunk: chunks.Chunk) -> Row:
        """A chunk's predictions. Raises what is wrong with a row unless on_error is 'null'."""
        global scored
        self._check_key(chunk)
        found, answered, verdicts = self.predict(chunk)
        errors = [(at, error) for at, error in sorted(verdicts.items()) if error is not None]
        if errors and self.task.on_error == "raise":
            raise self._blamed(chunk, *errors[0])
        scored += chunk.rows if self.task.counted else 0
        numbers, labels, probabilities = (None, None, None) if found is None else vars(found).values()
        return (
            chunk.rows,
            chunk.kept,
            None if numbers is None else arrays.write(numbers, answered),
            None if labels is None else results.labels_literal(labels, answered),
            None if probabilities is None else arrays.write(probabilities, answered),
            results.texts_literal(_messages(errors, chunk.rows)) if errors else None,
            chunk.hashes,
            None,
        )

    def predict(self, chunk: chunks.Chunk) -> tuple[results.Answers | None, Array | None, judging.Verdicts]:
        """The answers to the rows that have one, which these are (None: all), and why the others have none.

        Raises RunFailed (MD401), and with on_error 'raise' need not have looked at every row.
        """
        verdicts = judging.judge(self.scorer, self.readers, chunk.parts)
        found, answered = self._run(chunk, verdicts)
        return found, answered, verdicts

    def _run(self, chunk: chunks.Chunk, verdicts: judging.Verdicts) -> tuple[results.Answers | None, Array | None]:
        """Run the rows that have no verdict; where that fails as a whole, find the rows at fault one by one."""
        answered = np.ones(chunk.rows, dtype=bool)
        answered[list(verdicts)] = False
        if not answered.any():
            return None, None
        try:
            return self._predict(chunk, answered), None if answered.all() else answered
        except RunFailed as error:
            if not self._blame_rows(chunk, answered, verdicts):
                raise error  # together they fail, though each alone does not
        return self._run(chunk, verdicts)

    def _blame_rows(self, chunk: chunks.Chunk, answered: Array, verdicts: judging.Verdicts) -> bool:
        """Give every row that cannot be run alone its verdict; whether there is one."""
        before = len(verdicts)
        for at in np.flatnonzero(answered).tolist():
            alone = np.zeros(chunk.rows, dtype=bool)
            alone[at] = True
            try:
                self._predict(chunk, alone)
            except RunFailed as error:
                verdicts[at] = error
                if self.task.on_error == "raise":
                    break
        return len(verdicts) > before

    def _predict(self, chunk: chunks.Chunk, rows: Array) -> results.Answers:
        """The answers to some rows of a chunk, given by booleans. Raises RunFailed (MD401)."""
        count, feeds = int(rows.sum()), {}
        for reader, part in zip(self.readers, chunk.parts, strict=True):
            tensor = part.tensor if count == chunk.rows else part.tensor[rows]
            feeds[reader.entry.name] = tensor.reshape(count, *reader.entry.shape)
        raw = self.runner.run(feeds, count)
        return results.interpret(self.scorer.signature, raw, count, self.wanted)

    def _check_key(self, chunk: chunks.Chunk) -> None:
        for column, filled in zip(self.kept[: self.task.key], chunk.filled, strict=False):
            if filled < chunk.rows:
                raise InvalidSource(
                    f"the key column {column.name!r} is NULL in {chunk.rows - filled} or more rows of the source",
                    hint="Leave these rows out with a query as the source, or take another key.",
                )

    def _blamed(self, chunk: chunks.Chunk, at: int, error: ModeldbError) -> ModeldbError:
        """The error with the row it is about."""
        if self.kept:
            values = [
                ask("SELECT ($1::text[])[$2] AS value", ["text", "integer"], [literal, at + 1])[0]["value"]
                for literal in chunk.kept[: max(self.task.key, 1)]
            ]
            named = ", ".join(f"{column.name} = {value}" for column, value in zip(self.kept, values, strict=False))
            error.detail = f"In the row with {named}." + (f" {error.detail}" if error.detail else "")
        if error.hint and "on_error" not in error.hint:
            error.hint += " Or let on_error => 'null' leave such rows without a prediction."
        return error


def _messages(errors: Sequence[tuple[int, ModeldbError]], rows: int) -> list[str | None]:
    messages: list[str | None] = [None] * rows
    for at, error in errors:
        messages[at] = error.message
    return messages


def guarded(task: Task) -> Iterator[Row]:
    """``score`` that gives an error as a last row of its own, for _fail() to raise.

    PL/Python would put "error fetching next item from iterator" in the place of the message, and lose the DETAIL.
    """
    try:
        yield from score(task)
    except ModeldbError as error:
        message = f"model {task.model!r}: {error.message}"
        yield _failure(error.sqlstate, message, error.detail, error.hint)
    except plpy.SPIError as error:
        state, message, detail, hint = boundary.parts(error)
        yield _failure(state or "XX000", message, detail, hint)


def _failure(sqlstate: str, message: str, detail: str | None, hint: str | None) -> Row:
    parts = {"sqlstate": sqlstate, "message": message, "detail": detail, "hint": hint}
    return 0, [], None, None, None, None, None, orjson.dumps(parts).decode()
