"""Trees in double: thresholds that compare as float32 does, missing values, categories, lone leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from modeldb.convert import Converted, convert
from modeldb.convert.steps.trees import below_float32, through_float32
from modeldb.runtime import Model

numbers = st.floats(-1e30, 1e30)
RNG = np.random.default_rng(3)


def around(value: float) -> list[float]:
    """A number, its neighbours in double, its float32 neighbours, and the points half way to them."""
    single = np.float32(value)
    singles = [np.nextafter(single, np.float32(-np.inf)), single, np.nextafter(single, np.float32(np.inf))]
    points = [value, *(float(s) for s in singles)]
    points += [(points[1] + points[2]) / 2, (points[2] + points[3]) / 2]
    return [y for x in points for y in (np.nextafter(x, -np.inf), x, np.nextafter(x, np.inf))]


@given(numbers)
def test_threshold_compares_as_if_the_feature_were_rounded_to_float32(threshold: float) -> None:
    bound = through_float32(np.array([threshold]))[0]
    for x in around(threshold):
        assert (x <= bound) == (float(np.float32(x)) <= threshold)


@given(st.floats(-(2.0**100), 2.0**100, width=32))
def test_xgboosts_less_than_becomes_at_most(threshold: float) -> None:
    bound = below_float32(np.array([threshold], dtype=np.float32))[0]
    for x in around(threshold):
        assert (x <= bound) == (np.float32(x) < np.float32(threshold))


def answers(converted: Converted, X: Any) -> Any:
    columns = [np.asarray(X)[:, j].astype(np.float64) for j in range(np.asarray(X).shape[1])]
    return Model(converted.artifact, converted.signature).predict(columns)


def test_forest_agrees_on_points_at_its_thresholds() -> None:
    X = RNG.normal(size=(300, 2))
    forest = RandomForestRegressor(5, random_state=0).fit(X, X[:, 0] ** 2)
    cuts = np.concatenate([t.tree_.threshold[t.tree_.feature == 0] for t in forest.estimators_])
    points = np.array([[x, 0.0] for cut in cuts for x in around(cut)])
    np.testing.assert_array_equal(answers(convert(forest, X), points).values, forest.predict(points))


def test_tree_of_one_leaf() -> None:
    X = RNG.normal(size=(20, 2))
    stump = DecisionTreeRegressor().fit(X, np.full(20, 7.0))
    assert set(answers(convert(stump, X), X).values) == {7.0}


def test_missing_values_take_the_learnt_direction() -> None:
    X = RNG.normal(size=(500, 3))
    X[RNG.random(X.shape) < 0.3] = np.nan
    y = np.where(np.isnan(X[:, 0]), 5.0, X[:, 1].clip(-1, 1))
    y = np.nan_to_num(y)
    for estimator in (DecisionTreeRegressor(max_depth=6), HistGradientBoostingRegressor(max_iter=10)):
        converted = convert(estimator.fit(X, y), X)
        np.testing.assert_allclose(answers(converted, X).values, estimator.predict(X), rtol=1e-12)


def test_categories_beyond_the_training_data_are_missing_to_hist_boosting() -> None:
    X = np.column_stack([RNG.integers(0, 8, 600), RNG.normal(size=600)]).astype(np.float64)
    y = np.isin(X[:, 0], [1, 4, 6]) * 3.0 + X[:, 1]
    boosting = HistGradientBoostingRegressor(max_iter=10, categorical_features=[0]).fit(X, y)
    strange = np.array([[9.0, 0.1], [250.0, 0.1], [3.0, 0.1]])
    np.testing.assert_allclose(answers(convert(boosting, X), strange).values, boosting.predict(strange), rtol=1e-12)


def test_infinities_are_taken_where_estimator_and_graph_agree() -> None:
    X = RNG.normal(size=(200, 2))
    assert not convert(HistGradientBoostingRegressor(max_iter=5).fit(X, X[:, 0]), X).signature.finite
    assert convert(RandomForestRegressor(5).fit(X, X[:, 0]), X).signature.finite


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson"])
def test_xgboost_is_reproduced_in_its_own_float32(objective: str) -> None:
    X = RNG.normal(size=(400, 3))
    y = np.exp(X[:, 0]).round()
    booster = xgboost.XGBRegressor(n_estimators=200, objective=objective, n_jobs=1).fit(X, y)
    converted = convert(booster, X)
    assert converted.parity["worst_relative"] < 5e-7
    assert converted.signature.precision == "float32"


def test_xgboost_takes_text_categories() -> None:
    X = pd.DataFrame({"a": RNG.normal(size=300), "t": pd.Categorical(RNG.choice(list("xyz"), 300))})
    booster = xgboost.XGBRegressor(n_estimators=10, enable_categorical=True, n_jobs=1)
    converted = convert(booster.fit(X, X["a"] + X["t"].cat.codes), X)
    assert [feature.type for feature in converted.signature.features] == ["float8", "text"]


def test_forest_of_many_classes_is_one_ensemble_and_a_table() -> None:
    X = RNG.normal(size=(400, 4))
    y = (X[:, 0] * 3).round().astype(int)
    forest = RandomForestClassifier(7, random_state=0).fit(X, y)
    found = answers(convert(forest, X), X)
    np.testing.assert_allclose(found.probabilities, forest.predict_proba(X), atol=1e-15)
    assert found.labels.tolist() == forest.predict(X).tolist()
