"""Writes docs/models.md: every estimator of scikit-learn, xgboost and lightgbm is fitted, converted and compared.

Run: python docs/generate_models.py
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modeldb.convert import convert
from modeldb.errors import ModeldbError

HERE = Path(__file__).parent
ROWS = 400
KINDS = {
    "classifier": "Classifiers",
    "regressor": "Regressors",
    "outlier": "Outlier detectors",
    "cluster": "Clusterers and mixtures",
    "transformer": "Transformers",
    "xgboost and lightgbm": "xgboost and lightgbm",
}
NO_TABLE = {
    "DictVectorizer": "it takes dicts, not rows of a table",
    "FeatureHasher": "it takes dicts, not rows of a table",
    "HashingVectorizer": "its hash function has no ONNX operator; TfidfVectorizer and CountVectorizer are accepted",
    "LabelBinarizer": "it transforms labels, not features",
    "LabelEncoder": "it transforms labels, not features",
    "MultiLabelBinarizer": "it transforms labels, not features",
    "PatchExtractor": "it takes images",
    "KernelCenterer": "it takes kernel matrices, whose columns are training rows",
}


@dataclass(frozen=True)
class Verdict:
    """What became of one estimator: its precision when it is accepted, else the reason why not."""

    kind: str
    name: str
    precision: str | None
    reason: str = ""
    skl2onnx: bool = False


def rows(kind: str, name: str) -> tuple[Any, Any]:
    """Real data that suits the estimator."""
    from sklearn import datasets

    iris = datasets.load_iris()
    diabetes = datasets.load_diabetes()
    labelled = kind in ("classifier", "cluster", "outlier") or name.endswith("Classifier")
    chosen = iris if labelled else diabetes
    if name in ("NeighborhoodComponentsAnalysis", "LinearDiscriminantAnalysis"):
        chosen = iris
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(chosen.data), ROWS)
    X = chosen.data[drawn] + random.normal(size=(ROWS, chosen.data.shape[1])) * chosen.data.std(axis=0) * 0.05
    y = chosen.target[drawn]
    if chosen is iris:
        X = np.abs(X)
    return SHAPES.get(name, lambda X, y: (X, y))(X, y)


def two_flags(X: Any, y: Any) -> tuple[Any, Any]:
    return X, np.column_stack([y > 0, y > 1]).astype(int)


def two_numbers(X: Any, y: Any) -> tuple[Any, Any]:
    return X, np.column_stack([y, np.sqrt(np.abs(y)) + X[:, 0]])


def binary(X: Any, y: Any) -> tuple[Any, Any]:
    return X, (y > 0).astype(int)


def with_gaps(X: Any, y: Any) -> tuple[Any, Any]:
    holes = np.random.default_rng(1).random(X.shape) < 0.1
    return np.where(holes, np.nan, X), y


def coarse(X: Any, y: Any) -> tuple[Any, Any]:
    return np.round(X * 20), y + 0.5


def positive(X: Any, y: Any) -> tuple[Any, Any]:
    return np.abs(X), y + 1


def sentences(X: Any, y: Any) -> tuple[Any, Any]:
    words = np.random.default_rng(2).choice(["late", "early", "storm", "crew", "gate"], size=(len(X), 4))
    return [" ".join(row) for row in words], y


Shape = Callable[[Any, Any], tuple[Any, Any]]
SHAPES: dict[str, Shape] = {
    **dict.fromkeys(("MultiOutputClassifier", "ClassifierChain"), two_flags),
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), binary),
    **dict.fromkeys(
        (
            *("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"),
            *("MultiOutputRegressor", "RegressorChain", "PLSCanonical", "CCA", "PLSSVD"),
        ),
        two_numbers,
    ),
    **dict.fromkeys(("KNNImputer", "IterativeImputer", "SimpleImputer", "MissingIndicator"), with_gaps),
    **dict.fromkeys(("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"), coarse),
    **dict.fromkeys(
        (
            *("AdditiveChi2Sampler", "SkewedChi2Sampler", "NMF", "MiniBatchNMF"),
            *("LatentDirichletAllocation", "GammaRegressor"),
        ),
        positive,
    ),
    **dict.fromkeys(("TfidfVectorizer", "CountVectorizer"), sentences),
    "TfidfTransformer": lambda X, y: (np.round(np.abs(X) * 50), y),
    "CategoricalNB": lambda X, y: (np.round(X), y),
    "IsotonicRegression": lambda X, y: (X[:, :1], y),
}


def made(name: str, cls: Any) -> Any:
    """An estimator with the arguments that it needs."""
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    pair = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))]
    numbers = [("a", Ridge()), ("b", LinearRegression())]
    scalers = [("a", StandardScaler()), ("b", MinMaxScaler())]
    few = {"n_estimators": 20}
    groups: list[tuple[str, dict[str, Any]]] = [
        ("VotingClassifier StackingClassifier", {"estimators": pair}),
        ("VotingRegressor StackingRegressor", {"estimators": numbers}),
        ("ClassifierChain MultiOutputClassifier OneVsOneClassifier OneVsRestClassifier", {"estimator": pair[0][1]}),
        ("OutputCodeClassifier FixedThresholdClassifier TunedThresholdClassifierCV", {"estimator": pair[0][1]}),
        ("SelfTrainingClassifier", {"estimator": pair[0][1]}),
        ("MultiOutputRegressor RegressorChain RFE RFECV", {"estimator": Ridge()}),
        ("SelectFromModel SequentialFeatureSelector", {"estimator": Ridge()}),
        ("GaussianRandomProjection SparseRandomProjection", {"n_components": 3}),
        ("RadiusNeighborsClassifier RadiusNeighborsRegressor", {"radius": 3.0}),
        ("SelectKBest", {"k": 3}),
        ("GenericUnivariateSelect", {"mode": "k_best", "param": 3}),
        ("FeatureUnion", {"transformer_list": scalers}),
        ("ColumnTransformer", {"transformers": [("a", StandardScaler(), [0, 3])], "remainder": MinMaxScaler()}),
        ("SparseCoder", {"dictionary": np.eye(10)}),
        ("LocalOutlierFactor", {"novelty": True}),
        ("BernoulliRBM", {"n_iter": 2}),
        ("TSNE", {"max_iter": 250}),
        ("LGBMClassifier LGBMRegressor", {**few, "verbosity": -1}),
        ("XGBClassifier XGBRegressor XGBRFClassifier XGBRFRegressor", {**few, "n_jobs": 1}),
    ]
    arguments = {each: given for names, given in groups for each in names.split()}
    return cls(**arguments.get(name, {}))


def judge(kind: str, name: str, cls: Any) -> Verdict:
    """Fit, convert and compare one estimator."""
    known = skl2onnx_knows(cls)
    if name in NO_TABLE:
        return Verdict(kind, name, None, NO_TABLE[name], known)
    X, y = rows(kind, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = made(name, cls).fit(X, y)
        try:
            converted = convert(estimator, X, name=name)
        except ModeldbError as error:
            return Verdict(kind, name, None, _reason(name, error.message), known)
    return Verdict(kind, name, converted.signature.precision, "", known)


def _reason(name: str, message: str) -> str:
    for lead in (f"{name} cannot be converted: {name}: ", f"{name} cannot be converted: ", f"{name} is a {name} that "):
        message = message.removeprefix(lead)
    return message.replace("|", "\\|")


def skl2onnx_knows(cls: Any) -> bool:
    """Whether skl2onnx has a converter for the class itself."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool

    return sklearn_operator_name_map.get(cls) in _converter_pool


