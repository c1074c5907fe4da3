"""From an estimator to its emitter: by role and by the name of its class, through explicit tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modeldb.convert.block import Block, Refused, as_block
from modeldb.convert.graph import Numbers, Texts, concat

ROOTS = ("sklearn", "xgboost", "lightgbm")


@dataclass(frozen=True, eq=False)
class Scores:
    """What a classifier gives. Without ``label`` its label is the largest of ``probabilities``.

    probabilities: (n, classes). decision: what decision_function gives, (n, 1) for two classes, else (n, classes).
    label: positions in ``classes_``, int64 (n, 1).
    """

    probabilities: Numbers | None = None
    decision: Numbers | None = None
    label: Numbers | None = None

    @property
    def index(self) -> Numbers:
        if self.label is not None:
            return self.label
        if self.probabilities is None:
            raise Refused("it gives neither labels nor probabilities")
        return self.probabilities.argmax()


@dataclass(frozen=True, eq=False)
class Targets:
    """What a multi-output classifier gives: one Scores per target."""

    scores: list[Scores]


@dataclass(frozen=True, eq=False)
class Detection:
    """What an outlier detector gives: ``decision`` (n, 1), and ``inlier``, where it is not decision >= 0."""

    decision: Numbers
    inlier: Numbers | None = None


def find(table: dict[str, Any], estimator: Any) -> Callable[..., Any] | None:
    """The emitter of the nearest class in the estimator's ancestry that the table knows."""
    for cls in type(estimator).__mro__:
        if cls.__module__.split(".")[0] in ROOTS and cls.__name__ in table:
            found: Callable[..., Any] = table[cls.__name__]
            return found
    return None


def named(estimator: Any) -> str:
    return type(estimator).__name__


def step(name: str | None, call: Callable[..., Any], *args: Any) -> Any:
    """Call an emitter; a refusal inside it is told with the step's name."""
    try:
        return call(*args)
    except Refused as refusal:
        if name is not None:
            refusal.path.insert(0, name)
        raise


def transform(estimator: Any, x: Block, name: str | None = None) -> Block:
    """Emit ``estimator.transform``."""
    from modeldb.convert.tables import TRANSFORMERS

    if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
        return x
    return as_block(step(label(name, estimator), _emit, TRANSFORMERS, "transform", estimator, x))


def regress(estimator: Any, x: Block, name: str | None = None) -> Numbers:
    """Emit ``predict`` of a regressor: (n, targets)."""
    from modeldb.convert.tables import REGRESSORS

    result: Numbers = step(label(name, estimator), _emit, REGRESSORS, "regress", estimator, x)
    return result


def classify(estimator: Any, x: Block, name: str | None = None) -> Any:
    """Emit a classifier: Scores, or Targets where it has several outputs."""
    from modeldb.convert.tables import CLASSIFIERS

    return step(label(name, estimator), _emit, CLASSIFIERS, "classify", estimator, x)


def scores(estimator: Any, x: Block, name: str | None = None) -> Scores:
    """Emit a classifier of one output."""
    result = classify(estimator, x, name)
    if not isinstance(result, Scores):
        raise Refused(f"{named(estimator)} has several outputs here")
    return result


def cluster(estimator: Any, x: Block, name: str | None = None) -> Numbers:
    """Emit ``predict`` of a clusterer: int64 (n, 1)."""
    from modeldb.convert.tables import CLUSTERERS

    result: Numbers = step(label(name, estimator), _emit, CLUSTERERS, "cluster", estimator, x)
    return result


def detect(estimator: Any, x: Block, name: str | None = None) -> Detection:
    """Emit an outlier detector."""
    from modeldb.convert.tables import DETECTORS

    result: Detection = step(label(name, estimator), _emit, DETECTORS, "detect", estimator, x)
    return result


def label(name: str | None, estimator: Any) -> str:
    return named(estimator) if name is None else f"{name!r} ({named(estimator)})"


def _emit(table: dict[str, Any], role: str, estimator: Any, x: Block) -> Any:
    from modeldb.convert import foreign

    emitter = find(table, estimator)
    if emitter is None:
        return foreign.emit(estimator, x, role)
    try:
        return emitter(estimator, x)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # another version's private parts
        raise Refused(f"its fitted attributes are not as expected: {type(error).__name__}: {error}") from error


def inputs(x: Block) -> list[Numbers | Texts]:
    """A block as at most one matrix of numbers and one of texts, where the columns' order does not matter."""
    numbers = [piece for piece in x.pieces if isinstance(piece, Numbers)]
    texts = [piece for piece in x.pieces if isinstance(piece, Texts)]
    return [*([concat(numbers)] if numbers else []), *texts]
