"""Encoders of categories. The fitted encoder itself is asked, once per category, what it makes of it: its answers
become a table, so that drop, infrequent categories, unknown and missing values are whatever scikit-learn says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.graph import ML, Array, Numbers, Texts, concat

UNKNOWN = "\u2400 an unseen category \u2400"


def one_hot(estimator: Any, x: Block) -> Numbers:
    answers = _answers(estimator)
    widths = [int(width) for width in estimator._n_features_outs]
    starts = np.cumsum([0, *widths])
    tables = [_positions(a[:, starts[j] : starts[j + 1]]) for j, a in enumerate(answers)]
    parts = []
    for piece, first in _pieces(x):
        span = range(first, first + piece.width)
        codes = lookup(piece, estimator, [tables[j] for j in span], first)
        owner = [j - first for j in span for _ in range(widths[j])]
        position = [float(p) for j in span for p in range(widths[j])]
        if owner:
            parts.append(codes.take(owner).equals(np.array([position])).cast(x.graph.dtype))
    return concat(parts)


def _positions(answer: Array) -> Array:
    """Where each row's 1 stands; -1 where there is none."""
    if not answer.shape[1]:
        return np.full(len(answer), -1.0)
    return np.where(answer.any(axis=1), answer.argmax(axis=1), -1.0)


def ordinal(estimator: Any, x: Block) -> Numbers:
    answers = _answers(estimator)
    tables = [answer[:, j] for j, answer in enumerate(answers)]
    return concat([lookup(p, estimator, tables[first : first + p.width], first) for p, first in _pieces(x)])


def target(estimator: Any, x: Block) -> Numbers:
    """TargetEncoder: a number per category, or a row of them, one per class."""
    answers = _answers(estimator)
    per = answers[0].shape[1] // len(answers)
    parts: list[Numbers] = []
    for piece, first in _pieces(x):
        span = range(first, first + piece.width)
        if per == 1:
            parts.append(lookup(piece, estimator, [answers[j][:, j] for j in span], first))
            continue
        rows = lookup(piece, estimator, [np.arange(len(answers[j]), dtype=np.float64) for j in span], first)
        for j in span:
            table = answers[j][:, j * per : (j + 1) * per]
            parts.append(rows.take([j - first]).cast("int64").rows_of(table))
    return concat(parts)


def _pieces(x: Block) -> list[tuple[Any, int]]:
    firsts = np.cumsum([0, *(piece.width for piece in x.pieces)])
    return [(piece, int(first)) for piece, first in zip(x.pieces, firsts, strict=False)]


def _answers(estimator: Any) -> list[Array]:
    """Per feature what the encoder gives for each category, and last for an unseen one: (categories + 1, width).

    Where the encoder refuses the unseen, the last row is zeros and the feature's categories go into the signature.
    """
    known = [list(c) for c in estimator.categories_]
    longest = max(len(c) for c in known)
    probe = np.empty((longest, len(known)), dtype=object)
    for j, categories in enumerate(known):
        probe[:, j] = [categories[min(i, len(categories) - 1)] for i in range(longest)]
    filled = _ask(estimator, probe)
    unseen = np.zeros((1, filled.shape[1]))
    if tolerant(estimator):
        strange = [UNKNOWN if any(isinstance(c, str) for c in cats) else _beyond(cats) for cats in known]
        unseen = _ask(estimator, np.array([strange], dtype=object))
    return [np.vstack([filled[: len(categories)], unseen]) for categories in known]


def tolerant(estimator: Any) -> bool:
    return getattr(estimator, "handle_unknown", "ignore") != "error"


def _beyond(categories: list[Any]) -> float:
    numbers = [abs(float(c)) for c in categories if c is not None and c == c]
    return float(np.floor(max(numbers, default=0.0)) * 2 + 12345)


