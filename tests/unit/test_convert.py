"""convert(): the interface, on small models of each task."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, IsolationForest, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from modeldb.artifact import check_fit, inspect
from modeldb.convert import Converted, convert
from modeldb.errors import InvalidSample, ParityFailure, UnsupportedEstimator
from modeldb.runtime import Model

RNG = np.random.default_rng(7)
X = RNG.normal(size=(300, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0] + RNG.normal(size=300) * 0.1
LABELS = np.where(Y > 0.5, "high", np.where(Y < -0.5, "low", "middle"))


def answers(converted: Converted, columns: list[Any]) -> Any:
    return Model(converted.artifact, converted.signature).predict(columns)


def test_scaled_logistic_regression_is_four_nodes_in_double() -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y > 0)
    converted = convert(estimator, X)
    graph = inspect(converted.artifact).graph
    assert [node.op_type for node in graph.node] == ["Sub", "Div", "Gemm", "Sigmoid"]
    assert converted.signature.precision == "float64"
    assert converted.signature.classes == (False, True)
    check_fit(inspect(converted.artifact), converted.signature)
    got = answers(converted, list(X.T)).probabilities
    np.testing.assert_allclose(got, estimator.predict_proba(X), atol=1e-14)


def test_text_labels_come_from_the_classes() -> None:
    estimator = GradientBoostingClassifier(n_estimators=5).fit(X, LABELS)
    converted = convert(estimator, X)
    assert converted.signature.classes == ("high", "low", "middle")
    assert answers(converted, list(X.T)).labels.tolist() == estimator.predict(X).tolist()


@pytest.mark.parametrize(
    ("estimator", "task"),
    [
        (LinearRegression(), "regression"),
        (RandomForestRegressor(5), "regression"),
        (KMeans(3, n_init=1, random_state=0), "clustering"),
        (IsolationForest(n_estimators=10, random_state=0), "outlier"),
        (StandardScaler(), "transformation"),
    ],
)
def test_each_task_converts_and_every_part_is_json(estimator: Any, task: str) -> None:
    converted = convert(estimator.fit(X, Y), X, feature_names=["a", "b", "c", "d"])
    assert converted.signature.task == task
    assert converted.signature.names == ["a", "b", "c", "d"]
    parts = [converted.smoke, converted.parity, converted.fingerprint, converted.provenance]
    assert json.loads(json.dumps([converted.signature.to_json(), *parts], allow_nan=False))
    assert converted.parity["worst_relative"] < 1e-9


def frame() -> pd.DataFrame:
    data = pd.DataFrame(X[:, :2].copy(), columns=["a", "b"])
    data["spare"] = 1.0
    data["city"] = RNG.choice(["Rome", "Oslo", "Lima"], len(data))
    data["grade"] = RNG.choice(["x", "y", None], len(data))
    data.loc[::5, "b"] = np.nan
    return data


def mixed_pipeline(handle_unknown: str = "ignore") -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown=handle_unknown))
    columns = ColumnTransformer([("numbers", numbers, ["a", "b"]), ("texts", texts, ["city", "grade"])])
    return make_pipeline(columns, GradientBoostingClassifier(n_estimators=10))


def test_mixed_frame_goes_in_as_one_matrix_of_numbers_and_one_of_texts() -> None:
    data = frame()
    converted = convert(mixed_pipeline().fit(data, Y > 0), data)
    signature = converted.signature
    assert signature.names == ["a", "b", "city", "grade"]  # "spare" is dropped by the ColumnTransformer
    assert [f.nullable for f in signature.features] == [False, True, False, True]
    assert [(i.dtype, i.shape) for i in signature.inputs] == [("float64", (2,)), ("string", (2,))]
    assert signature.features[3].missing not in (None, "x", "y")


def test_unknown_category_is_known_to_be_refused() -> None:
    data = frame()
    converted = convert(mixed_pipeline("error").fit(data, Y > 0), data)
    assert converted.signature.features[2].categories == ("Lima", "Oslo", "Rome")


def test_smoke_rows_hold_missing_values_and_the_estimators_answers() -> None:
    data = frame()
    estimator = mixed_pipeline().fit(data, Y > 0)
    smoke = convert(estimator, data).smoke
    assert 15 <= len(smoke["rows"]) <= 30
    assert any(value is None for row in smoke["rows"] for value in row)
    assert len(smoke["expected"]["labels"]) == len(smoke["expected"]["probabilities"]) == len(smoke["rows"])


def test_fingerprint_describes_numbers_and_categories() -> None:
    data = frame()
    found = convert(mixed_pipeline().fit(data, Y > 0), data).fingerprint
    assert found["rows"] == 300
    assert found["features"]["b"]["missing_share"] == pytest.approx(0.2)
    assert found["features"]["a"]["quantiles"]["0.5"] == pytest.approx(float(data["a"].median()))
    assert sum(found["features"]["a"]["histogram"]["counts"]) == 300
    assert found["features"]["city"]["distinct"] == 3


def test_step_that_cannot_is_named() -> None:
    estimator = make_pipeline(FunctionTransformer(lambda rows: rows + 1), LinearRegression()).fit(X, Y)
    with pytest.raises(UnsupportedEstimator, match=r"'functiontransformer' \(FunctionTransformer\).*Python code"):
        convert(estimator, X)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "not fitted"),
        (LogisticRegression, "the class LogisticRegression"),
        ({"weights": 1}, "is dict"),
        ("model.pkl", "does not end in .onnx"),
    ],
)
def test_what_is_no_model_is_refused_by_its_type(model: Any, message: str) -> None:
    with pytest.raises(UnsupportedEstimator, match=message):
        convert(model, X)


def test_unfaithful_graph_is_refused_with_the_worst_row() -> None:
    estimator = LinearRegression().fit(X, Y)

    class Lying(LinearRegression):
        def predict(self, X: Any) -> Any:
            return super().predict(X) + (np.arange(len(X)) == 17)

    liar = Lying()
    liar.__dict__.update(estimator.__dict__)
    with pytest.raises(ParityFailure, match=r"fraud: .*does not reproduce") as caught:
        convert(liar, X, name="fraud")
    assert caught.value.detail is not None
    assert "Row 17 of the sample (x0=" in caught.value.detail


@pytest.mark.parametrize(
    ("sample", "names", "message"),
    [
        (X[:0], None, "empty"),
        (X[:, :2], None, "has 2 columns, the model was trained on 4"),
        (X, ["a", "a", "b", "c"], "repeat: a"),
        (X, ["a"], "feature_names has 1"),
    ],
)
def test_sample_that_does_not_fit_is_refused(sample: Any, names: Any, message: str) -> None:
    with pytest.raises(InvalidSample, match=message):
        convert(LinearRegression().fit(X, Y), sample, feature_names=names)


def test_dates_are_refused_with_advice() -> None:
    data = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=5)})
    with pytest.raises(InvalidSample, match="'when' is of type datetime64") as caught:
        convert(LinearRegression().fit(X, Y), data)
    assert "hour" in str(caught.value.hint)


def test_ready_onnx_is_taken_as_bytes_path_and_proto(tmp_path: Any) -> None:
    artifact = convert(LogisticRegression().fit(X, Y > 0), X).artifact
    path = tmp_path / "model.onnx"
    path.write_bytes(artifact)
    for model in (artifact, path, str(path), inspect(artifact)):
        converted = convert(model, X, task="classification", classes=["no", "yes"])
        assert converted.artifact == artifact
        assert converted.signature.classes == ("no", "yes")
        assert converted.smoke["expected"]["labels"]


def test_importing_modeldb_imports_no_library_of_models() -> None:
    libraries = ("sklearn", "onnxruntime", "skl2onnx", "onnx")
    code = f"import sys, modeldb.convert; print([m for m in {libraries} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
