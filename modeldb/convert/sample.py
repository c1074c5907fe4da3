"""The sample of training rows: names, types and nullability of the features, and columns as the server reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from modeldb.errors import InvalidSample
from modeldb.signature import Feature

Array = np.ndarray[Any, Any]
MAX_ROWS = 5000


@dataclass(frozen=True)
class Sample:
    """n rows of k features.

    rows: what the estimator itself takes, as the caller gave it. columns: per feature an array as runtime.Model takes
    it. absences: what a missing text is in each column, None or NaN. flat: the sample is one-dimensional, as text
    vectorizers want it.
    """

    rows: Any
    names: list[str]
    types: list[str]
    columns: list[Array]
    absences: list[Any]
    flat: bool = False

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def features(self) -> list[Feature]:
        return [
            Feature(name, kind, bool(absent(column).any()))
            for name, kind, column in zip(self.names, self.types, self.columns, strict=True)
        ]

    def at(self, indexes: Array) -> Sample:
        """The sample of some of its rows."""
        rows = self.rows.iloc[indexes] if hasattr(self.rows, "iloc") else np.asarray(self.rows)[indexes]
        if isinstance(self.rows, list):
            rows = [self.rows[i] for i in indexes]
        return Sample(
            rows, self.names, self.types, [column[indexes] for column in self.columns], self.absences, self.flat
        )

    def thinned(self) -> Sample:
        """At most MAX_ROWS rows, evenly spread."""
        if len(self) <= MAX_ROWS:
            return self
        return self.at(np.linspace(0, len(self) - 1, MAX_ROWS).astype(np.int64))


def absent(column: Array) -> Array:
    """Which values are missing: (n,) bool."""
    if column.dtype == object:
        return np.array([value is None for value in column], dtype=bool)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def read(sample: Any, model: Any = None, feature_names: Sequence[str] | None = None) -> Sample:
    """Read a DataFrame, a Series, an array or a list of rows. Raises InvalidSample (MD308)."""
    if hasattr(sample, "tocsr"):
        raise InvalidSample(
            "the sample is a sparse matrix",
            hint="Pass sample.toarray(): the database stores a column per feature.",
        )
    wanted = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if hasattr(sample, "columns") and hasattr(sample, "iloc"):
        return _checked(_from_frame(sample, wanted, feature_names), model)
    if hasattr(sample, "iloc") and hasattr(sample, "name"):
        names = list(feature_names or [sample.name if isinstance(sample.name, str) else "x0"])
        return _checked(_from_columns(sample, [sample], names, flat=True), model)
    return _checked(_from_array(sample, wanted, feature_names), model)


def _from_frame(frame: Any, wanted: list[str], feature_names: Sequence[str] | None) -> Sample:
    if wanted and all(name in frame.columns for name in wanted):
        frame = frame[wanted]
    elif wanted:
        lost = next(name for name in wanted if name not in frame.columns)
        raise InvalidSample(f"the sample has no column {lost!r}, which the model was trained on")
    names = list(feature_names or [name if isinstance(name, str) else f"x{name}" for name in frame.columns])
    return _from_columns(frame, [frame.iloc[:, j] for j in range(frame.shape[1])], names)


def _from_array(sample: Any, wanted: list[str], feature_names: Sequence[str] | None) -> Sample:
    try:
        array = np.asarray(sample) if isinstance(sample, np.ndarray) else _table(sample)
    except ValueError:
        raise InvalidSample("the rows of the sample are of different lengths") from None
    if array.ndim == 1 and array.dtype.kind in "OUS" and len(array):
        return _from_columns(sample, [array], list(feature_names or wanted or ["x0"]), flat=True)
    if array.ndim != 2:
        raise InvalidSample(f"the sample has {array.ndim} dimensions; it must have 2: rows and features")
    names = list(feature_names or wanted or [f"x{j}" for j in range(array.shape[1])])
    return _from_columns(sample, [array[:, j] for j in range(array.shape[1])], names)


def _table(sample: Any) -> Array:
    """A list of rows as an array; of objects where the rows mix numbers and texts."""
    rows = list(sample)
    mixed = any(
        isinstance(value, str) or value is None for row in rows if isinstance(row, list | tuple) for value in row
    )
    return np.array(rows, dtype=object) if mixed else np.asarray(rows)


def _from_columns(rows: Any, columns: list[Any], names: list[str], flat: bool = False) -> Sample:
    if len(names) != len(columns):
        raise InvalidSample(f"the sample has {len(columns)} columns, feature_names has {len(names)} names")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidSample(f"feature names repeat: {', '.join(repeated)}")
    if not columns or not len(columns[0]):
        raise InvalidSample("the sample is empty")
    typed = [_column(name, column) for name, column in zip(names, columns, strict=True)]
    absences = [_absence(column) for column in columns]
    return Sample(rows, names, [kind for kind, _ in typed], [array for _, array in typed], absences, flat)


def _checked(sample: Sample, model: Any) -> Sample:
    expected = getattr(model, "n_features_in_", None)
    if isinstance(expected, int) and not sample.flat and expected != len(sample.names):
        raise InvalidSample(f"the sample has {len(sample.names)} columns, the model was trained on {expected}")
    return sample


def _column(name: str, column: Any) -> tuple[str, Array]:
    """PostgreSQL's type of a column and its values as runtime.Model takes them."""
    dtype = getattr(column, "dtype", None)
    if hasattr(dtype, "categories") or not isinstance(dtype, np.dtype):
        return _objects(name, column.astype(object).to_numpy(), str(dtype))
    array = column.to_numpy() if hasattr(column, "to_numpy") else column
    if dtype.kind == "b":
        return "bool", array
    if dtype.kind in "iu":
        return "int8", array.astype(np.int64)
    if dtype.kind == "f":
        return ("float4", array.astype(np.float32)) if dtype.itemsize <= 4 else ("float8", array.astype(np.float64))
    if dtype.kind in "OUS":
        return _objects(name, array.astype(object), str(dtype))
    if dtype.kind in "mM":
        raise InvalidSample(
            f"feature {name!r} is of type {dtype}, which no estimator takes as it is",
            hint="Derive numbers from it, such as the hour, the weekday or the seconds since a date.",
        )
    raise InvalidSample(f"feature {name!r} is of type {dtype}, which is neither number nor text")


