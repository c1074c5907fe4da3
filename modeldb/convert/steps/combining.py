"""Ensembles of any estimators: voting, stacking, bagging, AdaBoost. Ensembles of trees become one TreeEnsemble."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Array, Numbers, concat, total
from modeldb.convert.steps import forests, trees


def voting_regressor(estimator: Any, x: Block) -> Numbers:
    parts = [dispatch.regress(member, x, name) for name, member in _members(estimator)]
    return _average(parts, estimator._weights_not_none)


def voting_classifier(estimator: Any, x: Block) -> Scores:
    parts = [dispatch.scores(member, x, name) for name, member in _members(estimator)]
    if estimator.voting == "soft":
        return Scores(_average([_probabilities(part) for part in parts], estimator._weights_not_none))
    count = len(estimator.classes_)
    votes = [one_hot(part.index, count, x.graph.dtype) for part in parts]
    weights = estimator._weights_not_none or [1.0] * len(votes)
    tally = total([vote * float(weight) for vote, weight in zip(votes, weights, strict=True)])
    return Scores(None, None, tally.argmax())


def _members(estimator: Any) -> list[tuple[str, Any]]:
    kept = [name for name, member in estimator.estimators if member != "drop"]
    return list(zip(kept, estimator.estimators_, strict=True))


def _probabilities(part: Scores) -> Numbers:
    if part.probabilities is None:
        raise Refused("it gives no probabilities")
    return part.probabilities


def _average(parts: list[Numbers], weights: Any) -> Numbers:
    if weights is None:
        return total(parts) / float(len(parts))
    weighted = [part * float(weight) for part, weight in zip(parts, weights, strict=True)]
    return total(weighted) / float(np.sum(weights))


def one_hot(index: Numbers, count: int, dtype: str) -> Numbers:
    """An int64 (n, 1) of positions as (n, count) of 0 and 1."""
    return index.equals(np.arange(count)[None, :]).cast(dtype)


def stacked_features(estimator: Any, x: Block) -> Block:
    """The members' answers side by side, and the features themselves with passthrough=True."""
    parts: list[Numbers] = []
    for (name, member), method in zip(_members(estimator), estimator.stack_method_, strict=True):
        parts.append(_answer(member, x, name, method))
    block = Block(x.graph, [concat(parts)])
    return Block(x.graph, [*block.pieces, *x.pieces]) if estimator.passthrough else block


def _answer(member: Any, x: Block, name: str, method: str) -> Numbers:
    if not hasattr(member, "classes_"):
        return dispatch.regress(member, x, name)
    answer = dispatch.scores(member, x, name)
    if method == "predict_proba":
        probabilities = _probabilities(answer)
        return probabilities.take([1]) if probabilities.width == 2 else probabilities
    if method == "decision_function":
        if answer.decision is None:
            raise Refused(f"{name!r} gives no decision function")
        return answer.decision
    return answer.index.rows_of(np.asarray(member.classes_, dtype=np.float64)[:, None])


def stacking_regressor(estimator: Any, x: Block) -> Numbers:
    return dispatch.regress(estimator.final_estimator_, stacked_features(estimator, x), "final_estimator")


def stacking_classifier(estimator: Any, x: Block) -> Scores:
    if isinstance(estimator.classes_, list):
        raise Refused("multi-label targets are not supported")
    return dispatch.scores(estimator.final_estimator_, stacked_features(estimator, x), "final_estimator")


def bagging_regressor(estimator: Any, x: Block) -> Numbers:
    members, columns = estimator.estimators_, estimator.estimators_features_
    if _all_trees(members):
        fitted = [forests.read(m.tree_, None, c) for m, c in zip(members, columns, strict=True)]
        return trees.ensemble(x.matrix(), fitted, [0] * len(fitted), 1, trees.AVERAGE)
    return _average([dispatch.regress(m, _columns(x, c)) for m, c in zip(members, columns, strict=True)], None)


