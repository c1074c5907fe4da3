"""Samples and columns: types, missing values, encoders, what is left out and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from modeldb.convert import Converted, convert
from modeldb.convert.sample import read
from modeldb.errors import InvalidSample, UnseenCategory
from modeldb.runtime import Model

RNG = np.random.default_rng(11)
N = 300


def texts(*values: Any) -> Any:
    column = np.empty(N, dtype=object)
    column[:] = [values[i] for i in RNG.integers(0, len(values), N)]
    return column


def run(converted: Converted, *columns: Any) -> Any:
    return Model(converted.artifact, converted.signature).predict([np.asarray(column) for column in columns])


@pytest.mark.parametrize(
    ("column", "kind", "nullable"),
    [
        (pd.Series([1.0, 2.0]), "float8", False),
        (pd.Series([1.0, np.nan]), "float8", True),
        (pd.Series([1.0, 2.0], dtype="float32"), "float4", False),
        (pd.Series([1, 2]), "int8", False),
        (pd.Series([1, 2], dtype="uint8"), "int8", False),
        (pd.Series([1, None], dtype="Int64"), "int8", True),
        (pd.Series([True, False]), "bool", False),
        (pd.Series([True, None], dtype="boolean"), "bool", True),
        (pd.Series(["a", "b"]), "text", False),
        (pd.Series(["a", None]), "text", True),
        (pd.Series(["a", np.nan]), "text", True),
        (pd.Series(["a", pd.NA], dtype="string"), "text", True),
        (pd.Series(["a", "b"], dtype="category"), "text", False),
        (pd.Series([3, 4], dtype="category"), "int8", False),
    ],
)
def test_types_of_columns(column: Any, kind: str, nullable: bool) -> None:
    feature = read(pd.DataFrame({"x": column})).features[0]
    assert (feature.type, feature.nullable) == (kind, nullable)


def test_lists_of_rows_may_mix_numbers_and_texts() -> None:
    sample = read([[1, "a", None], [2, None, 3.5]], feature_names=["n", "t", "m"])
    assert [(f.name, f.type, f.nullable) for f in sample.features] == [
        ("n", "int8", False),
        ("t", "text", True),
        ("m", "float8", True),
    ]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (sparse.eye(3).tocsr(), "sparse"),
        (pd.DataFrame({"x": [1, "a"]}), "'x' holds values of the types int, str"),
        (pd.DataFrame({"x": [1j, 2j]}), "complex"),
        (pd.DataFrame({"x": pd.to_timedelta([1, 2])}), "timedelta"),
        (np.zeros((2, 2, 2)), "3 dimensions"),
        ([[1, 2], [3]], "different lengths"),
    ],
)
def test_what_is_no_sample_is_refused(sample: Any, message: str) -> None:
    with pytest.raises(InvalidSample, match=message):
        read(sample)


def test_sample_without_a_column_of_the_model_is_refused() -> None:
    frame = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N)})
    model = LinearRegression().fit(frame, frame["a"])
    with pytest.raises(InvalidSample, match="no column 'b'"):
        convert(model, frame.drop(columns="b"))


def test_columns_are_taken_in_the_models_order_and_extra_ones_ignored() -> None:
    frame = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N)})
    model = LinearRegression().fit(frame, frame["a"] - 2 * frame["b"])
    shuffled = frame.assign(extra=1.0)[["extra", "b", "a"]]
    assert convert(model, shuffled).signature.names == ["a", "b"]


def test_none_and_nan_are_told_apart_as_scikit_learn_does() -> None:
    for absent in (None, np.nan):
        frame = pd.DataFrame({"t": texts("x", "y", absent)}, dtype=object)
        y = (frame["t"] == "x").astype(int)
        for steps in (
            [OneHotEncoder()],
            [SimpleImputer(missing_values=absent, strategy="constant", fill_value="none"), OneHotEncoder()],
            [SimpleImputer(missing_values=absent, strategy="most_frequent", add_indicator=False), OrdinalEncoder()],
        ):
            converted = convert(make_pipeline(*steps, LogisticRegression()).fit(frame, y), frame)
            assert converted.parity["worst_relative"] < 1e-12


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.3),
        OneHotEncoder(handle_unknown="ignore", drop="first"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        TargetEncoder(target_type="continuous"),
    ],
)
def test_unseen_categories_become_what_the_encoder_makes_of_them(encoder: Any) -> None:
    frame = pd.DataFrame({"t": texts("a", "b", "c"), "u": texts("a", "d"), "n": RNG.integers(0, 4, N)})
    y = frame["n"] + (frame["t"] == "b")
    model = make_pipeline(encoder, Ridge()).fit(frame, y)
    converted = convert(model, frame)
    strange = pd.DataFrame({"t": ["new", "a"], "u": ["b", "d"], "n": [77, 1]})
    found = run(converted, strange["t"].to_numpy(object), strange["u"].to_numpy(object), strange["n"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.predict(strange)
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)


def test_strict_encoder_refuses_unseen_texts_and_numbers() -> None:
    frame = pd.DataFrame({"t": texts("a", "b"), "n": RNG.integers(0, 4, N)})
    model = make_pipeline(OneHotEncoder(), Ridge()).fit(frame, frame["n"])
    converted = convert(model, frame)
    with pytest.raises(UnseenCategory, match="'t' is 'c'"):
        run(converted, np.array(["c"], dtype=object), np.array([1]))
    with pytest.raises(UnseenCategory, match="'n' is 9"):
        run(converted, np.array(["a"], dtype=object), np.array([9]))


def test_texts_alone_make_one_feature() -> None:
    notes = [" ".join(RNG.choice(["storm", "crew", "gate", "late"], 4)) for _ in range(N)]
    model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(notes, ["storm" in note for note in notes])
    signature = convert(model, notes, feature_names=["note"]).signature
    assert [(f.name, f.type) for f in signature.features] == [("note", "text")]


def test_the_text_that_stands_for_a_missing_one_is_not_in_the_sample() -> None:
    frame = pd.DataFrame({"t": texts("\u2400", "b", None)})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, frame["t"] == "b")
    converted = convert(model, frame)
    assert converted.signature.features[0].missing not in ("\u2400", "b", None)


def test_named_columns_reach_their_transformers_by_name() -> None:
    frame = pd.DataFrame({"b": RNG.normal(size=N), "t": texts("x", "y"), "a": RNG.normal(size=N)})
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["t"]), ("passthrough", ["a"])), Ridge())
    signature = convert(model.fit(frame, frame["a"]), frame).signature
    assert signature.names == ["t", "a"]
