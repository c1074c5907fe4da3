"""Which emitter serves which class, by role. A class that is not here is handed to skl2onnx (foreign.py)."""

from __future__ import annotations

from typing import Any

from modeldb.convert.steps import encoding, forests, histogram, imputing, linear, scaling, structure
from modeldb.convert.steps.structure import unwrap

SEARCHES = {
    name: unwrap("best_estimator_")
    for name in ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
}
WRAPPERS = {**SEARCHES, "FrozenEstimator": unwrap("estimator"), "RANSACRegressor": unwrap("estimator_")}


def wrapped(role: str) -> dict[str, Any]:
    return {name: emitters[role] for name, emitters in WRAPPERS.items()}


def same(emitter: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), emitter)


TRANSFORMERS: dict[str, Any] = {
    **wrapped("transform"),
    "Pipeline": structure.pipeline_transform,
    "ColumnTransformer": structure.column_transformer,
    "FeatureUnion": structure.feature_union,
    "FunctionTransformer": structure.function_transformer,
    "SelectorMixin": structure.selector,
    "StandardScaler": scaling.standard,
    "MinMaxScaler": scaling.min_max,
    "MaxAbsScaler": scaling.max_abs,
    "RobustScaler": scaling.robust,
    "Normalizer": scaling.normalizer,
    "Binarizer": scaling.binarizer,
    "PowerTransformer": scaling.power,
    "QuantileTransformer": scaling.quantile,
    "KBinsDiscretizer": scaling.discretizer,
    "PolynomialFeatures": scaling.polynomial,
    "SimpleImputer": imputing.simple,
    "MissingIndicator": imputing.indicator,
    "KNNImputer": imputing.nearest,
    "OneHotEncoder": encoding.one_hot,
    "OrdinalEncoder": encoding.ordinal,
    "TargetEncoder": encoding.target,
    "LinearDiscriminantAnalysis": linear.discriminant_transform,
    "RandomTreesEmbedding": forests.leaves,
}

REGRESSORS: dict[str, Any] = {
    **wrapped("regress"),
    "Pipeline": structure.pipeline_regress,
    "RFE": structure.rfe_regress,
    "TransformedTargetRegressor": structure.transformed_target,
    "LinearModel": linear.regressor,
    **same(
        linear.regressor, "LinearSVR SGDRegressor BaseSGDRegressor HuberRegressor TheilSenRegressor QuantileRegressor"
    ),
    **same(linear.exponential, "PoissonRegressor GammaRegressor"),
    "TweedieRegressor": linear.tweedie,
    **same(linear.partial_least_squares, "PLSRegression CCA PLSCanonical"),
    "DummyRegressor": linear.constant_regressor,
    **same(forests.forest_regressor, "DecisionTreeRegressor RandomForestRegressor ExtraTreesRegressor"),
    "GradientBoostingRegressor": forests.boosted,
    "HistGradientBoostingRegressor": histogram.regressor,
}

CLASSIFIERS: dict[str, Any] = {
    **wrapped("classify"),
    "Pipeline": structure.pipeline_classify,
    "RFE": structure.rfe_classify,
    "LogisticRegression": linear.logistic,
    "SGDClassifier": linear.stochastic,
    **same(linear.plain, "LinearSVC Perceptron PassiveAggressiveClassifier"),
    **same(linear.ridge, "RidgeClassifier RidgeClassifierCV"),
    "LinearDiscriminantAnalysis": linear.discriminant,
    "QuadraticDiscriminantAnalysis": linear.quadratic,
    "DummyClassifier": linear.constant_classifier,
    **same(forests.forest_classifier, "DecisionTreeClassifier RandomForestClassifier ExtraTreesClassifier"),
    "GradientBoostingClassifier": forests.boosted_classifier,
    "HistGradientBoostingClassifier": histogram.classifier,
}

CLUSTERERS: dict[str, Any] = {**wrapped("cluster"), "Pipeline": structure.pipeline_cluster}

DETECTORS: dict[str, Any] = {
    **wrapped("detect"),
    "Pipeline": structure.pipeline_detect,
    "IsolationForest": forests.isolation,
}