def _objects(name: str, values: Array, dtype: str) -> tuple[str, Array]:
    """A column of Python objects: texts, booleans or numbers, by what is in it."""
    missing = np.array([_is_missing(value) for value in values], dtype=bool)
    present = values[~missing]
    if all(isinstance(value, str) for value in present) and (len(present) or "float" not in dtype):
        texts = values.copy()
        texts[missing] = None
        texts[~missing] = [str(value) for value in present]
        return "text", texts
    if all(isinstance(value, bool | np.bool_) for value in present):
        return "bool", _numbers(values, missing, np.dtype(bool))
    if all(isinstance(value, int | np.integer) for value in present):
        return "int8", _numbers(values, missing, np.dtype(np.int64))
    if all(isinstance(value, int | float | np.integer | np.floating | Decimal) for value in present):
        kind = "float4" if dtype == "Float32" else "float8"
        return kind, _numbers(values, missing, np.dtype(np.float32 if kind == "float4" else np.float64))
    kinds = sorted({type(value).__name__ for value in present})
    raise InvalidSample(
        f"feature {name!r} holds values of the types {', '.join(kinds)}",
        hint="Give every column one type: numbers, booleans or text. Dates become numbers, such as the hour.",
    )


def _absence(column: Any) -> Any:
    """What scikit-learn sees in the place of a missing value of a column of objects: None or NaN."""
    values = column.tolist() if getattr(getattr(column, "dtype", None), "kind", "") == "O" else ()
    return None if any(value is None for value in values) else float("nan")


def _numbers(values: Array, missing: Array, dtype: np.dtype[Any]) -> Array:
    if not missing.any():
        return values.astype(dtype)
    numbers = np.full(len(values), np.nan, dtype=dtype if dtype.kind == "f" else np.float64)
    numbers[~missing] = [float(value) for value in values[~missing]]
    return numbers


def _is_missing(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )
