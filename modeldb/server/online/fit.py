"""Whether a table and a model fit together: everything that does not is found, to be told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modeldb.server import values
from modeldb.server.backend import ask
from modeldb.server.online.scorer import Source
from modeldb.server.online.table import Column, Table
from modeldb.server.scorer import Scorer
from modeldb.signature import Feature

TARGETS = {
    "into": ("double precision", (701,)),
    "label": ("text", (25, 1043)),
    "model_version": ("integer", (20, 23)),
    "scored_at": ("timestamp with time zone", (1184,)),
    "error": ("text", (25, 1043)),
}
"""The type of each column that a scorer writes, when it has to be added; those that it may have."""


@dataclass(frozen=True)
class Wanted:
    """The columns that a scorer is to write, by what they are for, and whose probability the score is to be."""

    targets: dict[str, str]
    class_: str | None

    def added(self, table: Table) -> dict[str, str]:
        """Names and types of the columns that the table does not have yet."""
        return {name: TARGETS[what][0] for what, name in self.targets.items() if name not in table.columns}


def sources(
    features: Sequence[Feature], mapping: dict[str, str], table: Table, enriched: Iterable[str]
) -> list[Source]:
    """Where each feature comes from: the column that is named for it, else the one of its name, in any case if need be.

    Features without a column are left out.
    """
    known = {name: Source("", name, False) for name in table.columns}
    known |= {name: Source("", name, True) for name in enriched}
    folded: dict[str, list[str]] = {}
    for name in known:
        folded.setdefault(name.lower(), []).append(name)
    found = []
    for feature in features:
        name = mapping.get(feature.name, feature.name)
        like = folded.get(name.lower(), [])
        if name not in known and feature.name not in mapping and len(like) == 1:
            name = like[0]
        if name in known:
            found.append(Source(feature.name, name, known[name].enriched))
    return found


def problems(
    scorer: Scorer,
    mapping: dict[str, str],
    table: Table,
    enriched: dict[str, Column],
    bound: list[Source],
    wanted: Wanted,
) -> list[str]:
    """What does not fit, each as a clause; empty when all does."""
    features = scorer.signature.features
    return [
        *_of_mapping(features, mapping, table, enriched),
        *_of_features(features, mapping, table, enriched, bound),
        *_of_columns(table, enriched),
        *_of_answer(scorer, wanted),
        *_of_targets(table, wanted, bound),
    ]


def _of_mapping(
    features: Sequence[Feature], mapping: dict[str, str], table: Table, enriched: dict[str, Column]
) -> Iterator[str]:
    names = [feature.name for feature in features]
    for feature, column in mapping.items():
        if feature not in names:
            yield f"columns names {feature!r}, which is no feature of the model{_near(feature, names)}"
        elif column not in table.columns and column not in enriched:
            near = _near(column, [*table.columns, *enriched])
            yield f"columns names {column!r} for feature {feature!r}, and there is no such column{near}"


def _of_features(
    features: Sequence[Feature], mapping: dict[str, str], table: Table, enriched: dict[str, Column], bound: list[Source]
) -> Iterator[str]:
    found = {source.feature: source for source in bound}
    for feature in features:
        source = found.get(feature.name)
        if source is None:
            if feature.name not in mapping:
                yield f"feature {feature.name!r} has no column{_near(feature.name, [*table.columns, *enriched])}"
            continue
        column = (enriched if source.enriched else table.columns)[source.column]
        if not _readable(feature, column):
            yield f"feature {feature.name!r} is {feature.type}, the column {column.name!r} {column.type}"


def _readable(feature: Feature, column: Column) -> bool:
    """Whether a feature can be bound to a column: numbers to numbers, texts to what is a text to PostgreSQL."""
    readable = values.reader(values.base_type(column.oid)) is not None
    return readable and values.is_number(column.oid) == (feature.type != "text")


def _of_columns(table: Table, enriched: dict[str, Column]) -> Iterator[str]:
    for name in enriched:
        if name in table.columns:
            yield f"enrich has a column {name!r}, and so has the table"


def _of_answer(scorer: Scorer, wanted: Wanted) -> Iterator[str]:
    signature = scorer.signature
    known = ", ".join(list(scorer.class_positions)[:20])
    if signature.targets != 1:
        yield f"the model predicts {signature.targets} values for a row, not one"
    elif wanted.class_ is not None and signature.outputs.probabilities is None:
        yield f"the model is a {signature.task} and gives no probabilities, so that it has no class {wanted.class_!r}"
    elif wanted.class_ is not None and wanted.class_ not in scorer.class_positions:
        yield f"the model has no class {wanted.class_!r}; its classes are {known}"
    elif wanted.class_ is None and not signature.numeric:
        yield f"the model's labels are texts ({known}): name one as class to have its probability as the score"


def _of_targets(table: Table, wanted: Wanted, bound: list[Source]) -> Iterator[str]:
    read = {source.column for source in bound if not source.enriched}
    names = list(wanted.targets.values())
    for what, name in wanted.targets.items():
        kind, allowed = TARGETS[what]
        column = table.columns.get(name)
        if names.count(name) > 1 and names.index(name) == list(wanted.targets).index(what):
            yield f"the column {name!r} is to be written twice"
        if column is None:
            continue
        if column.oid not in allowed:
            yield f"the column {name!r} is {column.type}, to be written it has to be {kind}"
        if column.generated:
            yield f"the column {name!r} is generated, and cannot be written"
        if column.partitions:
            yield f"the column {name!r} tells which partition a row belongs to, and cannot be written"
        if name in read:
            yield f"the column {name!r} is read and to be written"


def _near(word: str, names: Sequence[str]) -> str:
    """A clause about names that look like a word, or nothing."""
    [found] = ask("SELECT modeldb._nearest($1, $2) AS near", ["text", "text[]"], [word, list(names)])
    return f" (near: {found['near']})" if found["near"] else ""
