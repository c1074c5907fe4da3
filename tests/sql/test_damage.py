"""What storage, a restore or a meddling superuser has changed does not predict."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from onnx import TensorProto, helper
from support.answers import answer, refusal
from support.fixtures import Session
from support.onnx_models import serialize

import modeldb
from modeldb.errors import DigestMismatch, SmokeMismatch


def large() -> bytes:
    """A model of two and a half chunks that predicts the sum of its two features."""
    weights = np.zeros((2, 160_000))
    weights[:, 0] = 1.0
    tensor = helper.make_tensor("W", TensorProto.DOUBLE, weights.shape, weights.tobytes(), raw=True)
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    multiply = helper.make_node("MatMul", ["X", "W"], ["all"])
    pick = helper.make_node("Gather", ["all", "first"], ["Y"], axis=1)
    return serialize([multiply, pick], initializers=[tensor, first])


@pytest.fixture
def sql(db: modeldb.Database, session: Session) -> psycopg.Connection:
    db.register("m", large(), sample=np.arange(20.0).reshape(10, 2), feature_names=["a", "b"])
    connection = session()
    assert answer(connection, "SELECT count(*) FROM artifact_chunk") == 3
    assert answer(connection, "SELECT predict('m', ROW(1, 2))") == 3.0
    return connection


CHUNK = "modeldb.artifact_chunk"
DAMAGE = {
    "a changed byte": f"UPDATE {CHUNK} SET data = set_byte(data, 99, get_byte(data, 99) # 1) WHERE seq = 1",
    "a missing last chunk": "DELETE FROM modeldb.artifact_chunk WHERE seq = 2",
    "a missing first chunk": "DELETE FROM modeldb.artifact_chunk WHERE seq = 0",
    "no chunk": "DELETE FROM modeldb.artifact_chunk",
    "swapped chunks": f"UPDATE {CHUNK} SET seq = seq + 10; UPDATE {CHUNK} SET seq = 12 - seq",
    "a chunk too many": "INSERT INTO modeldb.artifact_chunk SELECT digest, 3, '\\x00' FROM modeldb.artifact",
    "an emptied chunk": "UPDATE modeldb.artifact_chunk SET data = '' WHERE seq = 0",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_artifact_never_predicts_nor_leaves_the_database(
    db: modeldb.Database, sql: psycopg.Connection, session: Session, damage: str
) -> None:
    sql.execute(damage.encode())
    fresh = session()
    for call in ("predict('m', ROW(1, 2))", "predict_json('m/1', ROW(1, 2))", "predict('m', ROW(1, 2))"):
        hint = refusal(fresh, f"SELECT {call}", DigestMismatch, "does not match its digest")
        assert "register the model again" in hint
    refusal(fresh, "SELECT promote('m', 1, 'challenger')", DigestMismatch, "does not match its digest")
    db.engine.dispose()
    with pytest.raises(DigestMismatch) as caught:
        db.predict("m", [[1.0, 2.0]])
    assert "DETAIL: " in str(caught.value)
    assert "HINT: " in str(caught.value)
    with pytest.raises(DigestMismatch):
        db.load("m")


def test_a_digest_that_points_at_another_artifact_does_not_help(sql: psycopg.Connection, session: Session) -> None:
    sql.execute(
        b"""INSERT INTO modeldb.artifact SELECT encode(sha256('other'), 'hex'), bytes FROM modeldb.artifact;
            INSERT INTO modeldb.artifact_chunk SELECT encode(sha256('other'), 'hex'), seq, data
            FROM modeldb.artifact_chunk;
            UPDATE modeldb.model_version SET digest = encode(sha256('other'), 'hex')"""
    )
    refusal(session(), "SELECT predict('m', ROW(1, 2))", DigestMismatch, "does not match its digest")


@pytest.mark.parametrize("alias", ["champion", "challenger"])
def test_a_version_that_does_not_reproduce_its_smoke_rows_is_not_promoted(
    db: modeldb.Database, sql: psycopg.Connection, alias: str
) -> None:
    db.register("m", large(), sample=np.ones((5, 2)), feature_names=["a", "b"])
    sql.execute(b"UPDATE modeldb.smoke SET cases = jsonb_set(cases, '{expected,values,0}', '2.5') WHERE version = 2")
    refusal(sql, f"SELECT promote('m', 2, '{alias}')", SmokeMismatch, "m/2", "2.5 is expected")
    with pytest.raises(SmokeMismatch, match=r"2\.5 is expected"):
        db.promote("m", 2, alias)
    assert answer(sql, "SELECT array_agg(version) FROM alias") == [1]


def test_a_rollback_replays_the_smoke_rows_too(db: modeldb.Database, sql: psycopg.Connection) -> None:
    db.register("m", large(), sample=np.ones((5, 2)), feature_names=["a", "b"], promote=True)
    sql.execute(b"UPDATE modeldb.smoke SET cases = jsonb_set(cases, '{expected,values,0}', '-1') WHERE version = 1")
    refusal(sql, "SELECT rollback('m')", SmokeMismatch, "m/1")
    assert answer(sql, "SELECT version FROM aliases") == 2
