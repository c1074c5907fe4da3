"""attach_scorer(): all is checked; then columns, functions and triggers are made, which are the table's owner's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson
import plpy

from modeldb.errors import InvalidScorer
from modeldb.server import predict
from modeldb.server.backend import ask, current_role, refuse_parallel
from modeldb.server.batch.owner import acting_as, check_unrestricted
from modeldb.server.batch.source import literal, quote
from modeldb.server.online import fit, making, neighbours, queue, sync, table
from modeldb.server.online.neighbours import Neighbour
from modeldb.server.online.probe import SCORE, Enrichment, Expression, Probe, probing
from modeldb.server.online.request import Request
from modeldb.server.online.scorer import Source, TableScorer, load
from modeldb.server.online.table import Table, pinned
from modeldb.server.scorer import Scorer

_INSERT = """
    INSERT INTO modeldb.scorer (relation, "into", model, mode, class, columns, reads, enrich_reads, key, label,
        model_version, scored_at, error, "where", on_error, reject_if, enrich, attached_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) RETURNING id"""
_TYPES = ["oid", *["text"] * 4, "jsonb", *["text[]"] * 3, *["text"] * 9]
_ROW = """
    SELECT s.id, s.relation::oid::int8 AS relation, s."into", s.model, s.mode, s.class, s.columns, s.reads,
        s.enrich_reads, s.key, s.label, s.model_version, s.scored_at, s.error, s."where", s.on_error, s.reject_if,
        s.enrich, s.position, s.attached_at::text, s.attached_by
    FROM modeldb.scorer s WHERE s.id = $1"""


@dataclass(frozen=True)
class Understood:
    """What is written over the rows of a table, as PostgreSQL understood it; the columns of the features."""

    where: Expression | None
    reject: Expression | None
    enrichment: Enrichment | None
    columns: list[Source]

    @property
    def reads(self) -> list[str]:
        """The columns of the table that the score depends on, without those that the scorer writes itself."""
        found = [source.column for source in self.columns if not source.enriched]
        for part in (self.enrichment, self.where, self.reject):
            found += part.reads if part else []
        return list(dict.fromkeys(found))


def attach_scorer(*given: Any) -> dict[str, Any]:
    """The body of _attach_scorer(): the row of modeldb.scorer.

    Raises InvalidArgument (MD108), MissingPrivilege (MD907), ScorerConflict (MD602), InvalidScorer (MD603), and what
    finding the model raises.
    """
    refuse_parallel()
    check_unrestricted()
    request = Request(*given)
    request.check()
    oid = table.find(request.table)
    with pinned(current_role()):
        found = table.read(oid)
    with acting_as(found.owner):
        _model(request)  # loaded before anybody has to wait for the lock
        wanted = fit.Wanted(request.targets, request.class_)
        making.wait_for_turn(found.owner)
        plpy.execute(f"LOCK TABLE {found.name} IN {'ACCESS' if wanted.added(found) else 'SHARE ROW'} EXCLUSIVE MODE")
        scorer = _model(request)
    with pinned(found.owner):
        found = table.read(oid)  # nobody changes it any more
    others = neighbours.beside(found)
    neighbours.check_free(found, request.targets.values(), others)
    with making.allowed(found.owner):
        understood = _understand(request, found, scorer, wanted, others)
        with pinned(found.owner):
            _add_columns(found, wanted)
        attached = _register(request, found, understood)
        _make(replace(attached, reads=neighbours.depended_on(attached.reads, others)), found, understood)
    with pinned(making.registry_owner()):
        return dict(ask(_ROW, ["integer"], [attached.id])[0])


def _model(request: Request) -> Scorer:
    epoch = ask("SELECT modeldb._epoch() AS epoch", [], [])[0]["epoch"]
    return predict.find(request.model, epoch)[0]


def _understand(
    request: Request, found: Table, scorer: Scorer, wanted: fit.Wanted, others: list[Neighbour]
) -> Understood:
    """Everything that the scorer is to read. Raises InvalidScorer (MD603) with all that does not fit."""
    with probing(found, wanted.added(found)) as probe:
        enrichment = probe.query(request.enrich) if request.enrich is not None else None
        where = probe.condition("where", request.where) if request.where is not None else None
        reject = _rejection(probe, request)
    enriched = enrichment.columns if enrichment else {}
    with pinned(found.owner):
        columns = fit.sources(scorer.signature.features, request.mapping, found, enriched)
        wrong = fit.problems(scorer, request.mapping, found, enriched, columns, wanted)
        understood = Understood(where, reject, enrichment, columns)
        wrong += _misread(request, found, understood)
        wrong += neighbours.problems(request.mode, understood.reads, request.targets.values(), others)
    if wrong:
        raise InvalidScorer(
            f"model {request.model!r} cannot score {found.name} into {request.into!r}: {'; '.join(wrong)}",
            detail=f"The table has the columns {', '.join(list(found.columns)[:100])}.",
            hint=f'describe({literal(request.model)}) lists the features; columns => \'{{"feature": "column"}}\' maps '
            "names, and enrich => 'SELECT ...' computes what is not in the row.",
        )
    return understood


def _rejection(probe: Probe, request: Request) -> Expression | None:
    """reject_if, which may use what is written, too. ``score`` is another name for the column of the score."""
    if request.reject_if is None:
        return None
    found = probe.condition("reject_if", request.reject_if, score=None if request.into == SCORE else sync.SCORED)
    targets = request.targets.values()
    return Expression(found.given, found.text, [name for name in found.reads if name not in targets])


def _misread(request: Request, found: Table, understood: Understood) -> list[str]:
    """What expressions and enrich read and cannot, and what is the matter with the key."""
    wrong = []
    written = request.targets.values()
    for what, part in (("where", understood.where), ("enrich", understood.enrichment)):
        if part and (own := [name for name in part.reads if name in written]):
            wrong.append(f"{what} reads {', '.join(map(repr, own))}, which the scorer writes")
    generated = [name for name in understood.reads if name in found.columns and found.columns[name].generated]
    if request.mode == "sync" and generated:
        wrong.append(
            f"{', '.join(map(repr, generated))} is generated, and not yet computed when a row is scored: take "
            "mode => 'async', or write its expression as a column of enrich"
        )
    if lacking := [name for name in request.key or () if name not in found.columns]:
        wrong.append(f"key names {', '.join(map(repr, lacking))}, and there is no such column")
    if request.mode == "async" and not (found.key if request.key is None else request.key):
        wrong.append("the table has no primary key: name columns that identify a row as key")
    if found.is_partition and (added := fit.Wanted(request.targets, None).added(found)):
        wrong.append(f"it is a partition: add {', '.join(map(repr, added))} to the table that it belongs to")
    return wrong


def _add_columns(found: Table, wanted: fit.Wanted) -> None:
    if added := wanted.added(found):
        parts = ", ".join(f"ADD COLUMN {quote(name)} {kind}" for name, kind in added.items())
        plpy.execute(f"ALTER TABLE {found.name} {parts}")


def _register(request: Request, found: Table, understood: Understood) -> TableScorer:
    """Write the scorer down, as the owner of the registry, while nothing is retired or deleted."""
    columns = [{"feature": s.feature, "column": s.column, "enriched": s.enriched} for s in understood.columns]
    who = ask("SELECT current_user::text AS name", [], [])[0]["name"]
    values = [
        *(found.oid, request.into, request.model, request.mode, request.class_, orjson.dumps(columns).decode()),
        *(understood.reads, understood.enrichment.reads if understood.enrichment else []),
        found.key if request.key is None else request.key,
        *(request.targets.get(what) for what in ("label", "model_version", "scored_at", "error")),
        understood.where.text if understood.where else None,
        request.on_error,
        understood.reject.text if understood.reject else None,
        understood.enrichment.given if understood.enrichment else None,
        who,
    ]
    with pinned(making.registry_owner()):
        plpy.execute("LOCK TABLE modeldb.publication IN ROW SHARE MODE")
        making.forget_gone()
        ask("SELECT FROM modeldb._route($1)", ["text"], [request.model])  # it may have been retired meanwhile
        [row] = ask(_INSERT, _TYPES, values)
        scorer = load(row["id"])
        making.drop_functions(scorer.id)  # no id comes twice: what has these names was made to be in the way
        return scorer


def _make(attached: TableScorer, found: Table, understood: Understood) -> None:
    """Functions, triggers and the queue, as the table's owner. attached.reads: what triggers are to heed."""
    if understood.enrichment:
        with acting_as(found.owner):  # by the caller's search_path, once more
            plpy.execute(understood.enrichment.function(attached.enrich_function, found))
    with pinned(found.owner):
        if attached.mode == "sync":
            sync.make(sync.Function(attached, found, understood.where, understood.reject, understood.enrichment))
        else:
            queue.make(attached)
