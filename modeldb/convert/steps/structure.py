"""Estimators that hold others: pipelines, column transformers, unions, searches, selectors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from modeldb.convert import dispatch
from modeldb.convert.block import Block, Refused
from modeldb.convert.graph import Numbers
from modeldb.convert.steps import quantiles, scaling

IDENTITIES = ("check_array", "_identity")
UNARY: dict[str, Callable[[Numbers], Numbers]] = {
    "log1p": lambda x: (x + 1.0).apply("Log"),
    "log": lambda x: x.apply("Log"),
    "log2": lambda x: x.apply("Log") / np.log(2.0),
    "log10": lambda x: x.apply("Log") / np.log(10.0),
    "exp": lambda x: x.apply("Exp"),
    "expm1": lambda x: x.apply("Exp") - 1.0,
    "exp2": lambda x: (x * np.log(2.0)).apply("Exp"),
    "sqrt": lambda x: x.apply("Sqrt"),
    "cbrt": lambda x: x.apply("Sign") * (x.apply("Abs") ** (1.0 / 3.0)),
    "square": lambda x: x * x,
    "absolute": lambda x: x.apply("Abs"),
    "fabs": lambda x: x.apply("Abs"),
    "negative": lambda x: -x,
    "reciprocal": lambda x: 1.0 / x,
    "sign": lambda x: x.apply("Sign"),
    "sin": lambda x: x.apply("Sin"),
    "cos": lambda x: x.apply("Cos"),
    "tan": lambda x: x.apply("Tan"),
    "arctan": lambda x: x.apply("Atan"),
    "tanh": lambda x: 1.0 - 2.0 / ((x * 2.0).apply("Exp") + 1.0),
    "arcsinh": lambda x: x.apply("Sign") * (x.apply("Abs") + (x * x + 1.0).apply("Sqrt")).apply("Log"),
    "floor": lambda x: x.apply("Floor"),
    "ceil": lambda x: x.apply("Ceil"),
    "rint": lambda x: x.apply("Round"),
    "degrees": lambda x: x * (180.0 / np.pi),
    "radians": lambda x: x * (np.pi / 180.0),
    "deg2rad": lambda x: x * (np.pi / 180.0),
    "expit": lambda x: x.apply("Sigmoid"),
    "nan_to_num": lambda x: x.is_nan().where(0.0, x),
}


def pipeline_head(pipeline: Any, x: Block) -> Block:
    """All steps of a pipeline but the last."""
    for name, transformer in pipeline.steps[:-1]:
        x = dispatch.transform(transformer, x, name)
    return x


def pipeline_transform(pipeline: Any, x: Block) -> Block:
    name, last = pipeline.steps[-1]
    return dispatch.transform(last, pipeline_head(pipeline, x), name)


def pipeline_regress(pipeline: Any, x: Block) -> Any:
    return dispatch.regress(pipeline.steps[-1][1], pipeline_head(pipeline, x), pipeline.steps[-1][0])


def pipeline_classify(pipeline: Any, x: Block) -> Any:
    return dispatch.classify(pipeline.steps[-1][1], pipeline_head(pipeline, x), pipeline.steps[-1][0])


def pipeline_cluster(pipeline: Any, x: Block) -> Any:
    return dispatch.cluster(pipeline.steps[-1][1], pipeline_head(pipeline, x), pipeline.steps[-1][0])


def pipeline_detect(pipeline: Any, x: Block) -> Any:
    return dispatch.detect(pipeline.steps[-1][1], pipeline_head(pipeline, x), pipeline.steps[-1][0])


def column_transformer(estimator: Any, x: Block) -> Block:
    """Each transformer on its columns, side by side; raw columns are only read where a transformer takes them."""
    if getattr(estimator, "sparse_output_", False) is None:
        raise Refused("it is not fitted")
    positions = estimator._transformer_to_input_indices
    parts = []
    for name, transformer, columns in estimator.transformers_:
        chosen = [int(c) for c in positions.get(name, ())]
        if _is(transformer, "drop") or not chosen:
            continue
        part = dispatch.transform(transformer, x.select(chosen), name)
        weight = (estimator.transformer_weights or {}).get(name)
        parts.append(part if weight is None else Block(x.graph, [part.matrix() * weight]))
        del columns
    return Block(x.graph, [piece for part in parts for piece in part.pieces])


def feature_union(estimator: Any, x: Block) -> Block:
    parts = []
    for name, transformer in estimator.transformer_list:
        if _is(transformer, "drop"):
            continue
        part = dispatch.transform(transformer, x, name)
        weight = (estimator.transformer_weights or {}).get(name)
        parts.append(part if weight is None else Block(x.graph, [part.matrix() * weight]))
    return Block(x.graph, [piece for part in parts for piece in part.pieces])


def _is(transformer: Any, word: str) -> bool:
    return isinstance(transformer, str) and transformer == word


def function_transformer(estimator: Any, x: Block) -> Block:
    """The identity, and numpy's functions of one argument by name; other functions are code, not data."""
    function = estimator.func
    function = function.func if isinstance(function, functools.partial) else function
    if function is None or (_is_sklearns(function) and function.__name__ in IDENTITIES):
        return x
    name = getattr(function, "__name__", "?")
    module = (getattr(function, "__module__", None) or "numpy").split(".")[0]
    if isinstance(function, np.ufunc) or module in ("numpy", "scipy"):
        if name in UNARY and not (estimator.kw_args or {}):
            return Block(x.graph, [UNARY[name](x.matrix())])
        raise Refused(f"the function {name} is none of {', '.join(sorted(UNARY))}")
    raise Refused(f"the function {name!r} is Python code, which is never stored; use a numpy function or a transformer")


