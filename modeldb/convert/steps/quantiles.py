"""Quantile transforms: interpolation between learnt quantiles, and the inverse of the normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.graph import Numbers, concat

BOUND = 1e-7  # scikit-learn keeps this far away from 0 and 1
# Rational approximations of the normal quantile to sixteen digits: M. J. Wichura, "Algorithm AS 241: The percentage
# points of the normal distribution", Applied Statistics 37 (1988), PPND16. Numerator, denominator; the constant first.
CENTRE = (
    (
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4),
        *(4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    ),
    (
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
    ),
)
MIDDLE = (
    (
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0),
        *(1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
    ),
)
TAIL = (
    (
        *(6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1),
        *(2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
    ),
)


def transform(estimator: Any, x: Block) -> Numbers:
    """QuantileTransformer: numpy.interp both ways, averaged, as scikit-learn does it; then the normal quantile."""
    y = x.matrix()
    normal = estimator.output_distribution == "normal"
    bound = BOUND if normal else 0.0
    columns = [_to_uniform(y.take([j]), q, estimator.references_, bound) for j, q in enumerate(estimator.quantiles_.T)]
    uniform = concat(columns)
    if not normal:
        return uniform
    low, high = BOUND - np.spacing(1), 1 - (BOUND - np.spacing(1))
    return normal_quantile(uniform.clip(float(low), float(high)))


def _to_uniform(x: Numbers, quantiles: Any, references: Any, bound: float) -> Numbers:
    """The share of the training data below x; at and beyond the outermost quantiles 0 and 1."""
    forward = interpolate(x, quantiles, references)
    backward = interpolate(-x, -quantiles[::-1], -references[::-1])
    middle = (forward - backward) * 0.5
    below, above = x - bound <= float(quantiles[0]), x + bound >= float(quantiles[-1])
    return x.is_nan().where(x, below.where(0.0, above.where(1.0, middle)))


def inverse(estimator: Any, y: Numbers) -> Numbers:
    if estimator.output_distribution != "uniform":
        raise Refused("the inverse of output_distribution='normal' needs the normal distribution, which ONNX lacks")
    return concat([interpolate(y.take([j]), estimator.references_, q) for j, q in enumerate(estimator.quantiles_.T)])


def interpolate(x: Numbers, xp: Any, fp: Any) -> Numbers:
    """numpy.interp of a column (n, 1): the last knot at or below x, and its slope; flat outside the knots.

    Of equal knots numpy takes the last, but comes to them from the left towards the first: a jump.
    """
    xp, fp = np.asarray(xp, dtype=np.float64), np.asarray(fp, dtype=np.float64)
    if len(xp) == 1:
        return x * 0.0 + fp[0]
    rises = np.diff(xp) > 0
    slopes = np.append(np.diff(fp)[rises] / np.diff(xp)[rises], 0.0)
    leftmost, last = fp[0], np.append(rises, True)
    xp, fp = xp[last], fp[last]
    below = (x >= xp[None, :]).cast(x.dtype).reduce("ReduceSum").cast("int64")  # 0: left of all knots
    table = np.column_stack([np.append(xp[0], xp), np.append(leftmost, fp), np.append(0.0, slopes)])
    knot = below.rows_of(table).cast(x.dtype)
    return (x - knot.take([0])) * knot.take([2]) + knot.take([1])


def normal_quantile(p: Numbers) -> Numbers:
    """The inverse of the standard normal distribution, for p in (0, 1)."""
    q = p - 0.5
    centre = q * _ratio(0.180625 - q * q, CENTRE)
    upper = q > 0.0
    far = (-(upper.where(1.0 - p, p).apply("Log"))).apply("Sqrt")
    outer = (far > 5.0).where(_ratio(far - 5.0, TAIL), _ratio(far - 1.6, MIDDLE))
    return (q.apply("Abs") > 0.425).where(upper.where(outer, -outer), centre)


def _ratio(x: Numbers, polynomials: tuple[tuple[float, ...], tuple[float, ...]]) -> Numbers:
    top, bottom = (_polynomial(x, coefficients) for coefficients in polynomials)
    return top / bottom


def _polynomial(x: Numbers, coefficients: tuple[float, ...]) -> Numbers:
    result = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        result = result * x + coefficient
    return result
