"""What a drain leaves on record, as modeldb's own: parked failures, activity, and the events of what was scored.

Last comes the row of modeldb.scorer, which the drains of a scorer take one after the other: so positions are in the
order of the commits, without gaps, and whoever has read up to one has missed nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from modeldb.errors import UnknownScorer
from modeldb.runtime import Array
from modeldb.server.backend import ask
from modeldb.server.online.activity import BUCKETS, write
from modeldb.server.online.entries import Parked
from modeldb.server.online.microbatch import Scored
from modeldb.server.online.scorer import TableScorer

LONGEST = 7999
"""Bytes of a notification's payload, at most."""
_ROWS = 250  # of a notification, to begin with

_RECOVERED = "DELETE FROM modeldb.scorer_failures WHERE scorer = $1 AND key = ANY ($2::jsonb[])"
_PARK = """
    INSERT INTO modeldb.scorer_failures AS f (scorer, key, error, attempts, queued_at)
    SELECT $1, p.key::jsonb, p.error, p.attempts, p.queued_at::timestamptz
    FROM unnest($2, $3, $4, $5) AS p (key, error, attempts, queued_at) ORDER BY p.key
    ON CONFLICT (scorer, key) DO UPDATE SET
        error = excluded.error, attempts = excluded.attempts, queued_at = excluded.queued_at,
        failed_at = excluded.failed_at"""
_ADVANCE = "UPDATE modeldb.scorer SET position = position + $2 WHERE id = $1 RETURNING position"
_EVENT = """
    INSERT INTO modeldb.scored_batch (scorer, last, version, scored_at, keys, scores, labels)
    VALUES ($1, $2, $3, clock_timestamp(), $4::jsonb, modeldb._numbers($5, $6), $7::text[])"""
_SECRET = "SELECT relrowsecurity AS secret FROM pg_class WHERE oid = $1"
_NOTIFY = """
    SELECT pg_notify('modeldb_scored', payload) FROM unnest($1) AS payload
    WHERE pg_notification_queue_usage() < 0.5"""


def activity(scorer: TableScorer, ages: Array, errors: int, began: float) -> None:
    """Count entries that were scored, by how long ago each was enqueued; ages: seconds at the time ``began``."""
    if errors or len(ages):
        micros = np.maximum((ages + (time.monotonic() - began)) * 1e6, 1.0)
        buckets = np.clip(np.ceil(4 * np.log2(micros)).astype(np.int64) - 1, 0, BUCKETS - 1)
        write(scorer.id, errors, np.bincount(buckets, minlength=BUCKETS).tolist())


def failures(scorer: TableScorer, parked: Sequence[Parked], settled: Sequence[str]) -> None:
    """Keep what was given up; forget the failures of keys that are settled: scored, excluded or gone."""
    if settled and ask("SELECT FROM modeldb.scorer_failures WHERE scorer = $1 LIMIT 1", ["integer"], [scorer.id]):
        ask(_RECOVERED, ["integer", "text[]"], [scorer.id, list(settled)])
    if parked:
        last = {entry.key: entry for entry in parked}.values()  # several entries may have meant the same row
        columns = zip(*[(entry.key, entry.error, entry.attempts, entry.queued_at) for entry in last], strict=True)
        types = ["integer", "text[]", "text[]", "integer[]", "text[]"]
        ask(_PARK, types, [scorer.id, *map(list, columns)])


def events(scorer: TableScorer, version: int, scored: Sequence[Scored]) -> None:
    """Write the events and notify of them. Raises UnknownScorer (MD601) if the scorer was detached meanwhile.

    Every role of the database may listen: of a table with row-level security, keys and scores are left out.
    """
    secret = bool(scored) and ask(_SECRET, ["oid"], [scorer.relation])[0]["secret"]
    for part in scored:
        found = ask(_ADVANCE, ["integer", "bigint"], [scorer.id, len(part.keys)])
        if not found:
            raise UnknownScorer(f"the scorer of {scorer.name} was detached")
        position = found[0]["position"]
        values = [scorer.id, position, version, f"[{','.join(part.keys)}]", part.score_array(), len(part.keys)]
        ask(_EVENT, ["integer", "bigint", "integer", "text", "bytea", "integer", "text"], [*values, part.label_array()])
        told = (
            [_payload(scorer, version, position, "null", "null")]
            if secret
            else payloads(scorer, version, position, part)
        )
        ask(_NOTIFY, ["text[]"], [list(told)])


def payloads(scorer: TableScorer, version: int, last: int, scored: Scored) -> Iterator[str]:
    """Notifications of rows of which the last has that position, each of as many rows as its length allows.

    A row whose key is too long goes without: keys is null then, and its event has it.
    """
    # JSON has no way to write infinity and NaN: such a score is null here, and the event has it.
    values = np.where(scored.answered, scored.scores, np.nan)
    scores = orjson.dumps(values.tolist())[1:-1].decode().split(",")
    at, rows = 0, _ROWS
    while at < len(scores):
        end = min(at + rows, len(scores))
        position, listed = last - len(scores) + end, f"[{','.join(scores[at:end])}]"
        payload = _payload(scorer, version, position, f"[{','.join(scored.keys[at:end])}]", listed)
        if len(payload.encode()) > LONGEST:
            if end - at > 1:
                rows = (end - at) // 2
                continue
            payload = _payload(scorer, version, position, "null", listed)
        yield payload
        at = end


def _payload(scorer: TableScorer, version: int, position: int, keys: str, scores: str) -> str:
    head = f'{{"table":{_json(scorer.table)},"into":{_json(scorer.into)},"version":{version},"position":{position}'
    return f'{head},"keys":{keys},"scores":{scores}}}'


def _json(text: str) -> str:
    return orjson.dumps(text).decode()
