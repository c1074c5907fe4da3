"""What an artifact must pass before it is stored, and a version before it is promoted."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
import orjson

from modeldb import artifact as artifacts
from modeldb.errors import ModeldbError, SignatureMismatch, SmokeMismatch
from modeldb.runtime import Prediction
from modeldb.server import boundary, sessions
from modeldb.server.backend import ask
from modeldb.server.rows import predict_many, to_columns
from modeldb.server.scorer import Scorer
from modeldb.signature import Signature, class_text

DEFAULT_TOLERANCE = 1e-5


def gate(model: str, artifact: bytes, signature: str, smoke: str | None) -> str:
    """Check an artifact and complete its signature. The session that this opens stays cached under its digest.

    Raises InvalidArtifact (MD303), UnsafeArtifact (MD304), SignatureMismatch (MD305), LoadFailed (MD402) and
    SmokeMismatch (MD403).
    """
    try:
        graph = artifacts.inspect(artifact)
        complete = artifacts.complete(graph, _read(signature, "the signature"))
        artifacts.check_fit(graph, complete)
        del graph
        digest = hashlib.sha256(artifact).hexdigest()
        if digest not in sessions.loaded:
            started = time.monotonic()
            sessions.make_room(len(artifact))
            session = sessions.open_watched(artifact)
            sessions.keep(digest, session, len(artifact), time.monotonic() - started)
        if smoke is not None:
            compare(Scorer(sessions.loaded[digest], complete, model, False), _read(smoke, "smoke"))
    except ModeldbError as error:
        boundary.fail(error, model)
    return orjson.dumps(complete.to_json()).decode()


def _read(document: str, what: str) -> Any:
    """A jsonb document. Raises SignatureMismatch (MD305) for a number that no float64 can hold."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise SignatureMismatch(f"{what} cannot be read: {error}") from None


def replay(model: str, version: int) -> None:
    """Run a version on its stored smoke rows, if it has any; in any case it must load. Raises SmokeMismatch (MD403)."""
    query = """SELECT v.digest, v.signature, s.cases FROM modeldb.model_version v
               LEFT JOIN modeldb.smoke s USING (model, version) WHERE v.model = $1 AND v.version = $2"""
    stored = ask(query, ["text", "integer"], [model, version])[0]
    try:
        loaded = sessions.get(stored["digest"])
        signature = Signature.from_json(orjson.loads(stored["signature"]))
        if stored["cases"] is not None:
            compare(Scorer(loaded, signature, model, False), orjson.loads(stored["cases"]))
    except ModeldbError as error:
        boundary.fail(error, f"{model}/{version}")


def compare(scorer: Scorer, smoke: Any) -> None:
    """Raise SmokeMismatch (MD403) unless the smoke rows give what is expected of them."""
    if not isinstance(smoke, dict) or not isinstance(smoke.get("expected"), dict) or "rows" not in smoke:
        raise _malformed('{"rows": [[...]], "expected": {"labels": [...]}} is wanted')
    tolerance = smoke.get("tolerance") or DEFAULT_TOLERANCE
    if not isinstance(tolerance, int | float):
        raise _malformed(f"the tolerance is {tolerance!r}")
    found = predict_many(scorer, to_columns(scorer.signature, smoke["rows"]))
    for name, expected in smoke["expected"].items():
        if expected is not None:
            _compare_one(name, expected, _of(found, name), tolerance)


def _malformed(why: str) -> SignatureMismatch:
    return SignatureMismatch(f"smoke is malformed: {why}")


def _of(found: Prediction, name: str) -> Any:
    if name not in ("labels", "values", "probabilities"):
        raise SignatureMismatch(f"smoke expects {name!r}; it may expect labels, values and probabilities")
    value = getattr(found, name)
    if value is None:
        raise SmokeMismatch(f"the smoke rows expect {name}, the model gives none")
    return value


def _compare_one(name: str, expected: Any, given: Any, tolerance: float) -> None:
    if name == "labels":
        wanted = [class_text(label) for label in np.asarray(expected, dtype=object).ravel()]
        got = [class_text(label) for label in np.asarray(given, dtype=object).ravel()]
        _count(name, len(wanted), len(got))
        for at, (label, other) in enumerate(zip(wanted, got, strict=True)):
            if label != other:
                raise _mismatch(name, at, label, other)
        return
    try:
        numbers, results = _flat(expected), _flat(given)
    except (TypeError, ValueError) as unreadable:
        raise _malformed(f"{name}: {unreadable}") from None
    _count(name, numbers.size, results.size)
    scale = np.maximum(np.abs(numbers), 1.0 if name == "probabilities" else np.abs(numbers).max(initial=1e-12))
    error = np.nan_to_num(np.abs(numbers - results) / scale, nan=0.0)
    error[np.isnan(numbers) != np.isnan(results)] = np.inf
    if (error > tolerance).any():
        at = int(error.argmax())
        raise _mismatch(name, at, numbers[at], results[at])


def _count(name: str, expected: int, given: int) -> None:
    if expected != given:
        raise SmokeMismatch(f"the smoke rows expect {expected} {name}, the model gives {given}")


def _flat(values: Any) -> np.ndarray[Any, Any]:
    """All numbers in order; of several targets, whose probabilities differ in width, one target after another."""
    parts = values if isinstance(values, list) else [values]
    return np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])


def _mismatch(name: str, at: int, expected: Any, given: Any) -> SmokeMismatch:
    return SmokeMismatch(
        f"the version does not reproduce its smoke rows on this server: {name} {at} is {given}, {expected} is expected"
    )
