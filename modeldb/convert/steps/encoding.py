"""Encoders of categories. The fitted encoder itself is asked, once per category, what it makes of it: its answers
become a table, so that drop, infrequent categories, unknown and missing values are whatever scikit-learn says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from modeldb.convert.block import Block, Refused
from modeldb.convert.graph import ML, Array, Numbers, Texts, concat

UNKNOWN = "\u2400 an unseen category \u2400"
LARGEST_TABLE = 1_000_000
_NAN = float("nan")  # one object, so that it is one key of a dictionary
_REST = object()
_DOUBLE = np.dtype(np.float64)


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

        # As objects: pandas 3 would make texts of its own type of them, which has NaN in the place of None.
        whole = [np.asarray(c).dtype.kind not in "OUS" for c in estimator.categories_]
        rows = pd.DataFrame({name: rows[:, j] for j, name in enumerate(names)}, dtype=object)
        rows = rows.astype({name: np.float64 for name, numeric in zip(names, whole, strict=True) if numeric})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = estimator.transform(rows)
    dense = answer.toarray() if hasattr(answer, "toarray") else answer
    return np.asarray(dense, dtype=np.float64)


def lookup(piece: Numbers | Texts, estimator: Any, tables: list[Array], first: int) -> Numbers:
    """A number per value by each column's table; tables[j] follows ``categories_``, its last entry is for the rest."""
    known = [list(c) for c in estimator.categories_[first : first + piece.width]]
    if isinstance(piece, Texts):
        maps = _text_maps(piece, known, tables, tolerant(estimator))
    else:
        maps = [_number_map(categories, table) for categories, table in zip(known, tables, strict=True)]
        if not tolerant(estimator):
            return _strict(piece, maps)
    return lookup_columns(piece, maps, [float(table[-1]) for table in tables])


def _strict(piece: Numbers, maps: list[dict[Any, float]]) -> Numbers:
    """Numbers that the encoder was not fitted on must not pass.

    For a raw column the signature lists those that may. A computed one points outside a table, and onnxruntime refuses.
    """
    for feature, words in zip(piece.graph.raw.get(piece.name, ()), maps, strict=False):
        note(piece.graph, feature, tuple(sorted(number for number in words if number == number)))
    values = sorted({value for words in maps for value in words.values()})
    places = {value: float(place) for place, value in enumerate(values)}
    positions = [{key: places[value] for key, value in words.items()} for words in maps]
    graph = piece.graph
    index = lookup_columns(piece, positions, [float(len(values))] * len(maps)).cast("int64")
    found = graph.op("Gather", graph.const(values, graph.dtype), index.name, axis=0)
    return Numbers(graph, found, graph.dtype, piece.width)


def _number_map(categories: list[Any], table: Array) -> dict[Any, float]:
    if any(isinstance(c, str) for c in categories):
        raise Refused("its categories are texts, the column holds numbers")
    pairs = zip(categories, table, strict=False)
    return {_NAN if c is None or c != c else float(c): float(value) for c, value in pairs}


def _text_maps(x: Texts, known: list[list[Any]], tables: list[Array], accepts_unknown: bool) -> list[dict[Any, float]]:
    """Per column what each text stands for, the missing one included; notes the texts that the encoder insists on."""
    graph = x.graph
    maps: list[dict[Any, float]] = []
    for categories, table, absent, feature in zip(known, tables, x.absent, x.features, strict=True):
        words = {c: float(v) for c, v in zip(categories, table, strict=False) if isinstance(c, str)}
        same = [float(v) for c, v in zip(categories, table, strict=False) if _is(c, absent)]
        words[graph.missing] = same[0] if same else float(table[-1])
        maps.append(words)
        if feature is not None and not accepts_unknown:
            note(graph, feature, tuple(str(c) for c in categories if isinstance(c, str)))
    return maps


def note(graph: Any, feature: int, categories: tuple[Any, ...]) -> None:
    """Remember which categories a feature may have; of several encoders' those that all accept."""
    before = graph.categories.get(feature, categories)
    graph.categories[feature] = tuple(category for category in before if category in categories)


def _is(category: Any, absent: Any) -> bool:
    """Whether a missing text is this category: None is not NaN, as scikit-learn has it."""
    if isinstance(absent, float) and isinstance(category, float):
        return category != category
    return bool(category is absent or (isinstance(category, str) and category == absent))


def lookup_columns(piece: Numbers | Texts, maps: list[dict[Any, float]], defaults: list[float]) -> Numbers:
    """A number per value, by a dictionary per column: (n, columns).

    Several columns take three nodes: one dictionary of all keys gives each value a number, which is then a place in a
    table with one row per column.
    """
    graph = piece.graph
    name, kind = (piece.name, "string") if isinstance(piece, Texts) else (piece.cast("float64").name, "float64")
    keys = list(dict.fromkeys(key for words in maps for key in words))
    size = len(keys) + 1
    if len(maps) == 1:
        return _encode(graph, name, kind, list(maps[0].items()), defaults[0], 1).cast(graph.dtype)
    if size * len(maps) > LARGEST_TABLE:
        columns = [lookup_columns(piece.take([j]), [words], [defaults[j]]) for j, words in enumerate(maps)]
        return concat(columns)
    numbered = [(key, number) for number, key in enumerate(keys)]
    number = _encode(graph, name, kind, numbered, size - 1, piece.width, np.dtype(np.int64))
    offsets = np.arange(len(maps)) * size
    places = number + offsets[None, :]
    table = [words.get(key, default) for words, default in zip(maps, defaults, strict=True) for key in [*keys, _REST]]
    found = graph.op("Gather", graph.const(table, "float64"), places.name, axis=0)
    return Numbers(graph, found, "float64", piece.width).cast(graph.dtype)


def _encode(
    graph: Any,
    name: str,
    kind: str,
    pairs: list[tuple[Any, Any]],
    default: float,
    width: int,
    dtype: np.dtype[Any] = _DOUBLE,
) -> Numbers:
    """LabelEncoder: a dictionary of texts or numbers, NaN among them."""
    from onnx import numpy_helper

    keys = np.array([key for key, _ in pairs] or ([UNKNOWN] if kind == "string" else [0.0]), dtype=object)
    keys = keys if kind == "string" else keys.astype(np.float64)
    values = np.array([value for _, value in pairs] or [default], dtype=dtype)
    output = graph.op(
        "LabelEncoder",
        name,
        domain=ML,
        keys_tensor=numpy_helper.from_array(keys),
        values_tensor=numpy_helper.from_array(values),
        default_tensor=numpy_helper.from_array(np.array([default], dtype=dtype)),
    )
    return Numbers(graph, output, dtype.name, width)
