"""Converting an estimator: candidates are built, loaded, compared with it, and the most faithful one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modeldb.convert import Converted
from modeldb.convert.block import Refused
from modeldb.convert.candidates import PLANS, Candidate, build, worth_trying
from modeldb.convert.fingerprint import fingerprint
from modeldb.convert.finite import takes_infinities
from modeldb.convert.parity import DOUBLE_TOLERANCE, TOLERANCE, Comparison, compare, failure
from modeldb.convert.provenance import provenance
from modeldb.convert.reference import Reference, classes_of, consult, task_of
from modeldb.convert.sample import Sample, read
from modeldb.convert.smoke import smoke
from modeldb.errors import ModeldbError, UnsupportedEstimator

Trial = tuple[Candidate, Comparison]


def convert(model: Any, sample: Any, feature_names: Sequence[str] | None, name: str) -> Converted:
    """See modeldb.convert.convert."""
    task = task_of(model, name)
    whole = read(sample, model, feature_names)
    thin = whole.thinned()
    expected = consult(model, thin.rows, task, name)
    trials, refusals = _try_all(model, thin, expected, task)
    if not trials:
        raise _unsupported(name, refusals)
    candidate, result = min(trials, key=lambda trial: trial[1].rank)
    names = candidate.signature.names
    if not result.accepted:
        raise failure(name, candidate.plan.name, result, thin, names)
    kept = [whole.names.index(feature) for feature in names]
    finite = not takes_infinities(model, candidate, thin, task)
    double = result.double and candidate.plan == PLANS[0]
    signature = replace(candidate.signature, precision="float64" if double else "float32", finite=finite)
    return Converted(
        artifact=candidate.artifact,
        signature=signature,
        smoke=smoke(thin, expected, kept, DOUBLE_TOLERANCE if double else TOLERANCE),
        parity=_report(candidate, trials, refusals, result),
        fingerprint=fingerprint(whole, kept),
        provenance=provenance(model, candidate.foreign),
    )


def _try_all(model: Any, sample: Sample, expected: Reference, task: str) -> tuple[list[Trial], dict[str, str]]:
    """Candidates until one is as good as double; with the reasons why others could not be tried."""
    trials: list[Trial] = []
    refusals: dict[str, str] = {}
    first: Candidate | None = None
    classes = classes_of(model, task)
    for plan in PLANS:
        if not worth_trying(plan, sample, first):
            continue
        try:
            candidate = build(model, sample, task, classes, plan)
            first = first or candidate
            trials.append((candidate, _compare(candidate, sample, expected)))
        except Refused as refusal:
            refusals[plan.name] = str(refusal)
            continue
        except ModeldbError as error:
            refusals[plan.name] = error.message
            continue
        if trials[-1][1].double:
            break
    return trials, refusals


def _compare(candidate: Candidate, sample: Sample, expected: Reference) -> Comparison:
    from modeldb.runtime import Model

    kept = [sample.names.index(name) for name in candidate.signature.names]
    model = Model(candidate.artifact, replace(candidate.signature, finite=False))
    return compare(expected, model.predict([sample.columns[j] for j in kept]))


def _unsupported(name: str, refusals: dict[str, str]) -> UnsupportedEstimator:
    first = refusals[PLANS[0].name]
    others = "; ".join(f"{plan}: {why}" for plan, why in refusals.items() if why != first)
    return UnsupportedEstimator(f"{name} cannot be converted: {first}", detail=others or None)


def _report(candidate: Candidate, trials: list[Trial], refusals: dict[str, str], result: Comparison) -> dict[str, Any]:
    others: dict[str, Any] = {c.plan.name: r.report() for c, r in trials if c is not candidate}
    others |= {plan: {"refused": why} for plan, why in refusals.items()}
    return {
        "candidate": candidate.plan.name,
        **result.report(),
        "labels_equal": result.mismatches == 0,
        "others": others,
    }
