"""The path of a row: from the bytes that record_send() made of it to a number, with nothing looked up that can be kept.

What is kept, and what ends it:
- a route (epoch, role, reference -> scorer) until the statement that finds any catalog changed, so that a revoked
  privilege bites at once;
- how a type of row is read, until a catalog changes or this transaction writes (it may have renamed a column);
- a scorer, as long as its session, which the cache may evict.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import plpy

from modeldb.errors import MalformedInput, ModeldbError, SignatureMismatch
from modeldb.server import boundary, records, sessions, strided, values
from modeldb.server.anonymous import AnonymousReader
from modeldb.server.backend import (
    ask,
    catalog_changes,
    current_command,
    current_role,
    see_other_commits,
    statement_started,
    transaction_started,
)
from modeldb.server.documents import JsonReader
from modeldb.server.scorer import Scorer
from modeldb.signature import Signature

MAX_ROUTES = 1000
_NULL = b"\xff\xff\xff\xff"
Reader = Callable[[bytes], bool]


class Row:
    """Reads rows into one scorer's buffers, whatever form they come in."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.features = scorer.signature.features
        self.json = JsonReader(self.features)
        self.anonymous = AnonymousReader(self.features)
        self.readers: dict[int, Reader] = {}
        self.read_at = (0, 0)

    def reader(self, kind: int) -> Reader:
        """A function that fills the buffers from record_send(ROW(value of this type)). False: the answer is NULL."""
        now = catalog_changes.value, current_command(0)
        if now != self.read_at:
            self.readers.clear()
            self.read_at = now
        if kind not in self.readers:
            self.readers[kind] = self._compile(kind)
        return self.readers[kind]

    def _compile(self, kind: int) -> Reader:
        take, faster = self._taker(kind)
        prepare = self.scorer.prepare

        def read(data: bytes) -> bool:
            if data[8:12] == _NULL:
                return False
            try:
                found = take(data)
            except records.Stale:
                raise MalformedInput("the row does not have the columns of its type") from None
            return found is not None and prepare(found)

        return read if faster is None else lambda data: faster(data) or read(data)

    def _taker(self, kind: int) -> tuple[Callable[[bytes], Sequence[Any] | None], Reader | None]:
        """The function that takes the features' values out of a type of input; a faster one that may decline."""
        if kind in (values.JSON, values.TEXT):
            return lambda data: self.json.read(data[12:]), None
        if kind == values.JSONB:
            return lambda data: self.json.read(data[13:]), None
        if kind == values.RECORD:
            return self.anonymous.read, None
        values.base_type.cache_clear()
        base = values.base_type(kind)
        if base == values.TEXT and base != kind:
            return self._taker(base)
        query = """SELECT typrelid::bigint AS relation, typelem::bigint AS element, typlen
                   FROM pg_catalog.pg_type WHERE oid OPERATOR(pg_catalog.=) $1"""
        found = ask(query, ["oid"], [base])
        if found and found[0]["relation"]:
            layout = records.Layout(self.features, records.columns_of(found[0]["relation"]))
            return layout.read, strided.reader(layout, self.scorer)
        if found and found[0]["element"] and found[0]["typlen"] == -1:
            return lambda data: records.read_array(self.features, data), None
        raise MalformedInput(f"features cannot be of type {values.type_name(kind)}")


_Key = tuple[str, int, int]
_Found = tuple[Scorer, Row]
_routes: dict[_Key, _Found] = {}
_of_statement: dict[_Key, _Found] = {}
_seen = ((0, 0), 0, 0)


def find(model: str, epoch: int) -> _Found:
    """The scorer behind a reference, as the effective role may use it: the same one for all of a statement.

    What a statement's snapshot says of the newest epoch holds beyond it. A plan may also be older than the snapshot (in
    a transaction block, where nobody looked for commits of others before) or newer (a snapshot from before the commit);
    then the snapshot decides, and what it says holds for this statement alone.
    Routes are forgotten when any catalog changes, so that a revoked privilege bites, and when a session was evicted.
    """
    global _seen
    started = statement_started(), transaction_started()  # a message of the client may hold several transactions
    if started != _seen[0]:
        see_other_commits()
        _of_statement.clear()
        if catalog_changes.value != _seen[1]:
            _routes.clear()
        _seen = (started, catalog_changes.value, _seen[2])
    if sessions.evictions != _seen[2]:
        _routes.clear()
        _of_statement.clear()
        _seen = (*_seen[:2], sessions.evictions)
    key = (model, epoch, current_role())
    known = _routes.get(key) or _of_statement.get(key)
    if known is not None:
        sessions.loaded.move_to_end(known[0].loaded.digest)
        return known
    route = ask("SELECT * FROM modeldb._route($1)", ["text"], [model])[0]
    found = _scorer(route)
    kept = _routes if route["newest"] == epoch else _of_statement
    if len(kept) >= MAX_ROUTES:
        kept.clear()
    kept[key] = found
    return found


def _scorer(route: Any) -> _Found:
    loaded = sessions.get(route["digest"])
    version = (route["model"], route["version"], route["signature"], route["on_null"])
    found: _Found | None = loaded.scorers.get(version)
    if found is None:
        signature = Signature.from_json(orjson.loads(route["signature"]))
        scorer = Scorer(loaded, signature, f"{route['model']}/{route['version']}", route["on_null"] == "null")
        found = loaded.scorers[version] = (scorer, Row(scorer))
    return found


def _entry(result: Callable[..., Any]) -> Callable[..., Any]:
    """A SQL function of (model, features, epoch, ...) from a method of Scorer."""
    last: Any = None
    scorer: Any = None
    read: Any = None

    def call(model: str, features: bytes, epoch: int, *rest: Any) -> Any:
        nonlocal last, scorer, read
        # All that the way of a row depends on. While it stays the same, there is nothing to look up.
        now = (
            model,
            epoch,
            features[4:8],
            statement_started(),
            current_role(),
            current_command(0),
            sessions.evictions,
        )
        try:
            if now != last:
                last = None
                scorer, row = find(model, epoch)
                read = row.reader(int.from_bytes(now[2], "big"))
                last = (*now[:6], sessions.evictions)
            if not read(features):
                return None
            scorer.execute()
            try:
                return result(scorer, *rest)
            except (IndexError, ValueError, TypeError, AttributeError) as error:
                raise SignatureMismatch(f"the model's outputs do not fit its signature: {error}") from None
        except ModeldbError as error:
            boundary.fail(error, model)
        except (struct.error, IndexError, ValueError) as error:
            boundary.fail(MalformedInput(f"the row cannot be read: {error}"), model)
        except plpy.SPIError as error:
            boundary.pass_on(error)

    return call


ENTRIES: dict[str, Callable[..., Any]] = {
    "predict": _entry(Scorer.number),
    "predict_label": _entry(Scorer.label),
    "predict_proba": _entry(Scorer.probabilities),
    "predict_proba_of": _entry(Scorer.probability),
    "predict_json": _entry(Scorer.document),
}
