"""From rows that are locked to rows with a score: read, run through the model, and written, many at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plpy

from modeldb.errors import InvalidScorer, ModeldbError, NotANumber, RunFailed
from modeldb.runtime import Array
from modeldb.server import arrays, boundary
from modeldb.server.backend import catalog_changes
from modeldb.server.batch import scoring
from modeldb.server.batch.chunks import Chunk
from modeldb.server.batch.source import quote
from modeldb.server.online.places import Rows, integers, only, tid_array
from modeldb.server.online.scorer import TableScorer
from modeldb.server.scorer import Scorer

_POSITION, _KEY = '"modeldb position"', '"modeldb key"'  # names that no feature has
_NOT_OF_A_ROW = ("40001", "40P01", "53", "55P03", "57014", "57P", "58", "XX001", "XX002")
"""How SQLSTATEs begin that say nothing of any row: conflicts, no memory or disk, locks, cancelled, broken."""


@dataclass(frozen=True)
class Scored:
    """Rows with their answers. keys: JSON, an array each; scores: (n,) float64, which count where answered is true.

    labels: (n,) texts, quoted as elements of an array literal; None for a model without labels.
    """

    keys: list[str]
    scores: Array
    answered: Array
    labels: Array | None

    def score_array(self) -> bytes:
        return arrays.write(self.scores[self.answered], None if self.answered.all() else self.answered)

    def label_array(self) -> str | None:
        return None if self.labels is None else "{" + ",".join(self.labels.tolist()) + "}"


@dataclass
class Outcome:
    """What became of rows. failed: by position of a row, why it has no score and is to be tried again.

    unscored: how many have none for a reason that the table's error column tells. excluded: the keys of rows that where
    excludes. moved: positions of rows that a trigger has updated meanwhile, which are elsewhere by now.
    """

    scored: list[Scored] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    unscored: int = 0
    excluded: list[str] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)


class MicroBatches:
    """Scores rows of a table by one version. To be used as the owner of the table."""

    def __init__(self, scorer: TableScorer, model: Scorer) -> None:
        """Raises what is wrong with the table or the model, before any row is blamed for it."""
        self.scorer, self.model = scorer, model
        self.version = int(model.name.rpartition("/")[2])
        features = ", ".join(f"{column.expression} AS {quote(column.feature)}" for column in scorer.columns)
        source = f"(SELECT {features} FROM {scorer.rows(only(scorer))})"
        self.run = scoring.Run(model, scoring.Task(model.name, source, (), label=scorer.class_, on_error="null"))
        if scorer.class_ is None and not model.signature.numeric:
            raise NotANumber(
                f"the model's labels are texts, not numbers, and {scorer.name} is a number",
                hint="Detach the scorer, and attach it with class => the label whose probability is wanted.",
            )
        self.reading = plpy.prepare(self._reading(features), ["text", "text"])
        self.writing = plpy.prepare(self._writing(), ["text", "text", "bytea", "integer", "text", "integer"])
        self.clearing = plpy.prepare(self._clearing(), ["text", "text", "text[]"])
        self.looking = plpy.prepare(self._looking(), ["text", "text"])

    def process(self, rows: Rows, outcome: Outcome, start: int = 0) -> None:
        """Score and write rows, of which the first is that of a position; halve them until those at fault are found."""
        try:
            with plpy.subtransaction():
                self._score(rows, outcome, start)
        except (plpy.SPIError, RunFailed, InvalidScorer) as error:
            state, message = _told(error)
            if state.startswith(_NOT_OF_A_ROW):
                raise
            if len(rows) == 1:
                outcome.failed[start] = message + self._clear_refused(rows)
                return
            middle = len(rows) // 2
            self.process(rows.slice(0, middle), outcome, start)
            self.process(rows.slice(middle, len(rows)), outcome, start + middle)

    def _score(self, rows: Rows, outcome: Outcome, start: int) -> None:
        """Score and write all of the rows; the outcome is told of at the end, when nothing can go wrong any more."""
        [read] = plpy.execute(self.reading, [tid_array(rows.tids), rows.partition_array()])
        positions = integers(read["positions"]) - 1
        errors: dict[int, str] = {}
        if len(set(positions.tolist())) < len(positions):
            raise InvalidScorer(f"enrich gives several rows for one of {self.scorer.table}")
        scored: Scored | None = None
        if len(positions):
            found, errors = self._predict(read)
            good = np.array([at not in errors for at in range(len(positions))], dtype=bool)
            scored = _taken(found, good)
            self._write(rows.pick(positions[good].tolist()), scored)
        reasons = {int(positions[at]): reason for at, reason in errors.items()}
        rest = sorted(set(range(len(rows))) - set(positions.tolist()))
        excluded = self._look(rows.pick(rest)) if rest else {}
        self._clear(rows, {**reasons, **{rest[at]: None for at in excluded}})
        outcome.excluded += excluded.values()
        outcome.moved |= {start + at for position, at in enumerate(rest) if position not in excluded}
        if scored is not None and scored.keys:
            outcome.scored.append(scored)
        if self.scorer.on_error == "null":
            outcome.unscored += len(reasons)
        else:
            outcome.failed |= {start + at: reason for at, reason in reasons.items()}

    def _predict(self, read: Any) -> tuple[Scored, dict[int, str]]:
        """The answers to the rows that were read; by position among them, why one has none."""
        count = len(read["keys"])
        parts = [reader.read(read[f"part{at}"], count) for at, reader in enumerate(self.run.readers)]
        found, some, verdicts = self.run.predict(Chunk(count, [], [], parts, None))
        answered = np.zeros(count, dtype=bool)
        scores, labels = np.full(count, np.nan), None
        if found is not None:
            answered[:] = True if some is None else some
            scores[answered] = found.numbers if self.scorer.class_ is None else found.probabilities
            if found.labels is not None:
                labels = np.full(count, "NULL", dtype=object)
                labels[answered] = found.labels
        errors = {at: error.message for at, error in verdicts.items() if error is not None}
        return Scored(read["keys"], scores, answered, labels), errors

    def _write(self, rows: Rows, scored: Scored) -> None:
        if not rows:
            return
        numbers = [scored.score_array(), len(rows), scored.label_array(), self.version]
        done = plpy.execute(self.writing, [tid_array(rows.tids), rows.partition_array(), *numbers])
        if done.nrows() < len(rows):
            raise InvalidScorer(f"a trigger of {self.scorer.table} keeps the score from being written")

    def _look(self, rows: Rows) -> dict[int, str]:
        """By position, the keys of those rows that are still where they were."""
        found = plpy.execute(self.looking, [tid_array(rows.tids), rows.partition_array()])
        return {row["position"] - 1: row["key"] for row in found}

    def _clear(self, rows: Rows, reasons: dict[int, str | None]) -> None:
        """No score for the rows that where excludes and for those with errors, whatever it was before."""
        if reasons:
            without = rows.pick(list(reasons))
            plpy.execute(self.clearing, [tid_array(without.tids), without.partition_array(), list(reasons.values())])

    def _clear_refused(self, row: Rows) -> str:
        """Clear the score, of older values, of a row that cannot be written one; what to add to the reason."""
        try:
            plpy.execute(self.clearing, [tid_array(row.tids), row.partition_array(), [None]])
        except plpy.SPIError as error:
            state, message = _told(error)
            if state.startswith(_NOT_OF_A_ROW):
                raise
            return f"; nor can its score be set to NULL: {message}"
        return ""

    # --- statements -------------------------------------------------------------------------------------------------

    def _found(self) -> str:
        """A condition: new is the row that r tells."""
        return "new.ctid = r.tid" + (" AND new.tableoid = r.partition" if self.scorer.partitioned else "")

    def _reading(self, features: str) -> str:
        key = ", ".join(f"new.{quote(name)}" for name in self.scorer.key)
        parts = [
            f"{reader.collected([expression for expression, _ in reader.fields])} AS part{at}"
            for at, reader in enumerate(self.run.readers)
        ]
        # OFFSET 0: whatever the plan, where and enrich are computed for these rows alone.
        rows = f"""(
                    SELECT new.*, r.position AS {_POSITION}
                    FROM unnest($1::tid[], $2::oid[]) WITH ORDINALITY AS r (tid, partition, position)
                    JOIN {only(self.scorer)} AS new ON {self._found()}
                    OFFSET 0)"""
        return f"""
            SELECT array_agg(s.{_POSITION})::text AS positions, array_agg(s.{_KEY}) AS keys, {", ".join(parts)}
            FROM (
                SELECT new.{_POSITION}, json_build_array({key})::text AS {_KEY}, {features}
                FROM {self.scorer.rows(rows)} WHERE {self.scorer.where or "true"}
            ) AS s"""

    def _looking(self) -> str:
        key = ", ".join(f"new.{quote(name)}" for name in self.scorer.key)
        return f"""
            SELECT r.position, json_build_array({key})::text AS key
            FROM unnest($1::tid[], $2::oid[]) WITH ORDINALITY AS r (tid, partition, position)
            JOIN {only(self.scorer)} AS new ON {self._found()}"""

    def _writing(self) -> str:
        s = self.scorer
        values = {s.into: "r.score", s.label: "r.label", s.model_version: "$6", s.scored_at: "clock_timestamp()"}
        values[s.error] = "NULL"
        given = ", ".join(f"{quote(name)} = {value}" for name, value in values.items() if name is not None)
        return f"""
            UPDATE {only(s)} AS new SET {given}
            FROM unnest($1::tid[], $2::oid[], modeldb._numbers($3, $4), $5::text[]) AS r (tid, partition, score, label)
            WHERE {self._found()}"""

    def _clearing(self) -> str:
        s = self.scorer
        targets = [quote(name) for name in (s.into, s.label, s.model_version, s.scored_at) if name is not None]
        given, filled = [f"{name} = NULL" for name in targets], [f"new.{name} IS NOT NULL" for name in targets]
        if s.error is not None:
            given.append(f"{quote(s.error)} = r.error")
            filled.append(f"new.{quote(s.error)} IS DISTINCT FROM r.error")
        return f"""
            UPDATE {only(s)} AS new SET {", ".join(given)}
            FROM unnest($1::tid[], $2::oid[], $3) AS r (tid, partition, error)
            WHERE {self._found()} AND ({" OR ".join(filled)})"""


_known: dict[int, tuple[int, MicroBatches]] = {}


def batches(scorer: TableScorer, model: Scorer) -> MicroBatches:
    """What scores the rows of a scorer's table: kept until a catalog changes or another version does so."""
    changes = catalog_changes.value
    seen, known = _known.get(scorer.id, (0, None))
    if known is None or seen != changes or known.scorer != scorer or known.model is not model:
        known = MicroBatches(scorer, model)
        _known[scorer.id] = (changes, known)
    return known


def _taken(scored: Scored, good: Array) -> Scored:
    if good.all():
        return scored
    labels = None if scored.labels is None else scored.labels[good]
    keys = [key for key, taken in zip(scored.keys, good.tolist(), strict=True) if taken]
    return Scored(keys, scored.scores[good], scored.answered[good], labels)


def _told(error: Any) -> tuple[str, str]:
    """SQLSTATE and message of an error."""
    if isinstance(error, ModeldbError):
        return error.sqlstate, error.message
    known = boundary.from_spi(error)
    state, message, _, _ = boundary.parts(error)
    return state or "XX000", message if known is None else known.message
