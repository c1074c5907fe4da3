"""The path of a row that is being written: from the bytes that a trigger made of it to its score.

Everything that the score depends on stays the same for all rows of a statement, so there is nothing to look up for
each: they are scored by one version, the one that the statement's snapshot shows. The trigger function is STABLE, which
is why that snapshot is at hand. By it are told apart the statements that triggers and functions run within another one
on the same table, those of a procedure that commits, and those that come after one which failed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import plpy

from modeldb.errors import InputError, MalformedInput, MissingPrivilege, ModeldbError, SignatureMismatch
from modeldb.server import boundary, predict, records, sessions, strided
from modeldb.server.backend import active_snapshot, ask, current_role, statement_started, visible
from modeldb.server.online import numbers
from modeldb.server.online.activity import Counts
from modeldb.server.online.scorer import TableScorer, load
from modeldb.server.scorer import Scorer

_MADE_BY = """
    SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    WHERE n.nspname OPERATOR(pg_catalog.=) 'modeldb_scorers' AND p.pronargs OPERATOR(pg_catalog.=) 0
        AND p.proname OPERATOR(pg_catalog.=) $1 AND p.proowner OPERATOR(pg_catalog.=) $2"""
_NEVER = (0, 0, 0, 0)
_MOST_VERSIONS = 1000
Reader = Callable[[bytes], bool]
Compile = Callable[[Scorer, list[str], bytes], Reader]
"""From a model, the features' names in the order of the values, and the first row to a function that reads rows."""


def _unbound(*_: Any) -> Any:
    raise AssertionError("no statement has begun")


class Online:
    """A table's scorer in this backend: ready to score while ``now`` stays the same."""

    def __init__(self, definition: TableScorer) -> None:
        self.definition = definition
        self.counts = Counts()
        self.now: tuple[int, int | None, int, int] = _NEVER
        self.role = 0
        self.statement = 0
        self.versions: dict[tuple[int, ...], str] = {}
        """What the model means to the client's statement and to those within it, by what they see."""
        self.version: int | None = None
        self.scorer: Scorer | None = None
        self.read: Reader = _unbound
        self.execute: Callable[[], None] = _unbound
        self.take: Callable[[], float] = _unbound
        self.add = self.counts.add
        self.answered = False
        """Whether the last row has a score."""
        self.error: str | None = None
        """Why it has none, where it is accepted without one."""

    def begin(self, compile_: Compile, epoch: int, row: bytes) -> None:
        """Get ready for a statement, of which this is the first row. Raises what a prediction raises."""
        self.now = _NEVER
        if self.statement != (statement := statement_started()):
            self.statement = statement
            self.versions.clear()
        self.check_caller()
        seen = visible()
        # A statement within this one may have let the catalog, and with it the epoch, be newer than the snapshot.
        found, _ = predict.find(self.versions.get(seen, self.definition.model), epoch)
        if found is not self.scorer:
            self.scorer = None
            self.read = compile_(found, [source.feature for source in self.definition.columns], row)
            self._bind(found)
        if len(self.versions) >= _MOST_VERSIONS:
            self.versions.popitem()  # the newest: what is older may be of a statement that this one is within
        self.versions[seen] = found.name
        self.now = _now(epoch)

    def end(self) -> None:
        """A statement is over; that one which it was within goes on."""
        self.now = _NEVER
        self.versions.pop(visible(), None)

    def _bind(self, found: Scorer) -> None:
        label = self.definition.class_
        self.take = (found.take_number or found.number) if label is None else found.probability_taker(label)
        self.scorer, self.execute = found, found.execute
        self.version = int(found.name.rpartition("/")[2])

    def check_caller(self) -> None:
        """Raise MissingPrivilege (MD907) unless it is the trigger function that calls.

        Anybody else might teach this session another way to read the table's rows, or learn what the last one was.
        """
        if self.role == (role := current_role()):
            return
        if not ask(_MADE_BY, ["text", "oid"], [f"_{self.definition.id}", role]):
            raise MissingPrivilege("only the trigger function of a scorer calls this", hint="Call predict() instead.")
        self.role = role

    def fail(self, error: ModeldbError) -> None:
        """Note why the row has no score, where it is accepted without one; else raise the error."""
        self.counts.errors += 1
        self.answered = False
        if self.definition.on_error == "null":
            self.error = error.message
            return
        table = load(self.definition.id).table  # as it is called by now
        error.detail = " ".join(filter(None, [f"Scoring {table} into {self.definition.into!r}.", error.detail]))
        if isinstance(error, InputError):
            accepting = "attach_scorer(..., on_error => 'null') accepts such rows unscored."
            error.hint = f"{error.hint} Or {accepting}" if error.hint else accepting
        boundary.fail(error, self.definition.model)