def everything() -> list[tuple[str, str, Any]]:
    """(kind, name, class) of all estimators, in the order of the page."""
    from sklearn.base import OutlierMixin
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
    from sklearn.utils import all_estimators

    found = []
    for kind in ("classifier", "regressor"):
        found += [(kind, name, cls) for name, cls in all_estimators(kind)]
    found += [("outlier", name, cls) for name, cls in all_estimators() if issubclass(cls, OutlierMixin)]
    found += [("cluster", name, cls) for name, cls in all_estimators("cluster")]
    found += [("cluster", cls.__name__, cls) for cls in (BayesianGaussianMixture, GaussianMixture)]
    seen = {name for _, name, _ in found}
    found += [("transformer", name, cls) for name, cls in all_estimators("transformer") if name not in seen]
    found += [("transformer", name, cls) for name, cls in _vectorizers() if name not in {n for _, n, _ in found}]
    return found + [("xgboost and lightgbm", cls.__name__, cls) for cls in _boosters()]


def _vectorizers() -> list[tuple[str, Any]]:
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    return [("CountVectorizer", CountVectorizer), ("TfidfVectorizer", TfidfVectorizer)]


def _boosters() -> list[Any]:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

    return [LGBMClassifier, LGBMRegressor, XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor]


def render(verdicts: list[Verdict]) -> str:
    """The page."""
    import sklearn

    template = (HERE / "models.template.md").read_text(encoding="utf-8")
    predictors = [v for v in verdicts if v.kind != "transformer"]
    counts = {
        "version": sklearn.__version__,
        "accepted": sum(v.precision is not None for v in predictors),
        "all": len(predictors),
        "skl2onnx": sum(v.skl2onnx for v in predictors),
        "tables": "\n".join(table(kind, [v for v in verdicts if v.kind == kind]) for kind in KINDS),
    }
    for key, value in counts.items():
        template = template.replace("{{" + key + "}}", str(value))
    return template


def table(kind: str, verdicts: list[Verdict]) -> str:
    """One kind as a table."""
    accepted = sum(v.precision is not None for v in verdicts)
    lines = [f"## {KINDS[kind]} ({accepted} of {len(verdicts)})", "", "| estimator | accepted | precision | reason |"]
    lines.append("|---|---|---|---|")
    for v in verdicts:
        mark = "no" if v.precision is None else ("yes" if v.skl2onnx or kind.startswith("xg") else "yes, added")
        lines.append(f"| {v.name} | {mark} | {v.precision or ''} | {v.reason} |")
    return "\n".join([*lines, ""])


def main() -> None:
    verdicts = [judge(*entry) for entry in everything()]
    (HERE / "models.md").write_text(render(verdicts), encoding="utf-8")
    print(f"{sum(v.precision is not None for v in verdicts)} of {len(verdicts)} accepted", file=sys.stderr)


if __name__ == "__main__":
    main()
