"""Artifacts that this backend has loaded: by digest, least recently used out first, within a budget of bytes."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import plpy

from modeldb.errors import DigestMismatch, LoadFailed
from modeldb.runtime import load_options, open_session
from modeldb.server.backend import ask, check_for_interrupts, watchdog

DEFAULT_CACHE_MB = 256


@dataclass
class Loaded:
    """A session with what it took; ``scorers`` belong to it and leave the cache with it."""

    digest: str
    session: Any
    bytes: int
    seconds: float
    hits: int = 0
    scorers: dict[Any, Any] = field(default_factory=dict)

    def close(self) -> None:
        """Free the session now: scorers refer to it and to each other, and are still held by those that used them."""
        for scorer, _ in self.scorers.values():
            vars(scorer).clear()
        self.scorers.clear()
        self.session = None


loaded: OrderedDict[str, Loaded] = OrderedDict()
evictions = 0
"""Counts evictions, so that holders of a Loaded know when to ask again."""


def get(digest: str) -> Loaded:
    """The session of an artifact that the caller was authorised for, loaded if need be.

    Raises DigestMismatch (MD307) and LoadFailed (MD402).
    """
    found = loaded.get(digest)
    if found is None:
        ask("SELECT modeldb._load($1)", ["text"], [digest])
        found = loaded[digest]
    loaded.move_to_end(digest)
    return found


def load(digest: str) -> None:
    """The body of _load(): read an artifact as the owner and keep its session."""
    if digest in loaded:
        return
    started = time.monotonic()
    artifact = read(digest)
    make_room(len(artifact))
    keep(digest, open_watched(artifact), len(artifact), time.monotonic() - started)


def keep(digest: str, session: Any, size: int, seconds: float) -> None:
    loaded[digest] = Loaded(digest, session, size, seconds)


def open_watched(artifact: bytes) -> Any:
    """Open a session so that a cancellation ends it. Raises LoadFailed (MD402)."""
    options = load_options()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        options.set_load_cancellation_flag(True)

    watchdog.wake()
    watchdog.stop = stop
    try:
        return open_session(artifact, options)
    except LoadFailed:
        if not stopped:
            raise
    finally:
        watchdog.stop = None
        check_for_interrupts()
    return open_watched(artifact)  # what had stopped it was taken back


def read(digest: str) -> bytes:
    """The bytes of an artifact, verified. Raises DigestMismatch (MD307)."""
    size = ask("SELECT bytes FROM modeldb.artifact WHERE digest = $1", ["text"], [digest])
    query = "SELECT data FROM modeldb.artifact_chunk WHERE digest = $1 ORDER BY seq"
    pieces = [row["data"] for row in plpy.cursor(plpy.prepare(query, ["text"]), [digest])]
    artifact = b"".join(pieces)
    if not size or hashlib.sha256(artifact).hexdigest() != digest:
        expected = size[0]["bytes"] if size else 0
        raise DigestMismatch(
            f"the stored artifact {str(digest)[:12]} does not match its digest",
            detail=f"{len(pieces)} chunks with {len(artifact)} of {expected} bytes were read.",
        )
    return artifact


def make_room(size: int) -> None:
    """Evict until ``size`` more bytes fit into the budget; a model larger than the budget is kept alone."""
    global evictions
    budget = _budget()
    while loaded and sum(entry.bytes for entry in loaded.values()) + size > budget:
        loaded.popitem(last=False)[1].close()
        evictions += 1


def _budget() -> int:
    setting = ask("SELECT pg_catalog.current_setting('modeldb.cache_mb', true) AS mb", [], [])[0]["mb"]
    return (int(setting) if re.fullmatch("[0-9]{1,9}", setting or "") else DEFAULT_CACHE_MB) << 20


def cache() -> Iterator[tuple[str, int, int, float]]:
    """The rows of modeldb.cache(), most recently used first."""
    return iter([(digest, e.bytes, e.hits, e.seconds) for digest, e in reversed(loaded.items())])
