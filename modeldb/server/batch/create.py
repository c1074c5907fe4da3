"""create_predictions(): the relations, made by the caller and the caller's own; the record of them; the first run."""

from __future__ import annotations

from typing import Any

import plpy

from modeldb.errors import InvalidArgument, InvalidSource, NameTaken
from modeldb.server import predict
from modeldb.server.backend import ask, refuse_parallel
from modeldb.server.batch import incremental, results, source, statements
from modeldb.server.batch.scoring import ON_ERROR
from modeldb.server.batch.source import Column, literal, quote
from modeldb.server.batch.stored import RESERVED, model_name

_NAME_LIMIT = 63  # bytes of a name in PostgreSQL
_REGISTER = "SELECT modeldb._register_predictions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
_TYPES = [*(["text"] * 3), "boolean", "text", *(["text[]"] * 3), "text", "text", "boolean", "text"]


def create_predictions(
    name: str,
    model: str,
    given: str,
    key: list[str],
    columns: list[str],
    on_error: str,
    label: str | None,
    incremental_: bool,
    changed_at: str | None,
) -> Any:
    """The body of _create_predictions(): the row of the first run.

    Raises NameTaken (MD502), InvalidSource (MD503), InvalidArgument (MD108), and what a prediction raises.
    """
    refuse_parallel()
    given_values = {"name": name, "source": given, "columns": columns, "incremental": incremental_}
    if lacking := [what for what, value in given_values.items() if value is None]:
        raise InvalidArgument(f"{' and '.join(lacking)} cannot be NULL")
    if on_error not in ON_ERROR:
        raise InvalidArgument(f"on_error is {on_error!r}; it is 'raise' or 'null'")
    if changed_at is not None and not incremental_:
        raise InvalidArgument("changed_at is for incremental predictions", hint="Add incremental => true.")
    made = Relations(name)
    epoch = ask("SELECT modeldb._epoch() AS epoch", [], [])[0]["epoch"]
    scorer, _ = predict.find(model, epoch)
    shape = results.shape(scorer.signature)
    results.class_position(scorer, label)
    rows = made.source(given)
    known = source.columns(rows)
    _check_columns(known, key, columns, changed_at)
    kept = source.pick(known, [*key, *columns], "the key or the columns")
    made.store(source.collated(kept, rows), key, rows, incremental_=incremental_)
    made.view(kept, shape, model, rows, with_error=on_error == "null")
    values = [made.name, made.stored, rows, rows == made.query, model, key, columns, shape]
    ask(_REGISTER, _TYPES, [*values, label, on_error, incremental_, changed_at])
    query = "SELECT (r).* FROM (SELECT modeldb._refresh($1, false, 'session', true) AS r OFFSET 0) AS run"
    return dict(ask(query, ["text"], [made.name])[0])


def _check_columns(known: dict[str, Column], key: list[str], columns: list[str], changed_at: str | None) -> None:
    if not key or None in key:
        raise InvalidSource("the predictions need a key: one or more columns that tell the source's rows apart")
    kept = [*key, *columns]
    if repeated := sorted({name for name in kept if kept.count(name) > 1}):
        raise InvalidSource(f"{', '.join(map(repr, repeated))} is named twice in the key and the columns")
    if taken := [name for name in kept if name in RESERVED]:
        raise InvalidSource(
            f"{', '.join(map(repr, taken))} is the name of a column that the predictions have themselves",
            hint="Give a query as the source, in which the column has another name.",
        )
    if changed_at is not None:
        incremental.check_changed_at(source.pick(known, [changed_at], "changed_at")[0])


