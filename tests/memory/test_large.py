"""Large models: that they register and predict, and that a backend's memory stays within its budget."""

from __future__ import annotations

import json
import re

import numpy as np
import psycopg
from onnx import TensorProto, helper, numpy_helper
from support.fixtures import Session

import modeldb

FEATURES = [f"x{i}" for i in range(64)]
MIB = 1 << 20


def wide(megabytes: int, seed: int) -> tuple[bytes, np.ndarray]:
    """The mean of 64 features times a random matrix of so many megabytes; the model and the matrix's row means."""
    columns = megabytes * MIB // (4 * len(FEATURES))
    weights = np.random.default_rng(seed).standard_normal((len(FEATURES), columns), dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weights"], ["wide"]),
            helper.make_node("ReduceMean", ["wide"], ["y"], axes=[1], keepdims=1),
        ],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(FEATURES)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString()), weights.mean(axis=1, dtype=np.float64)


def private_bytes(connection: psycopg.Connection) -> int:
    """Anonymous memory of the backend, asked of the kernel through the server."""
    row = connection.execute("SELECT pg_read_file('/proc/self/status')").fetchone()
    assert row is not None
    found = re.search(r"RssAnon:\s+(\d+) kB", row[0])
    assert found is not None
    return int(found[1]) * 1024


def test_model_of_300_megabytes_registers_and_predicts(db: modeldb.Database, session: Session) -> None:
    artifact, means = wide(300, seed=0)
    sample = np.random.default_rng(1).standard_normal((20, len(FEATURES)), dtype=np.float32)
    version = db.register("big", artifact, sample=sample, feature_names=FEATURES)
    del artifact
    assert db.versions("big")[0]["bytes"] > 300 * MIB
    row = session().execute("SELECT predict('big', %s::float8[])", [sample[0].tolist()]).fetchone()
    assert row is not None
    np.testing.assert_allclose(row[0], sample[0] @ means, atol=1e-4)
    assert version.aliases == ("champion",)


def test_ten_models_of_50_megabytes_stay_within_a_budget_of_200(db: modeldb.Database, session: Session) -> None:
    signature = {"features": [{"name": name, "type": "float4"} for name in FEATURES], "task": "regression"}
    expected = {}
    for number in range(10):
        artifact, means = wide(50, seed=number)
        db.query(
            "SELECT modeldb.register_model(:name, :onnx, CAST(:signature AS jsonb))",
            name=f"m{number}",
            onnx=artifact,
            signature=json.dumps(signature),
        )
        expected[f"m{number}"] = means.sum()
    connection = session()
    connection.execute("SET modeldb.cache_mb = 200")
    ones = [1.0] * len(FEATURES)
    connection.execute("SELECT predict('m0', %s::float8[])", [ones])
    one = private_bytes(connection)
    peaks = []
    for _ in range(3):
        for name, sum_of_means in expected.items():
            row = connection.execute("SELECT predict(%s, %s::float8[])", [name, ones]).fetchone()
            assert row is not None
            np.testing.assert_allclose(row[0], sum_of_means, atol=1e-3)
            peaks.append(private_bytes(connection))
    cached = connection.execute("SELECT count(*), sum(bytes) FROM modeldb.cache()").fetchone()
    assert cached is not None
    assert cached[0] in (3, 4)
    assert cached[1] <= 200 * MIB
    # Four models at 50 MB each, and the transient copies of loading a fifth.
    assert max(peaks) < one + 350 * MIB
    assert peaks[-1] < max(peaks[:10]) + 30 * MIB, "memory grows with every round"
