"""CalibratedClassifierCV (sigmoid, isotonic, temperature), isotonic regression, thresholds, self-training."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.dispatch import Scores
from modeldb.convert.graph import Numbers, complement, concat, total, two_sided
from modeldb.convert.steps.quantiles import interpolate


def calibrated(estimator: Any, x: Block) -> Scores:
    """The mean of the calibrated members' probabilities."""
    parts = [_member(member, x) for member in estimator.calibrated_classifiers_]
    return Scores(total(parts) / float(len(parts)) if len(parts) > 1 else parts[0])


def _member(member: Any, x: Block) -> Numbers:
    answer = response(member.estimator, x)
    if member.method == "temperature":
        return _temperature(member, answer)
    curves = [calibrate(c, answer.take([j])) for j, c in enumerate(member.calibrators)]
    count = len(member.classes)
    if count == 2:
        return complement(curves[0])
    known = list(member.classes)
    order = [known.index(c) for c in member.estimator.classes_]
    by_class = dict(zip(order, curves, strict=True))
    zero = curves[0] * 0.0
    each = concat([by_class.get(k, zero) for k in range(count)])
    sums = each.reduce("ReduceSum")
    nothing = sums.equals(0.0)
    return nothing.where(1.0 / count, each / nothing.where(1.0, sums))


def response(estimator: Any, x: Block) -> Numbers:
    """decision_function where there is one, else predict_proba: one column for two classes, else one per class."""
    answer = dispatch.scores(estimator, x, "estimator")
    if hasattr(estimator, "decision_function"):
        if answer.decision is None:
            raise Refused(f"the decision function of {dispatch.named(estimator)} has no graph")
        return answer.decision
    if answer.probabilities is None:
        raise Refused(f"{dispatch.named(estimator)} gives no probabilities")
    return answer.probabilities.take([1]) if answer.probabilities.width == 2 else answer.probabilities


def calibrate(calibrator: Any, t: Numbers) -> Numbers:
    """One calibrator's curve: Platt's sigmoid or an isotonic step function."""
    if dispatch.named(calibrator) == "IsotonicRegression":
        return isotonic_curve(calibrator, t)
    return (-(t * float(calibrator.a_) + float(calibrator.b_))).apply("Sigmoid")


def _temperature(member: Any, answer: Numbers) -> Numbers:
    probabilities = not hasattr(member.estimator, "decision_function")
    if probabilities and answer.width == 1:
        answer = complement(answer)
    elif not probabilities and answer.width == 1:
        answer = two_sided(answer)
    logits = (answer + 1e-12).apply("Log") if probabilities else answer
    return (logits * float(member.calibrators[0].beta_)).softmax()


def isotonic(estimator: Any, x: Block) -> Numbers:
    return isotonic_curve(estimator, x.matrix())


def isotonic_curve(estimator: Any, t: Numbers) -> Numbers:
    """Linear interpolation between the fitted knots; outside of them clipped or NaN."""
    knots, values = np.asarray(estimator.X_thresholds_), np.asarray(estimator.y_thresholds_)
    if estimator.out_of_bounds == "raise":
        raise Refused("out_of_bounds='raise' cannot be expressed; use 'clip' or 'nan'")
    curve = interpolate(t, knots, values)
    if estimator.out_of_bounds == "clip":
        return curve
    outside = (t < float(knots[0])) | (t > float(knots[-1]))
    return outside.where(np.nan, curve)


def threshold(estimator: Any, x: Block) -> Scores:
    """FixedThresholdClassifier and TunedThresholdClassifierCV: the positive class from its own cut-off on."""
    inner = getattr(estimator, "estimator_", None) or estimator.estimator
    answer = dispatch.scores(inner, x, "estimator")
    classes = list(inner.classes_)
    method = estimator.response_method
    by_probability = method == "predict_proba" or (method == "auto" and hasattr(inner, "predict_proba"))
    positive = _positive(estimator, classes)
    score = answer.probabilities.take([positive]) if by_probability and answer.probabilities else answer.decision
    if score is None:
        raise Refused("it gives no scores")
    if not by_probability and positive == 0:
        score = -score
    cut = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", "auto"))
    cut = (0.5 if by_probability else 0.0) if cut == "auto" else float(cut)
    hit = (score >= cut).cast("int64")
    label = hit if positive == 1 else (hit * -1) + 1
    return Scores(answer.probabilities, answer.decision, label)


def _positive(estimator: Any, classes: list[Any]) -> int:
    scorer = getattr(estimator, "_curve_scorer", None)
    label = scorer._get_pos_label() if scorer is not None else getattr(estimator, "pos_label", None)
    return 1 if label is None else classes.index(label)


def self_training(estimator: Any, x: Block) -> Any:
    return dispatch.classify(estimator.estimator_, x, "estimator")
