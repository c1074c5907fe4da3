"""One estimator per class, per pair of classes, or per target; and chains of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores, Targets
from modeldb.convert.graph import Numbers, complement, concat, constant_rows


def binary_score(estimator: Any, x: Block) -> tuple[Numbers, Numbers]:
    """Score and label (0 or 1) of one binary estimator: its decision function, else its positive probability."""
    if dispatch.named(estimator) == "_ConstantPredictor":
        value = float(np.ravel(estimator.y_)[0])
        score = constant_rows(x.matrix(), [value])
        return score, score.cast("int64")
    if not hasattr(estimator, "classes_"):
        score = dispatch.regress(estimator, x)
        return score, (score > 0.5).cast("int64")
    answer = dispatch.scores(estimator, x)
    if hasattr(estimator, "decision_function"):
        if answer.decision is None:
            raise Refused(f"the decision function of {dispatch.named(estimator)} has no graph")
        return answer.decision, answer.index
    if answer.probabilities is None:
        raise Refused(f"{dispatch.named(estimator)} gives no probabilities")
    return answer.probabilities.take([1]), answer.index


def one_vs_rest(estimator: Any, x: Block) -> Scores:
    if estimator.multilabel_:
        raise Refused("multi-label targets are not supported")
    members = estimator.estimators_
    pairs = [binary_score(member, x) for member in members]
    decision = concat([score for score, _ in pairs])
    if len(members) == 1:
        cut = 0.0 if hasattr(members[0], "decision_function") else 0.5
        label = (decision > cut).cast("int64")
    else:
        label = decision.argmax()
    if not hasattr(estimator, "predict_proba"):
        return Scores(None, decision, label)
    positive = concat([_positive(member, x) for member in members])
    if len(members) == 1:
        return Scores(complement(positive), decision, label)
    sums = positive.reduce("ReduceSum")
    return Scores(positive / sums.equals(0.0).where(1.0, sums), decision, label)


def _positive(member: Any, x: Block) -> Numbers:
    if dispatch.named(member) == "_ConstantPredictor":
        return constant_rows(x.matrix(), [float(np.ravel(member.y_)[0])])
    probabilities = dispatch.scores(member, x).probabilities
    if probabilities is None:
        raise Refused(f"{dispatch.named(member)} gives no probabilities")
    return probabilities.take([1])


def one_vs_one(estimator: Any, x: Block) -> Scores:
    if estimator.pairwise_indices_ is not None:
        raise Refused("precomputed kernels are not supported")
    pairs = [binary_score(member, x) for member in estimator.estimators_]
    confidence = concat([score for score, _ in pairs])
    labels = concat([label.cast(x.graph.dtype) for _, label in pairs])
    decision = pair_votes(labels, confidence, len(estimator.classes_))
    if len(estimator.classes_) > 2:
        return Scores(None, decision, decision.argmax())
    decision = decision.take([1])
    cut = 0.0 if hasattr(estimator.estimators_[0], "decision_function") else 0.5
    return Scores(None, decision, (decision > cut).cast("int64"))


def pair_votes(labels: Numbers, confidence: Numbers, classes: int) -> Numbers:
    """Votes of all pairs of classes, and the confidences, squeezed below one vote, to break ties: (n, classes).

    labels: 1 where the later class of a pair wins, else 0. confidence: positive for the later class.
    """
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    first, later = np.zeros((len(pairs), classes)), np.zeros((len(pairs), classes))
    for row, (i, j) in enumerate(pairs):
        first[row, i] = later[row, j] = 1.0
    votes = labels.affine(later - first, first.sum(axis=0))
    summed = confidence @ (later - first)
    return votes + summed / ((summed.apply("Abs") + 1.0) * 3.0)


def output_code(estimator: Any, x: Block) -> Scores:
    """The class whose code is nearest to the binary estimators' answers."""
    answers = concat([binary_score(member, x)[0] for member in estimator.estimators_])
    codes = np.asarray(estimator.code_book_, dtype=np.float64)
    return Scores(None, None, answers.affine(codes.T * -2.0, (codes**2).sum(axis=1)).argmin())


def multi_output_classifier(estimator: Any, x: Block) -> Targets:
    return Targets([dispatch.scores(member, x) for member in estimator.estimators_])


def multi_output_regressor(estimator: Any, x: Block) -> Numbers:
    return concat([dispatch.regress(member, x) for member in estimator.estimators_])


def classifier_chain(estimator: Any, x: Block) -> Targets:
    """Each target from the features and the targets before it in the chain."""
    if getattr(estimator, "chain_method_", "predict") != "predict":
        raise Refused("only chain_method='predict' is supported")
    found: dict[int, Scores] = {}
    so_far: list[Numbers] = []
    for place, member in zip(estimator.order_, estimator.estimators_, strict=True):
        answer = dispatch.scores(member, Block(x.graph, [*x.pieces, *so_far]))
        found[int(place)] = Scores(None, None, answer.index)
        so_far.append(answer.index.rows_of(np.asarray(member.classes_, dtype=np.float64)[:, None]))
    return Targets([found[k] for k in range(len(found))])


def regressor_chain(estimator: Any, x: Block) -> Numbers:
    found: dict[int, Numbers] = {}
    so_far: list[Numbers] = []
    for place, member in zip(estimator.order_, estimator.estimators_, strict=True):
        answer = dispatch.regress(member, Block(x.graph, [*x.pieces, *so_far]))
        found[int(place)] = answer
        so_far.append(answer)
    return concat([found[k] for k in range(len(found))])
