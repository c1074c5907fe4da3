"""db.predict() and db.predict_proba(): rows of Python go in, answers come back in their order."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from support.flowers import Garden
from support.models import Trained

import modeldb
from modeldb.errors import (
    InvalidSample,
    MissingFeature,
    ModeldbError,
    NonFiniteFeature,
    NoProbabilities,
    NullFeature,
    UnknownModel,
    UnseenCategory,
    WrongFeatureCount,
    WrongType,
)


@pytest.fixture(scope="module", autouse=True)
def _models(
    module_db: modeldb.Database, garden: Garden, mixed: Trained, cancer: Trained, gaps: Trained, kinds: Trained
) -> None:
    for name, trained in {"mixed": mixed, "cancer": cancer, "gaps": gaps, "kinds": kinds}.items():
        module_db.register(name, trained.estimator, sample=trained.X)


FORMS: dict[str, Any] = {
    "DataFrame": lambda X: X,
    "columns in another order": lambda X: X[X.columns[::-1]],
    "extra columns": lambda X: X.assign(extra="x", more=None),
    "index of texts": lambda X: X.set_axis([f"r{i}" for i in range(len(X))], axis=0),
    "array": lambda X: X.to_numpy(),
    "array in column order": lambda X: np.asfortranarray(X.to_numpy()),
    "array of objects": lambda X: X.to_numpy().astype(object),
    "list of lists": lambda X: X.to_numpy().tolist(),
    "list of tuples": lambda X: [tuple(row) for row in X.to_numpy().tolist()],
    "list of arrays": lambda X: list(X.to_numpy()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form_of_rows(module_db: modeldb.Database, cancer: Trained, form: Any) -> None:
    X = form(cancer.X)
    found = module_db.predict("cancer", X)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, cancer.estimator.predict(cancer.X))
    expected = cancer.estimator.predict_proba(cancer.X)
    np.testing.assert_allclose(module_db.predict_proba("cancer", X), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", ["DataFrame", "array of objects", "list of lists"])
def test_text_and_missing_values(module_db: modeldb.Database, mixed: Trained, form: str) -> None:
    X = FORMS[form](mixed.X)
    np.testing.assert_array_equal(module_db.predict("mixed", X), mixed.estimator.predict(mixed.X))
    expected = mixed.estimator.predict_proba(mixed.X)
    np.testing.assert_allclose(module_db.predict_proba("mixed", X), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, float("nan")])
def test_every_missing_value_is_the_same(module_db: modeldb.Database, gaps: Trained, missing: object) -> None:
    expected = gaps.estimator.predict_proba(pd.DataFrame({"a": [np.nan, 1.0], "b": [1.0, 2.0]}))
    frame = pd.DataFrame({"a": pd.Series([missing, 1.0], dtype=object), "b": [1.0, 2.0]})
    for X in (frame, frame.to_numpy(), [[missing, 1.0], [1.0, 2.0]]):
        np.testing.assert_allclose(module_db.predict_proba("gaps", X), expected, rtol=1e-9, atol=1e-12)


def test_decimals_are_floats(module_db: modeldb.Database, kinds: Trained, garden: Garden) -> None:
    numbers = garden.width.X[:20].round(2)
    expected = garden.width.estimator.predict(numbers)
    decimals = numbers.map(lambda value: Decimal(str(value)))
    for X in (decimals, decimals.to_numpy(), decimals.to_numpy().tolist()):
        np.testing.assert_allclose(module_db.predict("width", X), expected, rtol=1e-9)
    integers = kinds.X.assign(n=[Decimal(int(n)) for n in kinds.X["n"]])
    np.testing.assert_allclose(module_db.predict("kinds", integers), kinds.estimator.predict(kinds.X), rtol=1e-9)
    large = pd.DataFrame([[1.0, 10**20, 1.0]], columns=numbers.columns)
    expected = garden.width.estimator.predict(large.astype(float))
    np.testing.assert_allclose(module_db.predict("width", large), expected, rtol=1e-9)


def test_labels_come_in_the_type_of_the_classes(module_db: modeldb.Database, garden: Garden, gaps: Trained) -> None:
    species = module_db.predict("species", garden.X)
    assert species.dtype == object
    assert species.tolist() == garden.species.estimator.predict(garden.X).tolist()
    filled = gaps.X.fillna(0.0)
    booleans = module_db.predict("gaps", filled)
    assert booleans.dtype == np.bool_
    np.testing.assert_array_equal(booleans, gaps.estimator.predict(filled))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "string", "Int64", "category"])
def test_pandas_types_of_columns(module_db: modeldb.Database, kinds: Trained, dtype: str) -> None:
    columns = {"float32": "y", "int64": "n", "bool": "b", "string": "city", "Int64": "n", "category": "city"}
    X = kinds.X.astype({columns[dtype]: dtype})
    np.testing.assert_allclose(module_db.predict("kinds", X), kinds.estimator.predict(kinds.X), rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 4_999, 5_000, 5_001, 12_345])
def test_any_number_of_rows_keeps_its_order(module_db: modeldb.Database, garden: Garden, rows: int) -> None:
    X = np.random.default_rng(rows).normal(5, 1, (rows, 3))
    expected = garden.width.estimator.predict(pd.DataFrame(X, columns=garden.width.X.columns))
    np.testing.assert_allclose(module_db.predict("width", X), expected, rtol=1e-9, atol=1e-12)


def test_several_targets(db: modeldb.Database, garden: Garden) -> None:
    X = garden.X
    regression = LinearRegression().fit(X, X.to_numpy()[:, :2] * 2)
    db.register("double", regression, sample=X)
    np.testing.assert_allclose(db.predict("double", X), regression.predict(X), rtol=1e-9)
    labels = np.column_stack([garden.species.estimator.predict(X), np.where(X["petal_width"] > 1, "wide", "narrow")])
    classifier = MultiOutputClassifier(LogisticRegression()).fit(X, labels)
    db.register("both", classifier, sample=X)
    assert db.predict("both", X).tolist() == classifier.predict(X).tolist()
    for found, expected in zip(db.predict_proba("both", X), classifier.predict_proba(X), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"city": ["Bonn"], "color": ["red"], "amount": [1.0], "age": [20]} | columns)


REFUSED: list[tuple[str, str, Any, type[ModeldbError], str]] = [
    ("a column is missing", "mixed", frame().drop(columns="age"), MissingFeature, "'age'"),
    ("a column has another name", "width", pd.DataFrame([[1.0, 2.0, 3.0]]), MissingFeature, "'sepal_length'"),
    ("too few columns", "width", [[1.0, 2.0]], WrongFeatureCount, "3 features"),
    ("too many columns", "width", np.ones((2, 4)), WrongFeatureCount, "3 features"),
    ("one dimension", "width", [1.0, 2.0, 3.0], InvalidSample, "1 dimension"),
    ("a scalar", "width", 5.0, InvalidSample, "0 dimension"),
    ("no rows", "width", np.ones((0, 3)), InvalidSample, "no rows"),
    ("no rows in a DataFrame", "mixed", frame()[:0], InvalidSample, "no rows"),
    ("an empty list", "width", [], InvalidSample, "width"),
    ("NaN", "width", [[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]], NullFeature, "'sepal_width'"),
    ("None", "width", [[1.0, None, 3.0]], NullFeature, "'sepal_width'"),
    ("infinity", "width", [[1.0, 2.0, np.inf]], NonFiniteFeature, "'petal_length'"),
    ("minus infinity", "width", np.array([[1.0, -np.inf, 3.0]]), NonFiniteFeature, "'sepal_width'"),
    ("a text for a number", "width", [["a", 2.0, 3.0]], WrongType, "'sepal_length'"),
    ("a text of digits", "width", [["1.5", 2.0, 3.0]], WrongType, "'sepal_length'"),
    ("a number for a text", "mixed", frame(city=[5]), WrongType, "'city'"),
    ("a fraction for an integer", "mixed", frame(age=[20.5]), WrongType, "'age'"),
    ("NULL for an integer", "mixed", frame(age=pd.Series([None], dtype=object)), NullFeature, "'age'"),
    ("a number for a boolean", "kinds", [[1.0, 1.0, 1, 2, "a"]], WrongType, "'b'"),
    ("a timestamp", "mixed", frame(age=[pd.Timestamp("2024-01-01")]), WrongType, "'age'"),
    ("a timestamp for a text", "mixed", frame(city=[pd.Timestamp("2024-01-01")]), WrongType, "'city'"),
    ("an array of dates", "width", np.zeros((1, 3), dtype="datetime64[ns]"), WrongType, "'sepal_length'"),
    ("a date of numpy", "width", [[1.0, np.datetime64("2024-01-01", "ns"), 3.0]], WrongType, "'sepal_width'"),
    ("a duration", "mixed", frame(amount=[timedelta(days=1)]), WrongType, "'amount'"),
    ("bytes", "mixed", frame(color=[b"red"]), WrongType, "'color'"),
    ("a list", "mixed", frame(amount=[[1.0]]), WrongType, "'amount'"),
    ("a Decimal infinity", "width", [[1.0, 2.0, Decimal("Infinity")]], NonFiniteFeature, "'petal_length'"),
    ("a Decimal NaN", "width", [[1.0, Decimal("NaN"), 3.0]], NullFeature, "'sepal_width'"),
    ("a huge integer", "width", [[1.0, 2.0, 10**400]], NonFiniteFeature, "'petal_length'"),
    ("an unseen category", "mixed", frame(city=["Paris"]), UnseenCategory, "'Paris'"),
    ("an unknown model", "wdth", np.ones((1, 3)), UnknownModel, "'wdth'"),
]


@pytest.mark.parametrize(("model", "X", "kind", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_rows_that_do_not_fit(
    module_db: modeldb.Database, model: str, X: Any, kind: type[ModeldbError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        module_db.predict(model, X)
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert model in caught.value.message
    assert "HINT: " in str(caught.value)


def test_a_regression_has_no_probabilities(module_db: modeldb.Database) -> None:
    with pytest.raises(NoProbabilities, match="width"):
        module_db.predict_proba("width", np.ones((1, 3)))


def test_null_where_the_model_gives_null_for_it(db: modeldb.Database, garden: Garden) -> None:
    rows = [[5.0, 3.0, 1.5, 0.5], [5.0, None, 3.0, 1.0], [6.0, 3.0, 5.0, 2.0], [None, 3.0, 5.0, 2.0]]
    known = pd.DataFrame([rows[0], rows[2]], columns=garden.X.columns)
    for name, trained, k in (("width", garden.width, 3), ("species", garden.species, 4)):
        db.register(name, trained.estimator, sample=trained.X)
        db.configure(name, on_null="null")
        found = db.predict(name, [row[:k] for row in rows])
        expected = trained.estimator.predict(known.iloc[:, :k])
        assert found[[0, 2]].tolist() == pytest.approx(expected.tolist())
        assert pd.isna(found[[1, 3]]).all()
        assert pd.isna(db.predict(name, [rows[1][:k]])).all()
    probabilities = db.predict_proba("species", rows)
    np.testing.assert_allclose(probabilities[[0, 2]], garden.species.estimator.predict_proba(known), rtol=1e-9)
    assert np.isnan(probabilities[[1, 3]]).all()
