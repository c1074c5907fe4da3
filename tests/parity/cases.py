"""The models that are compared with scikit-learn through SQL: name, estimator, data. One line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn import (
    calibration,
    cluster,
    compose,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    isotonic,
    kernel_approximation,
    kernel_ridge,
    mixture,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    svm,
    tree,
)
from sklearn import linear_model as linear
from sklearn import preprocessing as prep
from sklearn.covariance import EllipticEnvelope
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline

from parity import data

NUMBERS = ["month", "hour", "distance", "air_time", "dep_delay"]
TEXTS = ["carrier", "origin", "dest"]


@dataclass(frozen=True)
class Case:
    """estimator makes an unfitted estimator, rows the sample (X, y). double: whether the graph must be float64."""

    id: str
    estimator: Callable[[], Any]
    rows: Callable[[], data.Data]
    double: bool = True


def columns(*texts: Any, numbers: Any = "passthrough") -> Any:
    """A ColumnTransformer over the flights: the numbers, and the texts through a pipeline of steps."""
    return compose.ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", make_pipeline(*texts), TEXTS)])


def filled_numbers() -> Any:
    return make_pipeline(impute.SimpleImputer(strategy="median", add_indicator=True), prep.StandardScaler())


def one_hot(**options: Any) -> Any:
    return prep.OneHotEncoder(**{"handle_unknown": "ignore", **options})


def scaled(estimator: Any) -> Any:
    return make_pipeline(prep.StandardScaler(), estimator)


def trees(kind: Any, **options: Any) -> Any:
    return kind(n_estimators=20, random_state=0, **options)


def quick(kind: Any, **options: Any) -> Any:
    """An estimator of xgboost or lightgbm."""
    quiet = {"verbosity": -1} if kind.__module__.startswith("lightgbm") else {}
    return kind(n_estimators=20, random_state=0, n_jobs=1, **quiet, **options)


LINEAR = [
    Case("logistic-scaled", lambda: scaled(linear.LogisticRegression()), data.cancer),
    Case("logistic-text-labels", lambda: scaled(linear.LogisticRegression()), data.iris),
    Case("logistic-cv", lambda: scaled(linear.LogisticRegressionCV(Cs=3, cv=3)), data.wine),
    Case("logistic-frame-with-spaces", lambda: scaled(linear.LogisticRegression()), data.cancer_frame),
    Case("logistic-500-features", lambda: scaled(linear.LogisticRegression()), data.wide),
    Case("logistic-float4", lambda: scaled(linear.LogisticRegression()), data.wine_float4, double=False),
    Case("logistic-int8", lambda: linear.LogisticRegression(tol=0.01), data.digits),
    Case("logistic-bool", lambda: linear.LogisticRegression(tol=0.01), data.pixels),
    Case("linear", linear.LinearRegression, data.diabetes),
    Case("linear-one-feature", linear.LinearRegression, data.one_feature),
    Case("linear-float4", lambda: scaled(linear.Ridge()), data.diabetes_float4, double=False),
    Case("ridge-two-targets", lambda: scaled(linear.Ridge()), data.diabetes_pair),
    Case("polynomial", lambda: make_pipeline(prep.PolynomialFeatures(2), linear.Ridge()), data.diabetes),
    Case("elastic-net-min-max", lambda: make_pipeline(prep.MinMaxScaler(), linear.ElasticNet()), data.diabetes),
    Case("huber-robust", lambda: make_pipeline(prep.RobustScaler(), linear.HuberRegressor()), data.diabetes),
    Case("poisson", lambda: linear.PoissonRegressor(), data.counts),
    Case("sgd-modified-huber", lambda: scaled(linear.SGDClassifier("modified_huber", random_state=0)), data.wine),
    Case("sgd-log-loss", lambda: scaled(linear.SGDClassifier("log_loss", random_state=0)), data.cancer),
    Case("ridge-classifier", lambda: scaled(linear.RidgeClassifier()), data.iris),
    Case("linear-svc", lambda: scaled(svm.LinearSVC()), data.iris),
    Case("lda", discriminant_analysis.LinearDiscriminantAnalysis, data.wine),
    Case("qda", lambda: discriminant_analysis.QuadraticDiscriminantAnalysis(), data.iris),
    Case("dummy", lambda: dummy.DummyClassifier(), data.iris),
]

TREES = [
    Case("tree", lambda: tree.DecisionTreeClassifier(max_depth=8, random_state=0), data.iris),
    Case("tree-with-gaps", lambda: tree.DecisionTreeRegressor(max_depth=9, random_state=0), data.diabetes_gaps),
    Case("forest-scaled", lambda: scaled(trees(ensemble.RandomForestClassifier)), data.cancer),
    Case("forest-text-labels", lambda: trees(ensemble.RandomForestClassifier), data.iris),
    Case("forest-int8", lambda: trees(ensemble.RandomForestClassifier), data.digits),
    Case("forest-regression-scaled", lambda: scaled(trees(ensemble.RandomForestRegressor)), data.diabetes),
    Case("forest-float4-scaled", lambda: scaled(trees(ensemble.RandomForestRegressor)), data.diabetes_float4),
    Case("forest-two-targets", lambda: trees(ensemble.RandomForestRegressor), data.diabetes_pair),
    Case("forest-two-text-targets", lambda: trees(ensemble.RandomForestClassifier), data.iris_pair),
    Case("extra-trees", lambda: scaled(trees(ensemble.ExtraTreesRegressor)), data.diabetes),
    Case("boosting-scaled", lambda: scaled(trees(ensemble.GradientBoostingClassifier)), data.cancer),
    Case("boosting-three-classes", lambda: trees(ensemble.GradientBoostingClassifier), data.iris),
    Case("boosting-regression", lambda: trees(ensemble.GradientBoostingRegressor, loss="huber"), data.diabetes),
    Case("hist-scaled", lambda: scaled(ensemble.HistGradientBoostingClassifier(max_iter=20)), data.cancer),
    Case("hist-with-gaps", lambda: ensemble.HistGradientBoostingClassifier(max_iter=20), data.cancer_gaps),
    Case("hist-poisson", lambda: ensemble.HistGradientBoostingRegressor(loss="poisson", max_iter=20), data.counts),
    Case("hist-categories", lambda: ensemble.HistGradientBoostingClassifier(max_iter=20), data.flights_categories),
    Case("ada", lambda: trees(ensemble.AdaBoostClassifier), data.iris),
    Case("ada-regression", lambda: trees(ensemble.AdaBoostRegressor), data.diabetes),
    Case("isolation-forest", lambda: trees(ensemble.IsolationForest), data.wine),
    Case("xgboost", lambda: scaled(quick(xgboost.XGBClassifier)), data.cancer, double=False),
    Case("xgboost-three-classes", lambda: quick(xgboost.XGBClassifier), data.wine, double=False),
    Case("xgboost-with-gaps", lambda: quick(xgboost.XGBRegressor), data.diabetes_gaps, double=False),
    Case("xgboost-counts", lambda: quick(xgboost.XGBRegressor, objective="count:poisson"), data.counts, double=False),
    Case("lightgbm", lambda: scaled(quick(lightgbm.LGBMClassifier)), data.cancer),
    Case("lightgbm-text-labels", lambda: quick(lightgbm.LGBMClassifier), data.iris),
    Case("lightgbm-with-gaps", lambda: quick(lightgbm.LGBMRegressor), data.diabetes_gaps),
    Case("lightgbm-categories", lambda: quick(lightgbm.LGBMClassifier), data.flights_categories),
]

COMPOSED = [
    Case("calibrated-sigmoid", lambda: calibration.CalibratedClassifierCV(scaled(svm.LinearSVC()), cv=3), data.iris),
    Case(
        "calibrated-isotonic",
        lambda: calibration.CalibratedClassifierCV(trees(ensemble.RandomForestClassifier), method="isotonic", cv=3),
        data.cancer,
    ),
    Case(
        "voting-soft",
        lambda: ensemble.VotingClassifier(
            [("a", scaled(linear.LogisticRegression())), ("b", trees(ensemble.RandomForestClassifier))], voting="soft"
        ),
        data.iris,
    ),
    Case(
        "voting-hard",
        lambda: ensemble.VotingClassifier(
            [("a", scaled(linear.LogisticRegression())), ("b", tree.DecisionTreeClassifier()), ("c", scaled(svm.SVC()))]
        ),
        data.iris,
    ),
    Case(
        "voting-regression",
        lambda: ensemble.VotingRegressor([("a", linear.Ridge()), ("b", trees(ensemble.GradientBoostingRegressor))]),
        data.diabetes,
    ),
    Case(
        "stacking",
        lambda: ensemble.StackingClassifier(
            [("a", scaled(linear.LogisticRegression())), ("b", trees(ensemble.RandomForestClassifier))], cv=3
        ),
        data.wine,
    ),
    Case(
        "stacking-passthrough",
        lambda: ensemble.StackingRegressor(
            [("a", linear.Ridge()), ("b", quick(lightgbm.LGBMRegressor))], passthrough=True, cv=3
        ),
        data.diabetes,
    ),
    Case("bagging", lambda: ensemble.BaggingClassifier(max_features=0.5, random_state=0), data.wine),
    Case("one-against-rest", lambda: scaled(multiclass.OneVsRestClassifier(svm.LinearSVC())), data.iris),
    Case("one-against-one", lambda: scaled(multiclass.OneVsOneClassifier(linear.LogisticRegression())), data.iris),
    Case("multi-output", lambda: multioutput.MultiOutputClassifier(tree.DecisionTreeClassifier()), data.iris_pair),
    Case("chain", lambda: scaled(multioutput.ClassifierChain(linear.LogisticRegression())), data.iris_flags),
    Case("multi-output-regression", lambda: multioutput.RegressorChain(linear.Ridge()), data.diabetes_pair),
    Case(
        "search",
        lambda: model_selection.GridSearchCV(scaled(linear.Ridge()), {"ridge__alpha": [0.1, 1.0]}, cv=2),
        data.diabetes,
    ),
    Case(
        "target-logarithm",
        lambda: compose.TransformedTargetRegressor(linear.Ridge(), func=np.log1p, inverse_func=np.expm1),
        data.diabetes,
    ),
    Case(
        "feature-union",
        lambda: make_pipeline(
            FeatureUnion([("pca", decomposition.PCA(3)), ("best", feature_selection.SelectKBest(k=4))]), linear.Ridge()
        ),
        data.diabetes,
    ),
    Case(
        "select-from-model",
        lambda: make_pipeline(feature_selection.SelectFromModel(linear.Lasso()), linear.LinearRegression()),
        data.diabetes,
    ),
]

MIXED = [
    Case(
        "flights-logistic",
        lambda: make_pipeline(columns(one_hot(), numbers=filled_numbers()), linear.LogisticRegression(max_iter=500)),
        data.flights_late,
    ),
    Case(
        "flights-boosting",
        lambda: make_pipeline(
            columns(one_hot(sparse_output=False)), ensemble.HistGradientBoostingClassifier(max_iter=20)
        ),
        data.flights_late,
    ),
    Case(
        "flights-imputed-texts",
        lambda: make_pipeline(
            columns(
                impute.SimpleImputer(missing_values=None, strategy="most_frequent"),
                one_hot(min_frequency=30, handle_unknown="infrequent_if_exist"),
                numbers=filled_numbers(),
            ),
            trees(ensemble.GradientBoostingClassifier),
        ),
        data.flights_late,
    ),
    Case(
        "flights-ordinal",
        lambda: make_pipeline(
            columns(prep.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
            ensemble.HistGradientBoostingRegressor(max_iter=20),
        ),
        data.flights_delay,
    ),
    Case(
        "flights-target-encoder",
        lambda: make_pipeline(columns(prep.TargetEncoder(target_type="continuous")), quick(lightgbm.LGBMRegressor)),
        data.flights_delay,
    ),
    Case("texts-only", lambda: make_pipeline(one_hot(drop="first"), linear.LogisticRegression()), data.flights_texts),
    Case(
        "every-type",
        lambda: make_pipeline(
            compose.make_column_transformer(
                (prep.PowerTransformer(), ["amount", "rate"]),
                (one_hot(handle_unknown="error"), ["Größe", "count"]),
                (impute.SimpleImputer(), ["maybe"]),
                remainder="passthrough",
            ),
            linear.LogisticRegression(max_iter=500),
        ),
        data.types,
    ),
    Case(
        "knn-imputer",
        lambda: make_pipeline(impute.KNNImputer(n_neighbors=3), linear.Ridge()),
        data.diabetes_gaps,
    ),
    Case("iterative-imputer", lambda: make_pipeline(impute.IterativeImputer(), linear.Ridge()), data.diabetes_gaps),
    Case(
        "bag-of-words",
        lambda: make_pipeline(
            compose.make_column_transformer((CountVectorizer(), "note")), naive_bayes.MultinomialNB()
        ),
        data.sentences,
    ),
    Case(
        "tf-idf",
        lambda: make_pipeline(compose.make_column_transformer((TfidfVectorizer(), "note")), linear.RidgeClassifier()),
        data.sentences,
        double=False,
    ),
]

OTHERS = [
    Case("svc", lambda: scaled(svm.SVC()), data.iris),
    Case("svc-polynomial", lambda: scaled(svm.SVC(kernel="poly")), data.cancer),
    Case("svr", lambda: scaled(svm.SVR()), data.diabetes),
    Case("one-class-svm", lambda: scaled(svm.OneClassSVM(nu=0.1)), data.wine),
    Case("kernel-ridge", lambda: scaled(kernel_ridge.KernelRidge(kernel="rbf")), data.diabetes),
    Case(
        "nystroem",
        lambda: make_pipeline(prep.StandardScaler(), kernel_approximation.Nystroem(random_state=0), svm.LinearSVC()),
        data.wine,
    ),
    Case(
        "gaussian-process",
        lambda: scaled(gaussian_process.GaussianProcessRegressor(alpha=1.0, optimizer=None)),
        data.one_feature,
    ),
    Case("neighbours", lambda: scaled(neighbors.KNeighborsClassifier()), data.iris),
    Case("neighbours-regression", lambda: scaled(neighbors.KNeighborsRegressor(weights="distance")), data.diabetes),
    Case("gaussian-bayes", naive_bayes.GaussianNB, data.iris),
    Case("bernoulli-bayes", naive_bayes.BernoulliNB, data.pixels),
    Case("network", lambda: scaled(neural_network.MLPClassifier((20,), max_iter=30, random_state=0)), data.iris),
    Case(
        "network-tanh",
        lambda: scaled(neural_network.MLPRegressor(hidden_layer_sizes=(10,), activation="tanh", max_iter=30)),
        data.diabetes,
    ),
    Case("isotonic", lambda: isotonic.IsotonicRegression(out_of_bounds="clip"), data.one_feature),
    Case("k-means", lambda: scaled(cluster.KMeans(5, n_init=1, random_state=0)), data.wine),
    Case("mixture", lambda: mixture.GaussianMixture(3, random_state=0), data.iris),
    Case("elliptic-envelope", lambda: EllipticEnvelope(random_state=0), data.iris),
    Case("outlier-factor", lambda: neighbors.LocalOutlierFactor(novelty=True), data.iris),
    Case("pca", lambda: scaled(decomposition.PCA(3)), data.wine),
    Case("quantiles", lambda: make_pipeline(prep.QuantileTransformer(n_quantiles=50), linear.Ridge()), data.diabetes),
    Case("quantiles-normal", lambda: prep.QuantileTransformer(n_quantiles=50, output_distribution="normal"), data.wine),
    Case(
        "bins",
        lambda: make_pipeline(prep.KBinsDiscretizer(strategy="uniform"), linear.Ridge()),
        data.diabetes,
    ),
    Case("splines", lambda: make_pipeline(prep.SplineTransformer(), linear.Ridge()), data.diabetes),
    Case("logarithm", lambda: make_pipeline(prep.FunctionTransformer(np.log1p), linear.Ridge()), data.counts),
]

CASES = [*LINEAR, *TREES, *COMPOSED, *MIXED, *OTHERS]