def bagging_classifier(estimator: Any, x: Block) -> Scores:
    members, columns = estimator.estimators_, estimator.estimators_features_
    count = len(estimator.classes_)
    if _all_trees(members):
        fitted = [forests.read(m.tree_, None, c) for m, c in zip(members, columns, strict=True)]
        tables = [_spread(forests.shares(m.tree_.value[:, 0, :]), m.classes_, count) for m in members]
        return Scores(trees.mean_rows(x.matrix(), fitted, tables))
    parts = []
    for member, chosen in zip(members, columns, strict=True):
        answer = dispatch.scores(member, _columns(x, chosen))
        if hasattr(member, "predict_proba"):
            probabilities = _probabilities(answer)
            places = _spread(np.eye(probabilities.width), member.classes_, count)
            parts.append(probabilities if probabilities.width == count else probabilities @ places)
        else:
            index = answer.index.rows_of(np.asarray(member.classes_, dtype=np.float64)[:, None])
            parts.append(one_hot(index.cast("int64"), count, x.graph.dtype))
    return Scores(_average(parts, None))


def _all_trees(members: list[Any]) -> bool:
    known = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
    return all(dispatch.named(member) in known and member.tree_.value.shape[1] == 1 for member in members)


def _columns(x: Block, columns: Any) -> Block:
    chosen = [int(c) for c in columns]
    return x if chosen == list(range(x.width)) else x.select(chosen)


def _spread(rows: Array, classes: Any, count: int) -> Array:
    """Columns of the classes that a member has seen, among all classes."""
    wide = np.zeros((len(rows), count))
    wide[:, np.asarray(classes, dtype=np.int64)] = rows
    return wide


def ada_classifier(estimator: Any, x: Block) -> Scores:
    """AdaBoost (SAMME): weighted votes, a vote against a class counting -1/(classes - 1)."""
    count = len(estimator.classes_)
    members = estimator.estimators_
    weights = np.asarray(estimator.estimator_weights_[: len(members)], dtype=np.float64)
    if count < 2:
        raise Refused("it was trained on one class")
    votes = np.where(np.eye(count) == 1, 1.0, -1.0 / (count - 1))
    if _all_trees(members) and all(len(m.classes_) == count for m in members):
        tables = [votes[m.tree_.value[:, 0, :].argmax(axis=1)] * w for m, w in zip(members, weights, strict=True)]
        mean = trees.mean_rows(x.matrix(), [forests.read(m.tree_) for m in members], tables)
        summed = mean * (len(members) / float(weights.sum()))
    else:
        parts = [_positions(m, estimator, x).rows_of(votes) * float(w) for m, w in zip(members, weights, strict=True)]
        summed = total(parts) / float(weights.sum())
    if count == 2:
        decision = summed.take([1]) - summed.take([0])
        return Scores((decision @ [[-0.5, 0.5]]).softmax(), decision, (decision > 0.0).cast("int64"))
    return Scores((summed / (count - 1.0)).softmax(), summed, summed.argmax())


def _positions(member: Any, estimator: Any, x: Block) -> Numbers:
    known = list(estimator.classes_)
    places = np.array([[float(known.index(c))] for c in member.classes_])
    return dispatch.scores(member, x).index.rows_of(places).cast("int64")


def ada_regressor(estimator: Any, x: Block) -> Numbers:
    """AdaBoost.R2: the weighted median of the members' predictions."""
    members = estimator.estimators_
    if _all_trees(members):
        fitted = [forests.read(m.tree_) for m in members]
        answers = trees.ensemble(x.matrix(), fitted, list(range(len(members))), len(members))
    else:
        answers = concat([dispatch.regress(member, x) for member in members])
    weights = np.asarray(estimator.estimator_weights_[: len(members)], dtype=np.float64)
    return weighted_median(answers, weights)


def weighted_median(answers: Numbers, weights: Array) -> Numbers:
    """The first of the sorted answers at which the weights add up to half of their sum: (n, 1)."""
    graph, count = answers.graph, answers.width
    k = graph.const([count], "int64")
    ordered, order = graph.op("TopK", answers.name, k, outputs=2, axis=1, largest=0)
    picked = graph.op("Gather", graph.const(weights, answers.dtype), order)
    summed = graph.op("CumSum", picked, graph.const(np.asarray(1), "int64"))
    running = Numbers(graph, summed, answers.dtype, count)
    half = running.take([count - 1]) * 0.5
    first = (running >= half).cast("int32").argmax()
    return Numbers(graph, graph.op("GatherElements", ordered, first.name, axis=1), answers.dtype, 1)
