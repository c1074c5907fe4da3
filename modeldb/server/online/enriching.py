"""enriched(): what a scorer reads, as a query for training and for batches."""

from __future__ import annotations

from modeldb.errors import InvalidArgument, InvalidScorer
from modeldb.server.batch import source


def enriched(name: str, enrich: str) -> str:
    """The body of enriched(). Raises InvalidScorer (MD603)."""
    if name is None or enrich is None:
        raise InvalidArgument("table and enrich cannot be NULL")
    found = source.relation(name)
    if found is None:
        raise InvalidScorer(f"there is no table {name!r:.100}", hint="Name it with its schema.")
    if not source.is_query(enrich):
        raise InvalidScorer(f"enrich is {enrich!r:.100}, not a query")
    query = source.resolve(enrich)
    return f"SELECT new.*, e.* FROM {found['name']} AS new LEFT JOIN LATERAL {query} AS e ON true"
