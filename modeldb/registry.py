"""The registry from Python: a typed client of the SQL functions, which do all the work."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, RowMapping, bindparam, text

from modeldb import artifact as artifacts
from modeldb.documents import to_json
from modeldb.errors import DigestMismatch, MissingPrivilege
from modeldb.prediction import Predictions
from modeldb.signature import Signature


@dataclass(frozen=True)
class ModelVersion:
    """A version as ``register`` returns it."""

    name: str
    version: int
    digest: str
    signature: Signature
    aliases: tuple[str, ...]
    parity: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class Registry(Predictions):
    """Register, promote, roll back, describe."""

    def register(
        self,
        name: str,
        model: Any,
        *,
        sample: Any = None,
        feature_names: Sequence[str] | None = None,
        description: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | Sequence[str] | None = None,
        promote: bool = False,
        task: str | None = None,
        classes: Sequence[Any] | None = None,
    ) -> ModelVersion:
        """Convert a fitted estimator, prove the conversion, and store it as the model's next version.

        model: a fitted scikit-learn, xgboost or lightgbm estimator or pipeline; or ONNX as bytes or a path.
        sample: DataFrame or (n, k) array of training rows, a few thousand: the features' names, types and
        nullability come from it, and the converted model is compared with the estimator on it.
        metrics, params, tags: stored as jsonb; NaN as null, infinities as texts, keys as texts.
        feature_names: names for an array's columns. task, classes: for ONNX whose graph does not tell them.
        The first version becomes champion, a later one when ``promote`` is true; from COMMIT on.
        Raises UnsupportedEstimator (MD301), ParityFailure (MD302), InvalidSample (MD308), InvalidName (MD104), and
        what the server's gate raises (MD303 to MD306, MD402, MD403). Nothing is stored then.
        """
        from modeldb.convert import convert

        made = convert(model, sample, feature_names=feature_names, task=task, classes=classes, name=name)
        documents = {
            "signature": made.signature.to_json(),
            "metrics": metrics or {},
            "params": params or {},
            "tags": tags or {},
            "smoke": made.smoke or None,
            "provenance": {**made.provenance, **git_commit()},
            "parity": made.parity,
            "fingerprint": made.fingerprint,
        }
        values = {
            "name": name,
            "description": description,
            "promote": promote,
            **{key: None if value is None else to_json(value) for key, value in documents.items()},
        }
        with self.transaction() as connection:
            row = register_artifact(connection, made.artifact, values)
            aliases = connection.execute(_ALIASES, {"model": row["model"], "version": row["version"]}).scalar_one()
        return ModelVersion(row["model"], row["version"], row["digest"], made.signature, tuple(aliases), made.parity)

    def models(self) -> list[dict[str, Any]]:
        """Every model with its champion, as the view modeldb.models shows them."""
        return self.query("SELECT * FROM modeldb.models ORDER BY name")

    def versions(self, model: str | None = None) -> list[dict[str, Any]]:
        """The versions of a model, or all; as the view modeldb.versions. Raises UnknownModel (MD101)."""
        found = self.query(
            "SELECT * FROM modeldb.versions WHERE model = coalesce(:model, model) ORDER BY model, version", model=model
        )
        if model is not None and not found:
            self.describe(model)
        return found

    def describe(self, model: str) -> dict[str, Any]:
        """The card of the version that ``name``, ``name@alias`` or ``name/version`` means.

        Raises UnknownModel, UnknownVersion, UnknownAlias, InvalidName (MD101 to MD104).
        """
        card: dict[str, Any] = self.query("SELECT modeldb.describe(:model) AS card", model=model)[0]["card"]
        return card

    def promote(self, model: str, version: int, alias: str = "champion") -> int:
        """Let an alias point at a version, whose smoke rows are replayed in the server first.

        Raises UnknownVersion (MD102), SmokeMismatch (MD403) and what loading raises.
        """
        return self._integer("SELECT modeldb.promote(:model, :version, :alias) AS n", **_without_self(locals()))

    def rollback(self, model: str, alias: str = "champion", steps: int = 1) -> int:
        """Let an alias point at what it pointed at before; the version. Raises NothingToRollBack (MD107)."""
        return self._integer("SELECT modeldb.rollback(:model, :alias, :steps) AS n", **_without_self(locals()))

    def retire(self, model: str, version: int) -> None:
        """Let a version predict no more. Raises VersionInUse (MD105) while an alias points at it."""
        self.query("SELECT modeldb.retire(:model, :version)", model=model, version=version)

    def delete(self, model: str, version: int | None = None, *, cascade: bool = False) -> None:
        """Delete a version; or, with ``cascade``, the model with all versions. Raises VersionInUse (MD105)."""
        self.query("SELECT modeldb.delete_model(:model, :version, :cascade)", **_without_self(locals()))

    def drop_alias(self, model: str, alias: str) -> None:
        """Remove an alias. Raises UnknownAlias (MD103)."""
        self.query("SELECT modeldb.drop_alias(:model, :alias)", model=model, alias=alias)

    def configure(self, model: str, *, on_null: str) -> None:
        """What NULL for a feature that was never missing gives: "raise" (MD204) or "null"."""
        self.query("SELECT modeldb.configure(:model, :on_null)", model=model, on_null=on_null)

    def load(self, model: str) -> bytes:
        """The ONNX bytes of a version, verified. Needs modeldb_publisher. Raises DigestMismatch (MD307)."""
        rows = self.query("SELECT digest, data FROM modeldb.load(:model) ORDER BY seq", model=model)
        artifact = b"".join(bytes(row["data"]) for row in rows)
        if not rows or artifacts.digest(artifact) != rows[0]["digest"]:
            raise DigestMismatch(f"model {model!r}: the stored artifact does not match its digest")
        return artifact

    def _integer(self, sql: str, **values: Any) -> int:
        return int(self.query(sql, **values)[0]["n"])


_ALIASES = text("SELECT aliases FROM modeldb.versions WHERE model = :model AND version = :version")
_REGISTER = """SELECT * FROM modeldb.register_model(:name, {artifact}, CAST(:signature AS jsonb), :description,
    CAST(:metrics AS jsonb), CAST(:params AS jsonb), CAST(:tags AS jsonb), :promote, CAST(:smoke AS jsonb),
    CAST(:provenance AS jsonb), CAST(:parity AS jsonb), CAST(:fingerprint AS jsonb))"""
_PIECE_BYTES = 8 << 20
GIT_SECONDS = 5.0


def register_artifact(connection: Connection, artifact: bytes, values: dict[str, Any]) -> RowMapping:
    """Call register_model() with the artifact; a large one travels in pieces: libpq's time grows with its square.

    Raises MissingPrivilege (MD907) when a large one finds no right to make temporary tables.
    """
    if len(artifact) <= _PIECE_BYTES:
        whole = text(_REGISTER.format(artifact=":artifact")).bindparams(bindparam("artifact", type_=LargeBinary))
        return connection.execute(whole, {"artifact": artifact, **values}).mappings().one()
    _require_temporary_tables(connection)
    with _in_transaction(connection):
        connection.execute(text("CREATE TEMPORARY TABLE modeldb_upload (seq integer, data bytea) ON COMMIT DROP"))
        piece = text("INSERT INTO pg_temp.modeldb_upload VALUES (:seq, :data)").bindparams(
            bindparam("data", type_=LargeBinary)
        )
        view = memoryview(artifact)
        for seq, start in enumerate(range(0, len(artifact), _PIECE_BYTES)):
            connection.execute(piece, {"seq": seq, "data": bytes(view[start : start + _PIECE_BYTES])})
        joined = "(SELECT string_agg(data, '' ORDER BY seq) FROM pg_temp.modeldb_upload)"
        row = connection.execute(text(_REGISTER.format(artifact=joined)), values).mappings().one()
        connection.execute(text("DROP TABLE pg_temp.modeldb_upload"))
        return row


def _require_temporary_tables(connection: Connection) -> None:
    query = """SELECT has_database_privilege(current_database(), 'TEMPORARY') AS allowed,
                      quote_ident(current_database()) AS database, quote_ident(current_user) AS role"""
    found = connection.execute(text(query)).one()
    if not found.allowed:
        raise MissingPrivilege(
            f"the role {found.role} may not make temporary tables, through which an artifact above 8 MiB is sent",
            hint=f"GRANT TEMPORARY ON DATABASE {found.database} TO {found.role}",
        )


def _in_transaction(connection: Connection) -> AbstractContextManager[Any]:
    """A transaction for a connection in AUTOCOMMIT mode, which has none for several statements; else the caller's."""
    driver: Any = connection.connection.driver_connection
    return driver.transaction() if driver.autocommit else nullcontext()


def _without_self(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "self"}


def git_commit() -> dict[str, str]:
    """The commit of the working folder, where there is one."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):  # no git, or one that hangs
        return {}
    return {"git_commit": done.stdout.strip()} if done.returncode == 0 else {}
