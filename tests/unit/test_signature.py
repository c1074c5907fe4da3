"""The signature: JSON there and back, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from modeldb.errors import SignatureMismatch
from modeldb.signature import Feature, Input, Outputs, Signature, class_text, features_from_json


def regression(**parts: Any) -> Signature:
    whole = Signature(
        features=(Feature("a"), Feature("b", "int8", True)),
        inputs=(Input("X", "float64", (0, 1), (2,)),),
        task="regression",
        outputs=Outputs(value="Y"),
    )
    return replace(whole, **parts)


SIGNATURES = {
    "regression": regression(),
    "double": regression(precision="float64", finite=False),
    "several targets": regression(targets=2),
    "text": regression(
        features=(Feature("a", "text", True, ("x", "y"), "none"), Feature("b", "float4")),
        inputs=(Input("a", "string", (0,), (1,)), Input("b", "float32", (1,), (1,))),
    ),
    "classes of texts": regression(task="classification", classes=("no", "yes"), outputs=Outputs("L", "P")),
    "classes of booleans": regression(task="classification", classes=(False, True), outputs=Outputs(None, "P")),
    "classes of numbers": regression(task="classification", classes=(0, 1.5), outputs=Outputs("L", label_index=True)),
    "several targets of classes": regression(
        task="classification", classes=(("a", "b"), (0, 1, 2)), targets=2, outputs=Outputs("L", "P", label_index=True)
    ),
    "clusters": regression(task="clustering", outputs=Outputs(label="L")),
}
each_signature = pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES.keys())


@each_signature
def test_json_there_and_back_is_the_same(signature: Signature) -> None:
    text = json.dumps(signature.to_json())
    assert ": null" not in text
    assert Signature.from_json(json.loads(text)) == signature


@pytest.mark.parametrize(
    ("name", "numeric"),
    [
        ("regression", True),
        ("several targets", False),
        ("classes of texts", False),
        ("classes of booleans", True),
        ("classes of numbers", True),
        ("several targets of classes", False),
        ("clusters", True),
    ],
)
def test_what_predict_gives_a_number_for(name: str, numeric: bool) -> None:
    assert SIGNATURES[name].numeric is numeric


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("no features", {"features": ()}, "no features"),
    ("repeated names", {"features": (Feature("a"), Feature("a"))}, "repeat: a"),
    ("an unknown type", {"features": (Feature("a", "vector"), Feature("b"))}, "'vector'"),
    ("a number for a name", {"features": (Feature(5), Feature("b"))}, "name of a feature is 5"),  # type: ignore[arg-type]
    ("no inputs", {"inputs": ()}, "no inputs"),
    ("an unused feature", {"inputs": (Input("X", "float64", (0,), (1,)),)}, "enter no input"),
    ("a negative position", {"inputs": (Input("X", "float64", (0, -1), (2,)),)}, "out of range"),
    ("an unknown dtype", {"inputs": (Input("X", "float16", (0, 1), (2,)),)}, "'float16'"),
    ("an unknown task", {"task": "guess"}, "'guess'"),
    ("no classes", {"task": "classification", "outputs": Outputs("L")}, "classes"),
    ("no targets", {"targets": 0}, "targets"),
    ("targets that are a boolean", {"targets": True}, "targets is True"),
    ("an unknown precision", {"precision": "float16"}, "precision"),
    ("nullable text without its word", {"features": (Feature("a", "text", True), Feature("b"))}, "'missing'"),
]


@pytest.mark.parametrize(("parts", "words"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_a_signature_whose_parts_disagree(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        regression(**parts)
    assert words in caught.value.message


@pytest.mark.parametrize("part", ["features", "inputs", "task", "outputs"])
def test_a_part_that_is_missing_from_json(part: str) -> None:
    document = regression().to_json()
    del document[part]
    with pytest.raises(SignatureMismatch, match=part):
        Signature.from_json(document)


@pytest.mark.parametrize(
    ("item", "feature"),
    [
        ("a", Feature("a")),
        ({"name": "a"}, Feature("a")),
        ({"name": "a", "type": "text", "categories": ["x"]}, Feature("a", "text", False, ("x",))),
        ({"name": "a", "nullable": True}, Feature("a", "float8", True)),
    ],
)
def test_a_feature_may_be_a_bare_name(item: Any, feature: Feature) -> None:
    assert features_from_json([item]) == (feature,)


@pytest.mark.parametrize(
    ("label", "text"),
    [("a", "a"), (1, "1"), (-1, "-1"), (1.0, "1"), (1.5, "1.5"), (True, "true"), (False, "false"), (1e20, str(10**20))],
)
def test_a_class_as_text(label: Any, text: str) -> None:
    assert class_text(label) == text
