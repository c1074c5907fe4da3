"""Which emitter serves which class, by role. A class that is not here is handed to skl2onnx (foreign.py)."""

from __future__ import annotations

from typing import Any

from modeldb.convert.steps import (
    calibration,
    combining,
    encoding,
    forests,
    histogram,
    imputing,
    kernels,
    lightgbm,
    linear,
    multiple,
    nearest,
    projection,
    quantiles,
    scaling,
    simple,
    structure,
    xgboost,
)
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
    "QuantileTransformer": quantiles.transform,
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
    "IterativeImputer": projection.iterative_imputer,
    **same(projection.principal, "PCA IncrementalPCA"),
    **same(projection.linear, "TruncatedSVD BaseRandomProjection NeighborhoodComponentsAnalysis"),
    "FastICA": projection.independent,
    "FactorAnalysis": projection.factors,
    "BernoulliRBM": projection.boltzmann,
    **same(projection.least_squares, "_PLS PLSSVD"),
    "FeatureAgglomeration": projection.agglomerated,
    "SplineTransformer": projection.splines,
    "Nystroem": kernels.nystroem,
    "RBFSampler": kernels.random_fourier,
    "_BaseKMeans": simple.centre_distances,
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
    **same(lightgbm.regressor, "LGBMRegressor LGBMRanker"),
    **same(xgboost.regressor, "XGBRegressor XGBRanker"),
    "VotingRegressor": combining.voting_regressor,
    "StackingRegressor": combining.stacking_regressor,
    "BaggingRegressor": combining.bagging_regressor,
    "AdaBoostRegressor": combining.ada_regressor,
    "MultiOutputRegressor": multiple.multi_output_regressor,
    "RegressorChain": multiple.regressor_chain,
    "IsotonicRegression": calibration.isotonic,
    **same(kernels.support_regressor, "SVR NuSVR"),
    "KernelRidge": kernels.kernel_ridge,
    "MLPRegressor": simple.network,
    "KNeighborsRegressor": nearest.regressor,
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
    "LGBMClassifier": lightgbm.classifier,
    "XGBClassifier": xgboost.classifier,
    "VotingClassifier": combining.voting_classifier,
    "StackingClassifier": combining.stacking_classifier,
    "BaggingClassifier": combining.bagging_classifier,
    "AdaBoostClassifier": combining.ada_classifier,
    "CalibratedClassifierCV": calibration.calibrated,
    **same(calibration.threshold, "FixedThresholdClassifier TunedThresholdClassifierCV"),
    "SelfTrainingClassifier": calibration.self_training,
    "OneVsRestClassifier": multiple.one_vs_rest,
    "OneVsOneClassifier": multiple.one_vs_one,
    "OutputCodeClassifier": multiple.output_code,
    "MultiOutputClassifier": multiple.multi_output_classifier,
    "ClassifierChain": multiple.classifier_chain,
    **same(kernels.support_classifier, "SVC NuSVC"),
    "BaseLabelPropagation": kernels.label_propagation,
    "GaussianNB": simple.gaussian_bayes,
    "MultinomialNB": simple.multinomial_bayes,
    "ComplementNB": simple.complement_bayes,
    "BernoulliNB": simple.bernoulli_bayes,
    "CategoricalNB": simple.categorical_bayes,
    "MLPClassifier": simple.network_classifier,
    "NearestCentroid": simple.nearest_centroid,
    "KNeighborsClassifier": nearest.classifier,
    "RadiusNeighborsClassifier": nearest.within_radius,
}

CLUSTERERS: dict[str, Any] = {
    **wrapped("cluster"),
    "Pipeline": structure.pipeline_cluster,
    **same(simple.nearest_centre, "KMeans MiniBatchKMeans MeanShift AffinityPropagation"),
    "BisectingKMeans": simple.bisecting,
    "Birch": simple.birch,
    "BaseMixture": simple.mixture,
}

DETECTORS: dict[str, Any] = {
    **wrapped("detect"),
    "Pipeline": structure.pipeline_detect,
    "IsolationForest": forests.isolation,
    "OneClassSVM": kernels.one_class,
    "SGDOneClassSVM": kernels.linear_one_class,
    "EllipticEnvelope": kernels.elliptic,
}
