"""What may not be registered: every artifact passes one gate, and what it refuses leaves nothing behind."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from onnx import TensorProto, helper
from support.answers import answer, answers, refusal
from support.onnx_models import UNSAFE, described, linear, serialize, sums, weights

import modeldb
from modeldb.errors import (
    ArtifactTooLarge,
    InvalidArgument,
    InvalidArtifact,
    InvalidName,
    LoadFailed,
    MalformedInput,
    ModeldbError,
    SignatureMismatch,
    SmokeMismatch,
    UnsafeArtifact,
    WrongFeatureCount,
    WrongType,
)

AB = described("a", "b", task="regression")
REGISTER = "SELECT version FROM register_model({name}, %s, %s::jsonb, smoke => %s::jsonb)"


def refused(
    connection: psycopg.Connection,
    artifact: bytes | None,
    signature: dict[str, Any] | None,
    kind: type[ModeldbError],
    *words: str,
    cases: Any = None,
    name: str = "'m'",
) -> str:
    """Assert that registering is refused, and that nothing of it is stored; the HINT."""
    documents = [None if part is None else json.dumps(part) for part in (signature, cases)]
    hint = refusal(connection, REGISTER.format(name=name), kind, *words, values=(artifact, *documents))
    for table in ("model", "model_version", "artifact", "artifact_chunk", "publication", "alias"):
        assert answer(connection, f"SELECT count(*) FROM modeldb.{table}") == 0
    return hint


@pytest.mark.parametrize("make", UNSAFE.values(), ids=UNSAFE.keys())
def test_an_unsafe_artifact(reader: psycopg.Connection, make: Any) -> None:
    refused(reader, make(), AB, UnsafeArtifact, "model 'm'")


@pytest.mark.parametrize(
    "artifact", [b"", b"not onnx", b"\x00" * 100, linear(1.0, 2.0)[:-20], b"\x08\x07", b"\x80\x04\x95pickle."]
)
def test_bytes_that_are_no_model(reader: psycopg.Connection, artifact: bytes) -> None:
    refused(reader, artifact, AB, InvalidArtifact, "model 'm'")


def test_a_model_that_onnxruntime_cannot_load(reader: psycopg.Connection) -> None:
    undefined = serialize([helper.make_node("MatMul", ["X", "missing"], ["Y"])])
    refused(reader, undefined, AB, LoadFailed, "model 'm'", "onnxruntime")
    no_such = serialize([helper.make_node("NoSuchOperator", ["X"], ["Y"])])
    refused(reader, no_such, AB, LoadFailed, "NoSuchOperator")


def inputs(dtype: int, *shape: int | None) -> list[Any]:
    return [helper.make_tensor_value_info("X", dtype, list(shape))]


def given(**parts: Any) -> dict[str, Any]:
    """A complete signature of linear(1, 2), with other parts."""
    entry = {"name": "X", "dtype": "float64", "features": [0, 1], "shape": [2]}
    return (
        described("a", "b", task="regression", inputs=[entry | parts.pop("input", {})], outputs={"value": "Y"}) | parts
    )


TEXT = {"name": "a", "type": "text", "nullable": True}
SIGNATURES: list[tuple[str, dict[str, Any], str]] = [
    ("too few features", described("a", task="regression"), "2"),
    ("too many features", described("a", "b", "c", task="regression"), "3"),
    ("no features", {"task": "regression"}, "no list of features"),
    ("empty features", {"features": []}, "feature"),
    ("features that are no list", {"features": {"a": 1}}, "no list of features"),
    ("a feature without a name", {"features": [{"type": "float8"}, {"name": "b"}]}, "malformed"),
    ("a feature with an unknown key", {"features": [{"name": "a", "kind": 1}, {"name": "b"}]}, "malformed"),
    ("a feature of an unknown type", {"features": [{"name": "a", "type": "vector"}, "b"]}, "'vector'"),
    ("repeated names", described("a", "a"), "repeat: a"),
    ("an unknown part", described("a", "b", labels=[1]), "labels"),
    ("an unknown task", described("a", "b", task="guessing"), "'guessing'"),
    ("a nullable text without its word", described("b") | {"features": [TEXT, "b"]}, "missing"),
    ("a name that is no text", {"features": [{"name": 5}, "b"]}, "name of a feature is 5"),
    ("an empty name", {"features": ["", "b"]}, "name of a feature is ''"),
    ("nullable that is no boolean", {"features": [{"name": "a", "nullable": "yes"}, "b"]}, "nullable of feature 'a'"),
    ("categories that are no list", {"features": [{"name": "a", "categories": 5}, "b"]}, "categories of feature 'a'"),
    ("classes that are no list", given(classes=5), "classes is 5"),
    ("classes that are lists", given(classes=[["a"], ["b"]]), "classes is"),
    ("targets that are no number", given(targets="two"), "targets is 'two'"),
    ("finite that is no boolean", given(finite="yes"), "finite is 'yes'"),
    ("a shape of texts", given(input={"shape": ["2"]}), "shape of input 'X'"),
    ("another number of classes", given(classes=[1, 2], outputs={"probabilities": "Y"}), "2 classes"),
    ("another input", given(input={"name": "Z"}), "'Z'"),
    ("another dtype", given(input={"dtype": "float32"}), "float64"),
    ("an unknown dtype", given(input={"dtype": "float16"}), "float16"),
    ("another shape", given(input={"shape": [3]}), "shape"),
    ("fewer positions", given(input={"features": [0]}), "features"),
    ("a position out of range", given(input={"features": [0, 2]}), "out of range"),
    ("another output", given(outputs={"value": "Z"}), "'Z'"),
    ("an unknown kind of output", given(outputs={"score": "Y"}), "malformed"),
    ("no output", given(outputs={}), "no output"),
    ("no inputs", given(inputs=[]), "input"),
    ("no classes", given(task="classification"), "classes"),
    ("targets below one", given(targets=0), "targets"),
    ("an unknown precision", given(precision="float16"), "precision"),
]  # fmt: skip


@pytest.mark.parametrize(("signature", "words"), [s[1:] for s in SIGNATURES], ids=[s[0] for s in SIGNATURES])
def test_a_signature_that_does_not_fit(reader: psycopg.Connection, signature: dict[str, Any], words: str) -> None:
    refused(reader, linear(1.0, 2.0), signature, SignatureMismatch, "model 'm'", words)


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("[]", "features"),
        ("5", "features"),
        ('"x"', "features"),
        ("null", "features"),
        ('{"features": [5, 6]}', "malformed"),
        ('{"features": [1e400]}', "cannot be read"),
    ],
)
def test_a_signature_that_is_no_object(reader: psycopg.Connection, signature: str, words: str) -> None:
    refusal(reader, REGISTER.format(name="'m'"), SignatureMismatch, words, values=(linear(1.0, 2.0), signature, None))


def smoke(expected: Any, **parts: Any) -> dict[str, Any]:
    return {"rows": [[1.0, 2.0], [3.0, 4.0]], "expected": expected} | parts


SMOKE: list[tuple[str, Any, type[ModeldbError], str]] = [
    ("another value", smoke({"values": [5.0, 11.5]}), SmokeMismatch, "values 1 is 11.0, 11.5 is expected"),
    ("too few values", smoke({"values": [5.0]}), SmokeMismatch, "expect 1 values, the model gives 2"),
    ("NaN expected", smoke({"values": [5.0, None]}), SmokeMismatch, "11.0"),
    ("labels of a regression", smoke({"labels": [1, 2]}), SmokeMismatch, "labels"),
    ("something else", smoke({"decisions": [1, 2]}), SignatureMismatch, "decisions"),
    ("no rows", {"expected": {"values": [5.0]}}, SignatureMismatch, "smoke is malformed"),
    ("no expectation", {"rows": [[1.0, 2.0]]}, SignatureMismatch, "smoke is malformed"),
    ("a list", [], SignatureMismatch, "smoke is malformed"),
    ("texts for numbers", smoke({"values": ["x", "y"]}), SignatureMismatch, "smoke is malformed"),
    ("a ragged list", smoke({"values": [[[1.0], 2.0]]}), SignatureMismatch, "smoke is malformed"),
    ("a word for the tolerance", smoke({"values": [5.0, 11.0]}, tolerance="none"), SignatureMismatch, "tolerance"),
    ("rows that are too short", smoke({"values": [5.0]}, rows=[[1.0]]), WrongFeatureCount, "2 features"),
    ("rows of texts", smoke({"values": [5.0]}, rows=[["x", "y"]]), WrongType, "feature 'a'"),
    ("rows that are no lists", smoke({"values": [5.0]}, rows=[1.0, 2.0]), MalformedInput, "rows"),
    ("no row", smoke({"values": []}, rows=[]), MalformedInput, "rows"),
]


@pytest.mark.parametrize(("cases", "kind", "words"), [s[1:] for s in SMOKE], ids=[s[0] for s in SMOKE])
def test_smoke_rows_that_the_model_does_not_reproduce(
    reader: psycopg.Connection, cases: Any, kind: type[ModeldbError], words: str
) -> None:
    refused(reader, linear(1.0, 2.0), AB, kind, "model 'm'", words, cases=cases)


@pytest.mark.parametrize(
    ("name", "artifact", "signature", "kind"),
    [
        ("'no name'", linear(1.0, 2.0), AB, InvalidName),
        ("''", linear(1.0, 2.0), AB, InvalidName),
        ("NULL", linear(1.0, 2.0), AB, InvalidName),
        ("'m@x'", linear(1.0, 2.0), AB, InvalidName),
        ("'m/1'", linear(1.0, 2.0), AB, InvalidName),
        ("repeat('m', 64)", linear(1.0, 2.0), AB, InvalidName),
        ("'m'", None, AB, InvalidArgument),
        ("'m'", linear(1.0, 2.0), None, InvalidArgument),
    ],
)
def test_a_name_or_argument_that_is_none(
    reader: psycopg.Connection, name: str, artifact: bytes | None, signature: Any, kind: type[ModeldbError]
) -> None:
    refused(reader, artifact, signature, kind, name=name)


def test_an_artifact_beyond_the_limit(scratch: psycopg.Connection, module_db: modeldb.Database) -> None:
    artifact = linear(1.0, 2.0)
    scratch.execute(b"UPDATE modeldb.settings SET max_artifact_bytes = %s", [len(artifact) - 1])
    refusal(
        scratch,
        REGISTER.format(name="'m'"),
        ArtifactTooLarge,
        "model 'm'",
        f"has {len(artifact)} bytes, the limit is {len(artifact) - 1}",
        values=(artifact, json.dumps(AB), None),
    )


def test_an_artifact_of_exactly_the_limit(scratch: psycopg.Connection) -> None:
    artifact = linear(1.0, 2.0)
    scratch.execute(b"UPDATE modeldb.settings SET max_artifact_bytes = %s", [len(artifact)])
    assert answers(scratch, REGISTER.format(name="'m'"), artifact, json.dumps(AB), None) == [1]


def test_no_error_of_the_gate_is_a_bug_of_ours(reader: psycopg.Connection) -> None:
    """Every prefix of a model is refused with an error of modeldb, never with 38000."""
    artifact = sums("a", "b") + weights(1.0).SerializeToString()
    for length in range(0, len(artifact), 7):
        with pytest.raises(psycopg.Error) as caught:
            reader.execute(REGISTER.format(name="'m'").encode(), (artifact[:length], json.dumps(AB), None))
        assert (caught.value.sqlstate or "").startswith("MD3") or caught.value.sqlstate == "MD402", caught.value


def test_the_type_of_a_column_is_the_graphs_own(reader: psycopg.Connection) -> None:
    ints = serialize(
        [helper.make_node("Cast", ["X"], ["Z"], to=TensorProto.DOUBLE), helper.make_node("MatMul", ["Z", "W"], ["Y"])],
        initializers=[weights(1.0, 2.0)],
        inputs=inputs(TensorProto.INT64, None, 2),
    )
    with reader.transaction(force_rollback=True):
        assert answers(reader, REGISTER.format(name="'m'"), ints, json.dumps(described("a", "b")), None) == [1]
        assert answer(reader, "SELECT predict('m', ROW(3, 4))") == 11.0
