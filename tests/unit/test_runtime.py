"""Artifact and arrays in, arrays out: what is checked, how tensors are made, how outputs are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from support.onnx_models import described, linear, serialize

from modeldb.artifact import complete, inspect
from modeldb.errors import LoadFailed, ModeldbError, NonFiniteFeature, NullFeature, UnseenCategory, WrongType
from modeldb.runtime import Model, check, load_options, open_session
from modeldb.signature import Feature, Input, Outputs, Signature


def of(feature: Feature, finite: bool = True) -> Signature:
    entry = Input("X", "string" if feature.type == "text" else "float64", (0,), (1,))
    return Signature((feature,), (entry,), "regression", Outputs(value="Y"), finite=finite)


def texts(*values: str | None) -> Any:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


NUMBER, GAPPY = of(Feature("a")), of(Feature("a", nullable=True))
WORD = of(Feature("a", "text", categories=("x", "y")))
GAPPY_WORD = of(Feature("a", "text", nullable=True, missing=""))
REFUSED: list[tuple[str, Signature, Any, type[ModeldbError], str]] = [
    ("NaN", NUMBER, np.array([1.0, np.nan]), NullFeature, "'a' is NULL or NaN in row 2"),
    ("infinity", NUMBER, np.array([np.inf, 1.0]), NonFiniteFeature, "'a' is infinite in row 1"),
    ("infinity where gaps may be", GAPPY, np.array([np.nan, -np.inf]), NonFiniteFeature, "row 2"),
    ("texts for numbers", NUMBER, texts("1"), WrongType, "'a' is float8"),
    ("None", WORD, texts("x", None), NullFeature, "'a' is NULL in row 2"),
    ("an unseen category", WORD, texts("x", "z"), UnseenCategory, "'a' is 'z' in row 2"),
]


@pytest.mark.parametrize(
    ("signature", "column", "kind", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_values_that_a_model_cannot_take(
    signature: Signature, column: Any, kind: type[ModeldbError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        check(signature, [column])
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("signature", "column"),
    [
        (NUMBER, np.array([1.0, -1e308])),
        (NUMBER, np.array([1, 2])),
        (NUMBER, np.array([True, False])),
        (GAPPY, np.array([np.nan, 1.0])),
        (of(Feature("a"), finite=False), np.array([np.inf, -np.inf])),
        (WORD, texts("x", "y")),
        (GAPPY_WORD, texts(None, "anything")),
    ],
)
def test_values_that_a_model_can_take(signature: Signature, column: Any) -> None:
    check(signature, [column])


def test_a_regression() -> None:
    model = Model(linear(1.0, 10.0), complete(inspect(linear(1.0, 10.0)), described("a", "b")))
    found = model.predict([np.array([1.0, 2.0]), np.array([3, 4])])
    assert (found.labels, found.probabilities) == (None, None)
    np.testing.assert_array_equal(found.values, [31.0, 42.0])
    assert found.raw["Y"].shape == (2, 1)


def classifier(classes: list[Any], **outputs: Any) -> Model:
    """Probabilities are the two features; the label is the larger one's position."""
    nodes = [helper.make_node("Identity", ["X"], ["P"]), helper.make_node("ArgMax", ["X"], ["L"], axis=1, keepdims=0)]
    found = [
        helper.make_tensor_value_info("L", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("P", TensorProto.DOUBLE, [None, 2]),
    ]
    artifact = serialize(nodes, outputs=found)
    signature = described("a", "b", task="classification", classes=classes, outputs=outputs)
    return Model(artifact, complete(inspect(artifact), signature))


@pytest.mark.parametrize(
    "outputs",
    [
        {"probabilities": "P"},
        {"label": "L", "label_index": True},
        {"label": "L", "probabilities": "P", "label_index": True},
    ],
)
def test_labels_by_probabilities_or_by_position(outputs: dict[str, Any]) -> None:
    found = classifier(["no", "yes"], **outputs).predict([np.array([0.9, 0.2]), np.array([0.1, 0.8])])
    assert found.labels is not None
    assert found.labels.tolist() == ["no", "yes"]
    if "probabilities" in outputs:
        np.testing.assert_array_equal(found.probabilities, [[0.9, 0.1], [0.2, 0.8]])


def test_labels_as_the_graph_gives_them() -> None:
    found = classifier([0, 1], label="L").predict([np.array([0.9, 0.2]), np.array([0.1, 0.8])])
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1]


def test_a_float4_feature_is_rounded_whatever_the_tensor() -> None:
    signature = complete(inspect(linear(1.0)), {"features": [{"name": "a", "type": "float4"}]})
    found = Model(linear(1.0), signature).predict([np.array([0.1])])
    assert found.values is not None
    assert found.values[0] == np.float64(np.float32(0.1))


def test_a_missing_text_enters_as_the_graphs_word_for_it() -> None:
    artifact = serialize(
        [helper.make_node("LabelEncoder", ["T"], ["Y"], domain="ai.onnx.ml", keys_strings=["none", "x"],
                          values_floats=[7.0, 1.0], default_float=0.0)],
        inputs=[helper.make_tensor_value_info("T", TensorProto.STRING, [None, 1])],
        outputs=[helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])],
    )  # fmt: skip
    word = {"features": [{"name": "t", "type": "text", "nullable": True, "missing": "none"}]}
    found = Model(artifact, complete(inspect(artifact), word)).predict([texts(None, "x", "other")])
    np.testing.assert_array_equal(found.values, [7.0, 1.0, 0.0])


def test_a_session_starts_no_threads_and_reads_no_files() -> None:
    options = load_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    folder = options.get_session_config_entry("session.model_external_initializers_file_folder_path")
    assert folder.startswith("/nonexistent")


def test_what_onnxruntime_cannot_load() -> None:
    with pytest.raises(LoadFailed, match="onnxruntime"):
        open_session(b"not onnx")