def _ask(estimator: Any, probe: Array) -> Array:
    kinds = {np.asarray(c).dtype.kind for c in estimator.categories_}
    rows: Any = probe if kinds & set("OUS") else probe.astype(np.float64)
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        import pandas as pd

        rows = pd.DataFrame({name: list(rows[:, j]) for j, name in enumerate(names)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = estimator.transform(rows)
    dense = answer.toarray() if hasattr(answer, "toarray") else answer
    return np.asarray(dense, dtype=np.float64)


def lookup(piece: Numbers | Texts, estimator: Any, tables: list[Array], first: int) -> Numbers:
    """A number per value by each column's table; tables[j] follows ``categories_``, its last entry is for the rest."""
    known = [list(c) for c in estimator.categories_[first : first + piece.width]]
    if isinstance(piece, Texts):
        return _lookup_texts(piece, known, tables, tolerant(estimator))
    columns = []
    for j, (categories, table) in enumerate(zip(known, tables, strict=True)):
        columns.append(_lookup_numbers(piece.take([j]), categories, table))
    return concat(columns)


def _lookup_numbers(x: Numbers, categories: list[Any], table: Array) -> Numbers:
    if any(isinstance(c, str) for c in categories):
        raise Refused("its categories are texts, the column holds numbers")
    keys = [float("nan") if c is None else float(c) for c in categories]
    values, default = [float(v) for v in table[:-1]], float(table[-1])
    nan = [v for k, v in zip(keys, values, strict=True) if k != k]
    named = [(k, v) for k, v in zip(keys, values, strict=True) if k == k]
    wide = x.cast("float64")
    result = _encode(wide.graph, wide.name, "float64", named, default, 1)
    if nan or default == default:
        result = x.is_nan().where(nan[0] if nan else default, result)
    return result.cast(x.graph.dtype)


def _lookup_texts(x: Texts, known: list[list[Any]], tables: list[Array], accepts_unknown: bool) -> Numbers:
    graph = x.graph
    maps: list[dict[str, float]] = []
    for categories, table, absent, feature in zip(known, tables, x.absent, x.features, strict=True):
        words = {c: float(v) for c, v in zip(categories, table, strict=False) if isinstance(c, str)}
        same = [float(v) for c, v in zip(categories, table, strict=False) if _is(c, absent)]
        words[graph.missing] = same[0] if same else float(table[-1])
        maps.append(words)
        if feature is not None and not accepts_unknown:
            texts = tuple(str(c) for c in categories if isinstance(c, str))
            before = graph.categories.get(feature, texts)
            graph.categories[feature] = tuple(t for t in before if t in texts)
    defaults = [float(table[-1]) for table in tables]
    if _agree(maps, defaults):
        merged = {word: value for words in maps for word, value in words.items()}
        return _encode(graph, x.name, "string", list(merged.items()), defaults[0], x.width).cast(graph.dtype)
    pairs = zip(maps, defaults, strict=True)
    return concat([lookup_table(x.take([j]), words, default) for j, (words, default) in enumerate(pairs)])


def lookup_table(column: Texts, words: dict[str, float], default: float) -> Numbers:
    """A number per text of one column: (n, 1)."""
    graph = column.graph
    return _encode(graph, column.name, "string", list(words.items()), default, 1).cast(graph.dtype)


def _is(category: Any, absent: Any) -> bool:
    """Whether a missing text is this category: None is not NaN, as scikit-learn has it."""
    if isinstance(absent, float) and isinstance(category, float):
        return category != category
    return bool(category is absent or (isinstance(category, str) and category == absent))


def _agree(maps: list[dict[str, float]], defaults: list[float]) -> bool:
    """Whether one dictionary serves all columns."""
    return len(maps) == 1


def _encode(graph: Any, name: str, kind: str, pairs: list[tuple[Any, float]], default: float, width: int) -> Numbers:
    from onnx import numpy_helper

    keys = np.array([k for k, _ in pairs] or ([UNKNOWN] if kind == "string" else [0.0]), dtype=object)
    keys = keys if kind == "string" else keys.astype(np.float64)
    values = np.array([v for _, v in pairs] or [default], dtype=np.float64)
    output = graph.op(
        "LabelEncoder",
        name,
        domain=ML,
        keys_tensor=numpy_helper.from_array(keys),
        values_tensor=numpy_helper.from_array(values),
        default_tensor=numpy_helper.from_array(np.array([default])),
    )
    return Numbers(graph, output, "float64", width)