class Relations:
    """The relations behind predictions: the view of their name, what they are stored in, a view of a query.

    All names are qualified and quoted.
    """

    def __init__(self, name: str) -> None:
        self.schema, bare = _parse(name)
        if len(f"{bare}_stored".encode()) > _NAME_LIMIT:
            raise NameTaken(f"the name {bare!r} is too long", hint="It may have 56 bytes: '_stored' is added to it.")
        self.name, self.stored, self.query = (self._qualified(bare + end) for end in ("", "_stored", "_source"))
        for relation in (self.name, self.stored):
            _check_free(relation)

    def _qualified(self, name: str) -> str:
        return f"{quote(self.schema)}.{quote(name)}"

    def source(self, given: str) -> str:
        """What to select from; for a query a view is made, in which PostgreSQL keeps what its names meant."""
        resolved = source.resolve(given)
        if not source.is_query(given):
            if (source.relation(resolved) or {}).get("temporary"):
                raise InvalidSource(f"{resolved} is temporary, and goes with the session")
            return resolved
        _check_free(self.query)
        try:
            source.columns(resolved)
            plpy.execute(f"CREATE VIEW {self.query} AS SELECT * FROM {resolved} AS s")
        except plpy.spiexceptions.SyntaxError as error:
            raise InvalidSource(f"the source is not a query: {error}") from None
        except plpy.spiexceptions.InvalidTableDefinition:
            raise InvalidSource("the query reads something temporary, which goes with the session") from None
        return self.query

    def store(self, kept: list[Column], key: list[str], rows: str, *, incremental_: bool) -> None:
        """Make what the predictions are stored in, still empty.

        A stored row has a column ``error`` that is NULL as a rule. That also spares a concurrent refresh a sort of all
        rows: it looks for duplicates among rows without any NULL only, and for the others the unique index does.
        The materialized view names its source, so that a restored dump fills it after what the source is made of.
        """
        call = f"modeldb._score_set({literal(self.name)})"
        query = statements.select(call, kept, incremental.OUTPUTS, hashed=incremental_, source=rows)
        if incremental_:
            # Room for new versions of rows beside the old ones, so that an update leaves the index alone.
            plpy.execute(f"CREATE TABLE {self.stored} WITH (fillfactor = 85) AS {query} WITH NO DATA")
        else:
            plpy.execute(f"CREATE MATERIALIZED VIEW {self.stored} AS {query} WITH NO DATA")
            plpy.execute(f"CREATE UNIQUE INDEX ON {self.stored} ({', '.join(map(quote, key))})")

    def view(self, kept: list[Column], shape: list[str], model: str, rows: str, *, with_error: bool) -> None:
        """Make the view that people and tools read.

        Its condition is always true; it lets PostgreSQL know that the view depends on the source, and takes no lock.
        """
        names = [*(column.name for column in kept), *shape, *(["error"] if with_error else [])]
        plpy.execute(f"""
            CREATE VIEW {self.name} AS
            SELECT {", ".join(f"s.{quote(name)}" for name in names)}, {literal(model_name(model))}::text AS model,
                r.version AS model_version, r.scored_at
            FROM {self.stored} AS s LEFT JOIN modeldb.prediction_set AS r ON r.name = {literal(self.name)}
            WHERE {literal(rows)}::pg_catalog.regclass IS NOT NULL""")
        said = f"Predictions of model {model} for {rows}, made by modeldb.create_predictions()."
        plpy.execute(f"COMMENT ON VIEW {self.name} IS {literal(said)}")


def _parse(name: str) -> tuple[str, str]:
    """Schema and name of a relation that is to be made. Raises NameTaken (MD502)."""
    try:
        parts = ask("SELECT pg_catalog.parse_ident($1) AS parts", ["text"], [name])[0]["parts"]
    except plpy.SPIError as error:
        raise NameTaken(f"{name!r:.100} cannot be the name of a view: {error}") from None
    if len(parts) > 2:
        raise NameTaken(f"{name!r:.100} cannot be the name of a view", hint="Write name or schema.name.")
    if len(parts) == 1:
        parts = [ask("SELECT pg_catalog.current_schema() AS schema", [], [])[0]["schema"], *parts]
    if parts[0] is None:
        raise NameTaken("no schema to create the predictions in is on the search_path", hint="Write schema.name.")
    if parts[0] == "modeldb" or parts[0].startswith("pg_"):
        raise NameTaken(f"predictions cannot be created in the schema {parts[0]}", hint="Write schema.name.")
    return parts[0], parts[1]


def _check_free(relation: str) -> None:
    if found := source.relation(relation):
        raise NameTaken(
            f"there is a relation {found['name']} already",
            hint="Choose another name, or SELECT drop_predictions(name) first.",
        )