def _is_sklearns(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("sklearn.")


def selector(estimator: Any, x: Block) -> Block:
    """SelectKBest, RFE, VarianceThreshold...: the columns that it kept."""
    return x.select([int(c) for c in estimator.get_support(indices=True)])


def unwrap(attribute: str) -> dict[str, Any]:
    """Emitters of a class that only hands on to the fitted estimator in one of its attributes."""
    return {
        "transform": lambda estimator, x: dispatch.transform(getattr(estimator, attribute), x),
        "regress": lambda estimator, x: dispatch.regress(getattr(estimator, attribute), x),
        "classify": lambda estimator, x: dispatch.classify(getattr(estimator, attribute), x),
        "cluster": lambda estimator, x: dispatch.cluster(getattr(estimator, attribute), x),
        "detect": lambda estimator, x: dispatch.detect(getattr(estimator, attribute), x),
    }


def rfe_regress(estimator: Any, x: Block) -> Numbers:
    return dispatch.regress(estimator.estimator_, selector(estimator, x))


def rfe_classify(estimator: Any, x: Block) -> Any:
    return dispatch.classify(estimator.estimator_, selector(estimator, x))


def transformed_target(estimator: Any, x: Block) -> Numbers:
    """A regressor whose target was transformed: its prediction goes through the inverse."""
    y = dispatch.regress(estimator.regressor_, x, "regressor")
    return inverse(estimator.transformer_, y)


def inverse(transformer: Any, y: Numbers) -> Numbers:
    """Emit ``inverse_transform`` of a transformer of targets."""
    kind = dispatch.named(transformer)
    if kind == "FunctionTransformer":
        function = transformer.inverse_func
        if function is None:
            return y
        block = Block(y.graph, [y])
        copy = type(transformer)(func=function, kw_args=transformer.inv_kw_args)
        return dispatch.transform(copy, block, "inverse_func").matrix()
    if kind == "StandardScaler":
        y = y if transformer.scale_ is None else y * transformer.scale_
        return y if not transformer.with_mean else y + transformer.mean_
    if kind == "RobustScaler":
        y = y * transformer.scale_ if transformer.with_scaling else y
        return y + transformer.center_ if transformer.with_centering else y
    if kind == "MinMaxScaler":
        return (y - transformer.min_) / transformer.scale_
    if kind == "MaxAbsScaler":
        return y * transformer.scale_
    if kind in ("QuantileTransformer", "PowerTransformer"):
        return (
            quantiles.inverse(transformer, y)
            if kind == "QuantileTransformer"
            else scaling.power_inverse(transformer, y)
        )
    raise Refused(f"the inverse of a {kind} has no graph")