def _now(epoch: int) -> tuple[int, int | None, int, int]:
    """What being ready depends on: the client's statement, the one within it, and that no model was evicted."""
    return statement_started(), active_snapshot(), epoch, sessions.evictions


_known: dict[int, Online] = {}


def known(scorer: int) -> Online:
    """The scorer of an id, which is never given to another. Raises UnknownScorer (MD601)."""
    found = _known.get(scorer)
    if found is None:
        found = _known[scorer] = Online(load(scorer))
    return found


def _entry(compile_: Compile) -> Callable[[int, int, bytes], float | None]:
    """A SQL function of (scorer, epoch, row)."""
    get = _known.get

    def call(scorer: int, epoch: int, row: bytes) -> float | None:
        started = perf_counter_ns()
        online = get(scorer)
        try:
            if online is None or online.now != (statement_started(), active_snapshot(), epoch, sessions.evictions):
                online = known(scorer)
                online.begin(compile_, epoch, row)
            score = online.error = None
            answered = online.answered = online.read(row)
            if answered:
                online.execute()
                try:
                    score = online.take()
                except (IndexError, ValueError, TypeError, AttributeError) as error:
                    raise SignatureMismatch(f"the model's outputs do not fit its signature: {error}") from None
            online.add(perf_counter_ns() - started)
            return score
        except (ModeldbError, plpy.SPIError, struct.error, IndexError, ValueError) as error:
            _failed(online, error)
            return None

    return call


def _failed(online: Online | None, error: Exception) -> None:
    """Raise the error as PostgreSQL's, unless the scorer is to accept the row nevertheless."""
    if isinstance(error, plpy.SPIError):
        own = boundary.from_spi(error)
        if own is None:
            boundary.pass_on(error)
    elif isinstance(error, ModeldbError):
        own = error
    else:
        own = MalformedInput(f"the row cannot be read: {error}")
    if online is None:
        boundary.fail(own)
    online.fail(own)


def _compile_records(scorer: Scorer, names: list[str], row: bytes) -> Reader:
    """For rows from record_send(ROW(...)). The types stay the same: no trigger's column can change its own."""
    types = records.column_types(row, records.BARE)
    if len(types) != len(names):
        raise MalformedInput(f"a row of {len(types)} values came where {len(names)} were to come")
    layout = records.Layout(scorer.signature.features, list(zip(names, types, strict=True)), start=records.BARE)
    take, prepare, faster = layout.read, scorer.prepare, strided.reader(layout, scorer)

    def read(data: bytes) -> bool:
        try:
            return prepare(take(data))
        except records.Stale:
            raise MalformedInput("the row does not have the columns that the scorer was attached to") from None

    return read if faster is None else lambda data: faster(data) or read(data)


def _compile_numbers(scorer: Scorer, names: list[str], row: bytes) -> Reader:
    """For rows from _memory(ARRAY[...]), where all columns are double precision."""
    return numbers.reader(scorer, names)


ENTRIES = {"online": _entry(_compile_records), "online_numbers": _entry(_compile_numbers)}
"""The bodies of _online() and _online_numbers()."""


def _own(scorer: int) -> Online:
    """The scorer whose trigger function calls. Raises MissingPrivilege (MD907)."""
    found = known(scorer)
    found.check_caller()
    return found


def online_label(scorer: int) -> str | None:
    """The body of _online_label(): that of the row scored last; NULL if it has no score. Raises NotANumber (MD207)."""
    found = _own(scorer)
    if not found.answered or found.scorer is None:
        return None
    return found.scorer.label()


def online_version(scorer: int) -> int | None:
    """The body of _online_version(): by which version the row scored last was."""
    return _own(scorer).version


def online_error(scorer: int, enriching: str | None) -> str | None:
    """The body of _online_error(): why the row scored last has no score.

    enriching: the error of enrich, where it did not come to scoring.
    """
    found = _own(scorer)
    if enriching is not None:
        found.answered, found.error = False, enriching
        found.counts.errors += 1
    return found.error


def online_done(trigger: dict[str, Any]) -> None:
    """The body of _online_done(): a statement is over; write what was counted, unless that was done just now."""
    scorer = int(trigger["args"][0])
    if (found := _known.get(scorer)) is not None:
        found.end()
        found.counts.write(scorer)
